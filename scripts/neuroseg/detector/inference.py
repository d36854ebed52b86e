"""Find cells: boxes with scores, and the probability of each pixel of a box."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from neuroseg.detector import backbones, transforms  # noqa: F401  they enter MMDetection's registry
from neuroseg.detector.checkpoints import read_detector
from neuroseg.detector.dataset import Load
from neuroseg.detector.openmmlab import MODELS, Compose, Config, bbox2roi
from neuroseg.detector.precision import choose_device, choose_dtype, place, stages
from neuroseg.detector.progress import say
from neuroseg.detector.selection import Fold
from neuroseg.tables import PATCH, Coverage, DataError, patch_column

VIEWS: dict[str, tuple[bool, bool]] = {
    "none": (False, False),
    "hflip": (True, False),
    "vflip": (False, True),
    "hvflip": (True, True),
}
"""Ways to look at an image: mirrored left to right, mirrored top to bottom."""

AT_ONCE = {"cuda": 512, "cpu": 32}
"""Boxes whose masks are computed together: 0.8 GB of features in a full-size mask head; or what a CPU's cache holds."""


class Found(NamedTuple):
    """The detections of one view of one image, by descending score."""

    boxes: np.ndarray  # float32 (n, 4): x1, y1, x2, y2 in pixels of the image
    scores: np.ndarray  # float32 (n,)
    labels: np.ndarray  # int64 (n,)
    patches: np.ndarray  # uint8 (n, 28, 28): 255 times the probability


def predict(
    checkpoint: Path,
    images: pd.DataFrame,
    *,
    load: Load,
    source: str,
    fold: Fold | None = None,
    views: Sequence[str] = ("none",),
    batch_size: int = 1,
    max_detections: int = 1000,
    min_score: float = 0.01,
    precision: str = "auto",
    device: str = "auto",
) -> tuple[pd.DataFrame, Coverage]:
    """Return the detections of a fitted detector, and what it has looked at.

    Each view is a source of its own, `<source>/<fold>/<view>`, its detections turned back upright. The box and type of
    a detection come from the last box head; its patch is the probability of that type over the box, the mean of
    all mask heads, sampled at the centres of 28 x 28 equal parts of the box.

    Args:
        checkpoint: A fitted detector.
        images: Rows of the images table to look at.
        load: Reads an image.
        source: First part of the sources' names.
        fold: The fold that the checkpoint must be of; None if any will do.
        views: Of VIEWS.
        batch_size: Views that pass the network together; only equally large ones do, so the batch changes nothing.
        max_detections: The best are kept of each view.
        min_score: Detections below are left out.
        precision: fp32, bf16, fp16, or auto.
        device: cpu, cuda, or auto.

    Raises:
        DataError: the checkpoint cannot be used, or a view is unknown.
    """
    unknown = [view for view in views if view not in VIEWS]
    if unknown:
        raise DataError(f"view {unknown[0]}: there is no such view; choose among {', '.join(VIEWS)}.")
    fitted, where = read_detector(checkpoint), choose_device(device)
    if fold not in (None, fitted["fold"]):
        raise DataError(
            f"{checkpoint}: this is the detector of fold {fitted['fold']}, which has learnt from the images that "
            f"fold {fold} holds out; give the checkpoint of fold {fold}."
        )
    look = Looker(fitted, where, choose_dtype(precision, where), max_detections, min_score)
    sources = {view: f"{source}/{fitted['fold']}/{view}" for view in views}
    parts, began, spoke = [], time.monotonic(), time.monotonic()
    for done, (image_id, view, found) in enumerate(_look(look, images, views, load, batch_size), 1):
        parts.append((image_id, sources[view], found))
        if time.monotonic() - spoke > 10 or done == len(images) * len(views):
            spoke = time.monotonic()
            say(f"image {-(-done // len(views))}/{len(images)}, {(spoke - began) / done:.2f} s a view")
    coverage = Coverage(tuple(images["image_id"]), tuple(sources.values()))
    return _table(parts, fitted["classes"]), coverage


