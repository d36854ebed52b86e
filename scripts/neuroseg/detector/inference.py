"""Find cells: boxes with scores, and the probability of each pixel of a box."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from neuroseg.detector import backbones, heads, transforms  # noqa: F401  they enter MMDetection's registry
from neuroseg.detector.checkpoints import read_detector
from neuroseg.detector.dataset import Load
from neuroseg.detector.openmmlab import MODELS, Compose, Config, bbox2roi
from neuroseg.detector.precision import choose_device, choose_dtype, place, stages
from neuroseg.detector.progress import say
from neuroseg.detector.selection import Fold
from neuroseg.detector.upsampling import logits
from neuroseg.detector.views import View, mirror, read_view, show
from neuroseg.tables import PATCH, Coverage, DataError, patch_column

AT_ONCE = {"cuda": 512, "cpu": 32}
"""Boxes whose masks are computed together: 0.8 GB of features in a full-size mask head; or what a CPU's cache holds."""


class Found(NamedTuple):
    """The detections of one view of one image, by descending score."""

    boxes: np.ndarray  # float32 (n, 4): x1, y1, x2, y2 in pixels of the image
    scores: np.ndarray  # float32 (n,)
    labels: np.ndarray  # int64 (n,)
    patches: np.ndarray  # uint8 (n, 28, 28): 255 times the probability


class _Job(NamedTuple):
    image_id: str
    view: str
    image: np.ndarray  # as the view shows it
    frame: tuple[int, int]  # height and width of the image itself


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
        views: Names of views, see `views.read_view`.
        batch_size: Views that pass the network together; only equally large ones do, so the batch changes nothing.
        max_detections: The best are kept of each view.
        min_score: Detections below are left out.
        precision: fp32, bf16, fp16, or auto.
        device: cpu, cuda, or auto.

    Raises:
        DataError: the checkpoint cannot be used, or a view is unknown.
    """
    seen = {name: read_view(name) for name in views}
    fitted, where = read_detector(checkpoint), choose_device(device)
    if fold not in (None, fitted["fold"]):
        raise DataError(
            f"{checkpoint}: this is the detector of fold {fitted['fold']}, which has learnt from the images that "
            f"fold {fold} holds out; give the checkpoint of fold {fold}."
        )
    look = Looker(fitted, where, choose_dtype(precision, where), max_detections, min_score)
    sources = {view: f"{source}/{fitted['fold']}/{view}" for view in views}
    parts, began, spoke = [], time.monotonic(), time.monotonic()
    for done, (image_id, view, found) in enumerate(_look(look, images, seen, load, batch_size), 1):
        parts.append((image_id, sources[view], found))
        if time.monotonic() - spoke > 10 or done == len(images) * len(sources):
            spoke = time.monotonic()
            say(f"image {-(-done // len(sources))}/{len(images)}, {(spoke - began) / done:.2f} s a view")
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
    def __call__(self, images: Sequence[np.ndarray], frames: Sequence[tuple[int, int]] | None = None) -> list[Found]:
        """Return what is found in grey images of one size, uint8 (height, width).

        Args:
            images: As the network sees them.
            frames: Height and width of what each of them shows, in whose pixels boxes are told; None for its own.
        """
        frames = frames or [image.shape for image in images]
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
        return [
            _in_image(each.bboxes.cpu().numpy(), each.scores, each.labels, part, _scale(meta, frame), frame)
            for each, part, meta, frame in zip(found, patches.split(counts), metas, frames, strict=True)
        ]

    def _patches(self, features: Sequence[torch.Tensor], rois: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        head = self.model.roi_head
        pairs = list(zip(stages(head.mask_roi_extractor), stages(head.mask_head), strict=True))
        patches, at_once = [torch.empty((0, PATCH, PATCH), dtype=torch.uint8)], AT_ONCE[rois.device.type]
        for some, types in zip(rois.split(at_once), labels.split(at_once), strict=True):
            total, pooled = torch.zeros((len(some), PATCH, PATCH), device=rois.device), {}
            for extract, mask_head in pairs:
                alike = getattr(extract, "settings", extract)  # a cascade's stages see the same, if set up alike
                if alike not in pooled:
                    pooled[alike] = extract(features[: extract.num_inputs], some)
                total += logits(mask_head, pooled[alike], types).sigmoid()
            patches.append((total * (255 / len(pairs))).round().to(torch.uint8).cpu())
        return torch.cat(patches)


def _look(
    look: Looker, images: pd.DataFrame, views: Mapping[str, View], load: Load, batch_size: int
) -> Iterator[tuple[str, str, Found]]:
    """Look at every view of every image in order, equally large neighbours together."""
    for _, alike in groupby(_shown(images, views, load), key=lambda job: job.image.shape):
        for batch in _batches(alike, batch_size):
            found = look([job.image for job in batch], [job.frame for job in batch])
            for job, each in zip(batch, found, strict=True):
                yield job.image_id, job.view, _upright(each, views[job.view], *job.frame)


def _shown(images: pd.DataFrame, views: Mapping[str, View], load: Load) -> Iterator[_Job]:
    for row in images.itertuples():
        image = load(Path(row.path))
        for name, view in views.items():
            yield _Job(row.image_id, name, show(image, view), image.shape)


def _batches(jobs: Iterator, size: int) -> Iterator[list]:
    batch = []
    for job in jobs:
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _upright(found: Found, view: View, height: int, width: int) -> Found:
    """Turn the detections of a mirrored image back."""
    x1, y1, x2, y2 = found.boxes.T
    if view.across:
        x1, x2 = width - x2, width - x1
    if view.down:
        y1, y2 = height - y2, height - y1
    return found._replace(boxes=np.column_stack([x1, y1, x2, y2]), patches=mirror(found.patches, view))


def _scale(meta: dict, frame: tuple[int, int]) -> np.ndarray:
    """Return how many of the network's pixels make one of the frame, across and down, float32."""
    height, width = meta["ori_shape"]
    return np.float32(meta["scale_factor"]) * np.float32([width / frame[1], height / frame[0]])


def _in_image(
    boxes: np.ndarray,
    scores: torch.Tensor,
    labels: torch.Tensor,
    patches: torch.Tensor,
    scale: np.ndarray,
    shape: tuple[int, int],
) -> Found:
    """Return detections in pixels of the image; boxes of less than a pixel are left out."""
    boxes = boxes / np.tile(scale, 2)
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
