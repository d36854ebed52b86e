"""Find cells: boxes with scores, and the probability of each pixel of a box."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neuroseg.detector import appearance, caps, cells, foreign, remarks, scaling
from neuroseg.detector.building import build, usable
from neuroseg.detector.checkpoints import read_detector
from neuroseg.detector.dataset import Load
from neuroseg.detector.heads import own_logits
from neuroseg.detector.looking import find
from neuroseg.detector.openmmlab import BaseRoIExtractor, Config, bbox2roi
from neuroseg.detector.precision import choose_device, choose_dtype, place, stages
from neuroseg.detector.progress import say
from neuroseg.detector.remarks import Prediction
from neuroseg.detector.roi_features import settings
from neuroseg.detector.tiling import Found
from neuroseg.detector.views import read_view
from neuroseg.errors import DataError
from neuroseg.folds import Fold
from neuroseg.tables import PATCH, Coverage, patch_column

AT_ONCE = {"cuda": 512, "cpu": 32}
"""Boxes whose masks are computed together: 0.8 GB of features in a full-size mask head;
or what a CPU's cache holds."""


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
    proposals: int | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int = 1,
) -> Prediction:
    """Return the detections of a fitted detector, what they cover, and what a person should know of them.

    Each view is a source of its own, `<source>/<fold>/<view>`, its detections turned back upright. The box
    and type of a detection come from the last box head; its patch is the probability of that type over the
    box, the mean of all mask heads, sampled at the centres of 28 x 28 equal parts of the box. Images larger
    than `tiling.LARGEST` are looked at in windows.

    Args:
        checkpoint: A fitted detector.
        images: Rows of the images table to predict.
        load: Reads an image, uint8 or uint16; its grey levels are brought to those that the detector has
            learnt.
        source: First part of the sources' names.
        fold: The fold that the checkpoint must be of; None if any will do.
        views: Names of views, see `views.read_view`.
        batch_size: Views of the size of a field (`tables.FIELD`) that pass the network together, of larger
            ones fewer; only equally large ones do, so the batch changes nothing.
        max_detections: The best are kept of each view, in images larger than a field so many for each field.
        min_score: Detections below are left out.
        proposals: Regions of each field that the first head passes on; None for the model file's number.
        precision: fp32, bf16, fp16, or auto.
        device: cpu, cuda, or auto.
        threads: How many batches a CPU computes side by side, which changes nothing either.

    Raises:
        DataError: the checkpoint cannot be used, or a view is unknown.
    """
    seen = {name: read_view(name) for name in views}
    fitted, where = read_detector(checkpoint), choose_device(device)
    if fold not in (None, fitted["fold"]):
        raise DataError(
            f"{checkpoint}: this is the detector of fold {fitted['fold']}, which has learnt "
            f"from the images that fold {fold} holds out; give the checkpoint of fold {fold}."
        )
    kept = caps.Kept(max_detections, min_score, proposals)
    for remark in caps.raised(kept):
        say(f"note: {remark}")
    predictor = Predictor(fitted, where, choose_dtype(precision, where), kept)
    sources = {view: f"{source}/{fitted['fold']}/{view}" for view in views}
    pixel_size = fitted.get("pixel_size_um")
    magnified = scaling.factors(images, pixel_size)
    parts: list[tuple[str, str, Found]] = []
    left_out: dict[str, float] = {}
    unseen: dict[str, None] = {}
    side_by_side = threads if where.type == "cpu" else 1
    read = appearance.Adapted(
        load, appearance.of_detector(fitted), one_contrast=appearance.at_many_contrasts(fitted)
    )
    looked = find(predictor, images, seen, read, read.content, magnified, batch_size, side_by_side)
    for row, view, found in looked:
        image_id = images["image_id"].iloc[row]
        parts.append((image_id, sources[view], found))
        if found.left_out is not None:
            left_out[image_id] = max(found.left_out, left_out.get(image_id, 0.0))
        unseen |= {image_id: None} if found.unseen else {}
    coverage = Coverage(tuple(images["image_id"]), tuple(sources.values()))
    doubted = scaling.doubts(predictor, images, pixel_size, read)
    seen_as = remarks.Seen(images, magnified, read, pixel_size, doubted, left_out)
    told, few = remarks.sentences(seen_as), caps.of_proposals(list(unseen), len(images))
    if proposals:
        told = (*told, *few)
    else:  # by the model file's own number they are too many wherever a first head is sure of everything
        for remark in few:
            say(remark)
    for remark in told:
        say(f"note: {remark}")
    factors = {name: float(by) for name, by in zip(coverage.images, magnified, strict=True) if by != 1}
    seen_of = remarks.unlike(seen_as), cells.of_detector(fitted), factors, read.structure(images)
    return Prediction(_table(parts, fitted["classes"]), coverage, told, *seen_of)