class Looker:
    """A detector ready to look at images.

    Args:
        fitted: What the checkpoint holds.
        device: Where to compute.
        dtype: In which number format the convolutions compute; boxes and scores are always 32-bit.
        max_detections: The best are kept of each view.
        min_score: Detections below are left out.
    """

    def __init__(
        self, fitted: dict, device: torch.device, dtype: torch.dtype, max_detections: int, min_score: float
    ) -> None:
        config = Config(fitted["config"])
        limits = config.model.test_cfg
        limits.rcnn.score_thr, limits.rcnn.max_per_img = min_score, max_detections
        limits.rpn.max_per_img = max(limits.rpn.max_per_img, max_detections)
        self.model = MODELS.build(config.model)
        self.model.load_state_dict(fitted["state_dict"])
        self.model.eval()
        place(self.model, device)
        self.prepare = Compose(config.test_pipeline)
        self.device, self.dtype = device, dtype

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Return what is found in grey images of one size, uint8 (height, width)."""
        packed = [self.prepare({"img": image, "ori_shape": image.shape, "img_shape": image.shape}) for image in images]
        data = {key: [pack[key] for pack in packed] for key in ("inputs", "data_samples")}
        data = self.model.data_preprocessor(data, training=False)
        samples = data["data_samples"]
        inputs = data["inputs"].contiguous(memory_format=torch.channels_last)
        metas = [sample.metainfo for sample in samples]
        head = self.model.roi_head
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            features = self.model.extract_feat(inputs)
            proposals = self.model.rpn_head.predict(features, samples, rescale=False)
            found = head.predict_bbox(features, metas, proposals, head.test_cfg, rescale=False)
            rois = bbox2roi([each.bboxes for each in found])
            labels = torch.cat([each.labels for each in found])
            patches = self._patches(features, rois, labels)
        counts = [len(each) for each in found]
        scales = [meta["scale_factor"] for meta in metas]
        return [
            _in_image(each.bboxes.cpu().numpy(), each.scores, each.labels, part, scale, image.shape)
            for each, part, scale, image in zip(found, patches.split(counts), scales, images, strict=True)
        ]

    def _patches(self, features: Sequence[torch.Tensor], rois: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        head = self.model.roi_head
        pairs = list(zip(stages(head.mask_roi_extractor), stages(head.mask_head), strict=True))
        patches, at_once = [torch.empty((0, PATCH, PATCH), dtype=torch.uint8)], AT_ONCE[rois.device.type]
        for some, types in zip(rois.split(at_once), labels.split(at_once), strict=True):
            total = torch.zeros((len(some), PATCH, PATCH), device=rois.device)
            for extract, mask_head in pairs:
                logits = mask_head(extract(features[: extract.num_inputs], some)).float()
                channel = torch.zeros_like(types) if logits.shape[1] == 1 else types
                total += logits[torch.arange(len(some), device=rois.device), channel].sigmoid()
            patches.append((total * (255 / len(pairs))).round().to(torch.uint8).cpu())
        return torch.cat(patches)


def _look(
    look: Looker, images: pd.DataFrame, views: Sequence[str], load: Load, batch_size: int
) -> Iterator[tuple[str, str, Found]]:
    """Look at every view of every image in order, equally large neighbours together."""
    loaded = ((row.image_id, load(Path(row.path))) for row in images.itertuples())
    jobs = ((image_id, view, image) for (image_id, image), view in _pairs(loaded, views))
    for _, alike in groupby(jobs, key=lambda job: job[2].shape):
        for batch in _batches(alike, batch_size):
            found = look([_mirror(image, view) for _, view, image in batch])
            for (image_id, view, image), each in zip(batch, found, strict=True):
                yield image_id, view, _upright(each, view, *image.shape)


def _pairs(loaded: Iterator, views: Sequence[str]) -> Iterator:
    return (pair for each in loaded for pair in product([each], views))


def _batches(jobs: Iterator, size: int) -> Iterator[list]:
    batch = []
    for job in jobs:
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _mirror(array: np.ndarray, view: str) -> np.ndarray:
    """Mirror the last two axes as the view does."""
    across, down = VIEWS[view]
    return np.ascontiguousarray(array[..., :: -1 if down else 1, :: -1 if across else 1])


def _upright(found: Found, view: str, height: int, width: int) -> Found:
    """Turn the detections of a mirrored image back."""
    (x1, y1, x2, y2), (across, down) = found.boxes.T, VIEWS[view]
    if across:
        x1, x2 = width - x2, width - x1
    if down:
        y1, y2 = height - y2, height - y1
    return found._replace(boxes=np.column_stack([x1, y1, x2, y2]), patches=_mirror(found.patches, view))


def _in_image(
    boxes: np.ndarray,
    scores: torch.Tensor,
    labels: torch.Tensor,
    patches: torch.Tensor,
    scale: tuple[float, float],
    shape: tuple[int, int],
) -> Found:
    """Return detections in pixels of the image; boxes of less than a pixel are left out."""
    boxes = boxes / np.tile(np.float32(scale), 2)
    boxes = np.clip(boxes, 0, np.float32([shape[1], shape[0]] * 2))
    kept = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
    return Found(boxes[kept], scores.cpu().numpy()[kept], labels.cpu().numpy()[kept], patches.numpy()[kept])


def _table(parts: Sequence[tuple[str, str, Found]], classes: Sequence[str]) -> pd.DataFrame:
    counts = [len(found.scores) for _, _, found in parts]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(found.boxes for *_, found in parts)])
    labels = np.concatenate([np.empty(0, np.int64), *(found.labels for *_, found in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(found.scores for *_, found in parts)])
    patches = np.concatenate([np.empty((0, PATCH, PATCH), np.uint8), *(found.patches for *_, found in parts)])
    return pd.DataFrame(
        {
            "image_id": np.repeat(np.array([image_id for image_id, *_ in parts], object), counts),
            "cell_type": np.array(classes, object)[labels],
            "score": scores,
            **{side: boxes[:, i] for i, side in enumerate(("x1", "y1", "x2", "y2"))},
            "mask": patch_column(patches),
            "source": np.repeat(np.array([source for _, source, _ in parts], object), counts),
        }
    )
