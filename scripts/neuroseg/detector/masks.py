"""Truth masks as MMDetection wants them, each held within its own box.

MMDetection's bitmaps are whole frames: 790 cells of a 1,500 pixel image are 1.8 GB, copied from worker to
trainer for every image. A cell is 0.1 % of its frame, and its mask target needs its box alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from neuroseg.detector.openmmlab import BaseInstanceMasks, BitmapMasks, rescale_size, roi_align

_NOT_HERE = "cell masks flip, transpose and resize; for other transforms crop first, or use bitmaps"


class CellMasks(BaseInstanceMasks):
    """Masks by their windows: what lies outside an instance's window is background.

    Resizing only notes the scale: mask targets are sampled from the original pixels, at any magnification.

    Args:
        windows: One array per mask, bool or uint8, shape (h, w).
        corners: Left and top of each window, int, shape (n, 2), in pixels before scaling.
        height: Height of the frame now.
        width: Width of the frame now.
        scale: Magnification along x and y since the windows were cut.
    """

    def __init__(
        self,
        windows: Sequence[np.ndarray],
        corners: np.ndarray,
        height: int,
        width: int,
        scale: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        self.windows = list(windows)
        self.corners = np.asarray(corners, np.int64).reshape(-1, 2)
        self.height, self.width, self.scale = height, width, scale
        self._known_frames: dict[torch.device, torch.Tensor] = {}

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.windows)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the windows."""
        return iter(self.windows)

    def __getitem__(self, index: Any) -> CellMasks:
        """Return the masks of an index, a slice, or an array of indices."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return self._with([self.windows[i] for i in chosen], self.corners[chosen])

    def flip(self, flip_direction: str = "horizontal") -> CellMasks:
        """Return the masks of the frame mirrored horizontally, vertically, or both (diagonal)."""
        across, down = flip_direction != "vertical", flip_direction != "horizontal"
        windows = [window[:: -1 if down else 1, :: -1 if across else 1] for window in self.windows]
        corners = self.corners.copy()
        if across:
            corners[:, 0] = round(self.width / self.scale[0]) - self.ends[:, 0]
        if down:
            corners[:, 1] = round(self.height / self.scale[1]) - self.ends[:, 1]
        return self._with(windows, corners)

    def transpose(self) -> CellMasks:
        """Return the masks of the frame mirrored at its main diagonal."""
        windows = [window.T for window in self.windows]
        return CellMasks(windows, self.corners[:, ::-1], self.width, self.height, self.scale[::-1])

    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> CellMasks:
        """Return the masks of the frame scaled to (height, width)."""
        height, width = out_shape
        scale = self.scale[0] * width / self.width, self.scale[1] * height / self.height
        return CellMasks(self.windows, self.corners, height, width, scale)

    def rescale(self, scale: float | tuple[int, int], interpolation: str = "nearest") -> CellMasks:
        """Return the masks of the frame scaled by a factor, or to fit within (long side, short side)."""
        width, height = rescale_size((self.width, self.height), scale)
        return self.resize((height, width))

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> CellMasks:
        """Return the masks of the frame with a margin of background at its right and bottom."""
        return CellMasks(self.windows, self.corners, *out_shape, self.scale)

    def crop_and_resize(
        self,
        bboxes: np.ndarray | torch.Tensor,
        out_shape: tuple[int, int],
        inds: np.ndarray | torch.Tensor,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> BitmapMasks:
        """Sample mask `inds[i]` over box `bboxes[i]`, in pixels of the frame now: the mask head's targets."""
        boxes, chosen = torch.as_tensor(bboxes).reshape(-1, 4), torch.as_tensor(inds)
        sampled = self.sample(boxes.to(device), chosen.to(device), out_shape)
        return BitmapMasks((sampled >= 0.5 if binarize else sampled).cpu().numpy(), *out_shape)

    def sample(self, boxes: torch.Tensor, chosen: torch.Tensor, out_shape: tuple[int, int]) -> torch.Tensor:
        """Return mask `chosen[i]` over box `boxes[i]`, float32 (n, height, width), computed where boxes are.

        A mask goes there once, as bytes, however many boxes and stages of a cascade ask for it.
        """
        if not len(boxes):
            return boxes.new_zeros((0, *out_shape), dtype=torch.float32)
        cells, which = torch.unique(chosen, return_inverse=True)
        corners = torch.from_numpy(np.tile(self.corners - 1, 2)).to(boxes.device)[chosen]
        within = (boxes.float() / boxes.new_tensor(self.scale * 2, dtype=torch.float32)).double() - corners
        rois = torch.cat([which[:, None], within], 1).float()
        return roi_align(
            self._frames(boxes.device)[cells].float(), rois, out_shape, 1.0, 0, "avg", True
        ).squeeze(1)

    def _frames(self, device: torch.device) -> torch.Tensor:
        """Return every window in a frame of one size, uint8 (n, 1, height, width), made once per device."""
        if device not in self._known_frames:
            tall, wide = np.max([window.shape for window in self.windows], axis=0) + 2
            frames = np.zeros((len(self), 1, tall, wide), np.uint8)  # a rim of background, for sampling
            for frame, window in zip(frames, self.windows, strict=True):
                h, w = window.shape
                frame[0, 1 : h + 1, 1 : w + 1] = window
            self._known_frames[device] = torch.from_numpy(frames).to(device)
        return self._known_frames[device]

    def to_ndarray(self) -> np.ndarray:
        """Return masks as whole frames before scaling, uint8 (n, height, width): for pictures and tests."""
        frames = np.zeros(
            (len(self), round(self.height / self.scale[1]), round(self.width / self.scale[0])), np.uint8
        )
        for frame, window, (x, y), (right, bottom) in zip(
            frames, self.windows, self.corners, self.ends, strict=True
        ):
            frame[y:bottom, x:right] = window
        return frames

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> torch.Tensor:
        """Return `to_ndarray` as a tensor."""
        return torch.as_tensor(self.to_ndarray(), dtype=dtype, device=device)

    @property
    def areas(self) -> np.ndarray:
        """The masks' pixel counts before scaling."""
        return np.array([np.count_nonzero(window) for window in self.windows])

    @property
    def ends(self) -> np.ndarray:
        """Right and bottom of the windows, exclusive, before scaling, shape (n, 2)."""
        shapes = np.array([window.shape[::-1] for window in self.windows], np.int64).reshape(-1, 2)
        return self.corners + shapes

    def _with(self, windows: list[np.ndarray], corners: np.ndarray) -> CellMasks:
        return CellMasks(windows, corners, self.height, self.width, self.scale)

    def _not_here(self, *_: Any, **__: Any) -> None:
        raise TypeError(_NOT_HERE)

    crop = expand = translate = shear = rotate = _not_here

    @classmethod
    def cat(cls, *_: Any, **__: Any) -> None:
        """Refuse, as masks of several images are of no one frame."""
        raise TypeError(_NOT_HERE)