class Predictor:
    """A detector on its device, ready to predict images.

    Args:
        fitted: What the checkpoint holds.
        device: Where to compute.
        dtype: In which number format the convolutions compute; boxes and scores are always 32-bit.
        kept: How much of what is found is kept.
    """

    def __init__(self, fitted: dict, device: torch.device, dtype: torch.dtype, kept: caps.Kept) -> None:
        self.name = f"the detector {fitted['model']} of fold {fitted['fold']}"
        config = Config({section: fitted["config"][section] for section in foreign.BUILT})
        with usable(self.name):
            kept.limit(config.model.test_cfg)
            self.iou = float(config.model.test_cfg.rcnn.nms.iou_threshold)
        self.model, self.prepare = build(config, fitted["state_dict"], self.name)
        self.model.eval()
        place(self.model, device, kernels=fitted["config"].get("cpu_kernels", True))
        self.device, self.dtype = device, dtype

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[np.ndarray], frames: Sequence[tuple[int, int]] | None = None
    ) -> list[Found]:
        """Return what is found in grey images of one size, uint8 (height, width).

        Args:
            images: As the network sees them.
            frames: Height and width of what each of them shows, in whose pixels boxes are told; None for its
                own.

        Raises:
            DataError: with the detector's settings no image can be looked at.
        """
        with usable(self.name):
            return self._look(images, frames or [image.shape for image in images])

    def _look(self, images: Sequence[np.ndarray], frames: Sequence[tuple[int, int]]) -> list[Found]:
        packed = [
            self.prepare({"img": image, "ori_shape": image.shape, "img_shape": image.shape})
            for image in images
        ]
        data = {key: [pack[key] for pack in packed] for key in ("inputs", "data_samples")}
        data = self.model.data_preprocessor(data, training=False)
        samples = data["data_samples"]
        inputs = data["inputs"].contiguous(memory_format=torch.channels_last)
        if not inputs.isfinite().all():
            raise DataError(
                f"{self.name}: its data_preprocessor makes no finite numbers of an image; train it again."
            )
        metas = [sample.metainfo for sample in samples]
        head = self.model.roi_head
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            features = self.model.extract_feat(inputs)
            fields = caps.fields(*images[0].shape)
            proposals, crowded = caps.propose(self.model.rpn_head, features, samples, fields)
            if self.device.type == "cpu":  # whose kernels read 32 bits: turned once, not for every few boxes
                features = [each.float() for each in features]
            limits = copy.copy(head.test_cfg)
            most = caps.grown(limits.max_per_img, fields)
            limits.max_per_img = most + 1  # whose score tells what is left out
            ranked = head.predict_bbox(features, metas, proposals, limits, rescale=False)
            found = [each[:most] for each in ranked]
            rois = bbox2roi([each.bboxes for each in found])
            labels = torch.cat([each.labels for each in found])
            patches = self._patches(features, rois, labels)
        counts = [len(each) for each in found]
        told = [
            _in_image(each.bboxes.cpu().numpy(), each.scores, each.labels, part, _scale(meta, frame), frame)
            for each, part, meta, frame in zip(found, patches.split(counts), metas, frames, strict=True)
        ]
        left_out = [float(each.scores[most]) if len(each) > most else None for each in ranked]
        return [
            each._replace(left_out=score, unseen=many)
            for each, score, many in zip(told, left_out, crowded, strict=True)
        ]

    def _patches(
        self, features: Sequence[torch.Tensor], rois: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        head = self.model.roi_head
        extractors: list[BaseRoIExtractor] = stages(head.mask_roi_extractor)
        pairs = list(zip(extractors, stages(head.mask_head), strict=True))
        patches, at_once = [torch.empty((0, PATCH, PATCH), dtype=torch.uint8)], AT_ONCE[rois.device.type]
        for some, types in zip(rois.split(at_once), labels.split(at_once), strict=True):
            total, pooled = torch.zeros((len(some), PATCH, PATCH), device=rois.device), {}
            for extract, mask_head in pairs:
                alike = settings(extract)  # a cascade's stages see the same, if set up alike
                if alike not in pooled:
                    pooled[alike] = extract(features[: extract.num_inputs], some)
                total += own_logits(mask_head, pooled[alike], types).sigmoid()
            patches.append((total * (255 / len(pairs))).round().to(torch.uint8).cpu())
        return torch.cat(patches)


def _scale(meta: dict, frame: tuple[int, int]) -> np.ndarray:
    """Return how many of the network's pixels make one of the frame, across and down, float32."""
    height, width = meta["ori_shape"]
    return np.asarray(meta["scale_factor"], np.float32) * np.array(
        [width / frame[1], height / frame[0]], np.float32
    )


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
    boxes = np.clip(boxes, 0, np.array([shape[1], shape[0]] * 2, np.float32))
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
