"""Label images without annotation by what the detector of a fold, the teacher, detects in them."""

from pathlib import Path
from typing import Any, Literal

from neuroseg.command import run


def main(
    *,
    checkpoint: Path,
    images: Path,
    folds: Path,
    fold: int | Literal["all"],
    kinds: tuple[str, ...] = ("unlabelled",),
    views: tuple[str, ...] = ("none",),
    min_score: dict[str, float],
    batch_size: int = 4,
    max_detections: int = 1000,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    device: str = "auto",
    instances: Path,
) -> None:
    """Label images without annotation by what a fold's detector, the teacher, detects, views fused by WBF.

    Args:
        checkpoint: The teacher: a detector fitted with the same fold held out.
        images: The images table.
        folds: The folds table.
        fold: The fold that teacher and student hold out; all for none.
        kinds: Which images without annotation: unlabelled, test.
        views: Views of an image, as in predict.
        min_score: Lowest score of a cell that is kept, by cell type, as pairs: default 0.5 astro 0.4.
        batch_size: As in predict.
        max_detections: As in predict.
        precision: As in predict.
        device: auto, cpu or cuda.
        instances: Where the disjoint pseudo-labels go; of their image's type, or of the one voted for.
    """
    from neuroseg import cell_types, detector, fusion, readers, segmentation, tables
    from neuroseg.folds import unannotated

    detector.prepare_cpu(device)
    listed = unannotated(tables.read("images", images), tables.read("folds", folds), fold, kinds)
    types = detector.classes(checkpoint)
    settings: dict[str, Any] = {"views": views, "batch_size": batch_size, "max_detections": max_detections}
    settings |= {"precision": precision, "device": device, "load": readers.read_image}
    found, coverage, *_ = detector.predict(checkpoint, listed, source="teacher", fold=fold, **settings)
    if coverage.images:
        teacher = fusion.Member(checkpoint, frozenset(coverage.images), dict.fromkeys(coverage.sources, 1.0))
        found = fusion.fuse([found], [teacher], coverage.images, fusion.Fusion(), "teacher")
    thresholds, typed = segmentation.untuned(min_score, types), cell_types.of_image(found, listed, types)
    tables.write("instances", labels := segmentation.instances(typed, listed, thresholds), instances)
    print(f"{len(labels)} cells pseudo-labelled in {labels['image_id'].nunique()} of {len(listed)} images")


if __name__ == "__main__":
    run(main)
