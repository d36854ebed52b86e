"""What a model file may do to an image before the network sees it, beyond MMDetection's own transforms.

Each draws from `results["random"]`, the sample's own generator, so that an augmentation depends on the seed
and the sample's number alone. A mask is never resampled: all but a zoom keep to the pixel grid, and of a zoom
the masks only note the scale.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field, validate_call

from neuroseg import rle
from neuroseg.detector.masks import CellMasks
from neuroseg.detector.openmmlab import TRANSFORMS, BaseTransform, HorizontalBoxes, PackDetInputs
from neuroseg.errors import DataError

Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Width = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Some = Annotated[int, Field(strict=True, ge=1)]


@TRANSFORMS.register_module()
class CropCells(BaseTransform):
    """Cut a window at random, with the cells in it.

    Args:
        size: Side of the window in pixels; a smaller image is taken whole.
        zoom: The smallest and the largest magnification, or the largest, of which the smallest is the
            inverse; what is drawn between them, evenly in its logarithm, decides how large a window is cut
            and then resized to `size`. It comes on top of the sample's own (`magnified`), if that has one.
        min_visible: Share of a cell's area that must lie within the window for it to count as a cell there.
        attempts: Windows tried until one shows a cell.
    """

    @validate_call
    def __init__(
        self,
        size: Some,
        zoom: float | tuple[float, ...] = 1.0,
        min_visible: Share = 0.1,
        attempts: Some = 10,
    ) -> None:
        self.size, self.min_visible, self.attempts = size, min_visible, attempts
        bounds = tuple(zoom) if isinstance(zoom, list | tuple) else (1 / zoom, zoom) if zoom else ()
        if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < np.inf:
            raise DataError(
                f"CropCells: zoom {zoom} must be 1 or more, or two numbers above 0, the smaller first."
            )
        self.zoom = bounds

    def transform(self, results: dict) -> dict:
        """Turn `img` (H, W), `runs` and `cell_boxes` into the window and its `gt_*`."""
        height, width = results["img"].shape
        zoom = results.get("magnified", 1.0)
        if self.zoom != (1, 1):
            zoom *= float(np.exp(results["random"].uniform(*np.log(self.zoom))))
        cut = round(self.size / zoom)
        h, w = min(cut, height), min(cut, width)
        for _ in range(self.attempts):
            top, left = results["random"].integers(0, (height - h + 1, width - w + 1))
            inside = _touching(results["cell_boxes"], left, top, left + w, top + h)
            if inside.size:
                break
        windows, corners, kept = [], [], []
        for i in inside:
            mask, x, y = rle.crop(results["runs"], i, width)
            part, x, y = _clip(mask, x - left, y - top, w, h)
            if part.any() and part.sum() >= self.min_visible * mask.sum():
                part, x, y = _shrink(part, x, y)
                windows.append(part)
                corners.append((x, y))
                kept.append(i)
        masks = CellMasks(windows, np.array(corners), h, w)
        boxes = np.column_stack([masks.corners, masks.ends]).astype(np.float32)
        window = {
            **results,
            "img": results["img"][top : top + h, left : left + w],
            "img_shape": (h, w),
            "gt_masks": masks,
            "gt_bboxes": HorizontalBoxes(boxes.reshape(-1, 4)),
            "gt_bboxes_labels": results["labels"][kept],
            "gt_ignore_flags": np.zeros(len(kept), bool),
        }
        if zoom == 1:
            return window
        height, width = (self.size if side == cut else round(side * zoom) for side in (h, w))
        return _resize(window, (height, width))


@TRANSFORMS.register_module()
class RandomQuarterTurn(BaseTransform):
    """Mirror at the main diagonal in half of the cases: with RandomFlip, all eight poses of a square."""

    def transform(self, results: dict) -> dict:
        """Transpose the image, its boxes and masks, or nothing."""
        if results["random"].random() < 0.5:
            return results
        boxes = results["gt_bboxes"].tensor[:, [1, 0, 3, 2]]
        return {
            **results,
            "img": np.ascontiguousarray(results["img"].T),
            "img_shape": results["img_shape"][::-1],
            "gt_bboxes": HorizontalBoxes(boxes),
            "gt_masks": results["gt_masks"].transpose(),
        }


@TRANSFORMS.register_module()
class Microscope(BaseTransform):
    """Vary what another day at the microscope varies: contrast, brightness, slant of the light, focus, noise.

    Each bound is the largest change; the change itself is drawn evenly up to it.

    Args:
        contrast: Of the logarithm of the contrast about mid grey.
        brightness: In grey levels.
        slant: Difference of brightness between opposite edges, in grey levels.
        defocus: Standard deviation of the blur, in pixels.
        noise: Standard deviation of the noise, in grey levels.
        cut: Share of the images whose levels below the median are cut off, as in exports with the background
            subtracted.
    """

    @validate_call
    def __init__(
        self,
        contrast: Amount = 0.3,
        brightness: Amount = 10,
        slant: Amount = 15,
        defocus: Amount = 1.0,
        noise: Amount = 4,
        cut: Share = 0,
    ) -> None:
        self.bounds = contrast, brightness, slant, defocus, noise
        self.cut = cut

    def transform(self, results: dict) -> dict:
        """Change the grey image, float arithmetic, rounded to uint8."""
        random, image = results["random"], results["img"]
        height, width = image.shape
        contrast, brightness, slant, defocus, noise = random.uniform((-1, -1, 0, 0, 0), 1) * self.bounds
        towards = random.uniform(0, 2 * np.pi)
        grey = (image.astype(np.float32) - 128) * np.float32(np.exp(contrast))
        if defocus > 0.3:  # below, the kernel is a single pixel
            grey = cv2.GaussianBlur(grey, (0, 0), defocus)
        across = np.cos(towards) * np.linspace(-0.5, 0.5, width, dtype=np.float32)
        down = np.sin(towards) * np.linspace(-0.5, 0.5, height, dtype=np.float32)
        grey += np.float32(128 + brightness) + np.float32(slant) * (across + down[:, None])
        grey += np.float32(noise) * random.standard_normal(grey.shape, np.float32)
        if self.cut and random.random() < self.cut:
            grey = np.maximum(grey, np.median(grey))
        return {**results, "img": np.clip(np.rint(grey), 0, 255).astype(np.uint8)}


@TRANSFORMS.register_module()
class LocalContrast(BaseTransform):
    """Show a grey image in three channels: as it is, by its local contrast, and by how rough it is.

    Cells are told from the ground by what is around them: a flat, pale astrocyte by its texture alone. A
    large network learns such filters by itself; a small one, from scratch, on a few images, is spared
    learning them.

    Args:
        neighbourhood: Standard deviation, in pixels, of the window that brightness and contrast are taken
            relative to.
        texture: That of the window whose roughness is shown.
        floor: Contrast, in grey levels, below which the neighbourhood is taken for empty.
    """

    @validate_call
    def __init__(self, neighbourhood: Width = 16, texture: Width = 2, floor: Width = 2.0) -> None:
        self.neighbourhood, self.texture, self.floor = neighbourhood, texture, floor

    def transform(self, results: dict) -> dict:
        """Turn `img` (H, W) into (H, W, 3), uint8."""
        grey = results["img"].astype(np.float32)
        apart = grey - cv2.GaussianBlur(grey, (0, 0), self.neighbourhood)
        contrast = cv2.sqrt(cv2.GaussianBlur(apart * apart, (0, 0), self.neighbourhood)) + self.floor
        fine = grey - cv2.GaussianBlur(grey, (0, 0), self.texture)
        rough = cv2.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), self.texture))
        shown = 128 + 2 * (grey - 128), 128 + 40 * apart / contrast, 32 * np.log2(1 + rough)
        return {**results, "img": np.clip(np.rint(np.dstack(shown)), 0, 255).astype(np.uint8)}


@TRANSFORMS.register_module()
class PackCells(PackDetInputs):
    """MMDetection's packing, a grey image repeated for a backbone that was made for colours."""

    @validate_call
    def __init__(self, channels: Some = 3) -> None:
        super().__init__(meta_keys=("ori_shape", "img_shape", "scale_factor"))
        self.channels = channels

    def transform(self, results: dict) -> dict:
        """Pack, with the image as uint8 of shape (channels, H, W)."""
        image = results["img"]
        if image.ndim == 2:
            image = np.repeat(image[..., None], self.channels, axis=2)
        return super().transform({"scale_factor": (1.0, 1.0), **results, "img": image})


def _resize(results: dict, shape: tuple[int, int]) -> dict:
    """Return a sample resized to (height, width)."""
    height, width = results["img_shape"]
    method = cv2.INTER_AREA if shape[0] < height else cv2.INTER_LINEAR
    boxes = results["gt_bboxes"].clone()
    boxes.rescale_((shape[1] / width, shape[0] / height))
    return {
        **results,
        "img": cv2.resize(results["img"], shape[::-1], interpolation=method),
        "img_shape": shape,
        "gt_masks": results["gt_masks"].resize(shape),
        "gt_bboxes": boxes,
    }


def _touching(boxes: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    x1, y1, x2, y2 = boxes.T
    return np.flatnonzero((x1 < right) & (x2 > left) & (y1 < bottom) & (y2 > top))


def _clip(mask: np.ndarray, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, int, int]:
    part = mask[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
    return part, max(x, 0), max(y, 0)


def _shrink(mask: np.ndarray, x: int, y: int) -> tuple[np.ndarray, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], x + columns[0], y + rows[0]
