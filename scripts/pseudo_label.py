"""Label images without annotation by what the detector of a fold, the teacher, finds in them."""

from pathlib import Path
from typing import Literal

from neuroseg import detector, fusion, readers, segmentation, tables
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
    device: str = "auto",
    instances: Path,
) -> None:
    """Label images without annotation by what the detector of a fold, the teacher, finds in them.

    Its views are fused by WBF and made disjoint; what scores enough is kept, for the fold's student to learn from. A
    cell is of its image's type where the images table tells one, else of the type that all finds there vote for. An
    image without such a find is left out, and so is one of a group that the fold holds out.

    Args:
        checkpoint: The teacher: a detector fitted with the same fold held out.
        images: The images table.
        folds: The folds table.
        fold: The fold that teacher and student hold out; all for none.
        kinds: Which images without annotation: unlabelled, test.
        views: Ways to look at an image, as in predict.
        min_score: Lowest score of a cell that is kept, by cell type, as pairs: default 0.5 astro 0.4.
        batch_size: Views that pass the network together.
        device: auto, cpu or cuda.
        instances: Where the pseudo-labels go, an instances table with scores.
    """
    listed = detector.unannotated(tables.read("images", images), tables.read("folds", folds), fold, kinds)
    types = detector.classes(checkpoint)
    thresholds = segmentation.untuned(min_score, types)
    settings = {"fold": fold, "source": "teacher", "views": views, "batch_size": batch_size, "device": device}
    found, coverage = detector.predict(checkpoint, listed, load=readers.read_uint8, **settings)
    if coverage.images:
        teacher = fusion.Member(checkpoint, frozenset(coverage.images), dict.fromkeys(coverage.sources, 1.0))
        found = fusion.fuse([found], [teacher], coverage.images, fusion.Fusion(), "teacher")
    labels = segmentation.instances(segmentation.of_known_type(found, listed, types), listed, thresholds)
    tables.write("instances", labels, instances)
    print(f"{len(labels)} cells in {labels['image_id'].nunique()} of {len(listed)} images are pseudo-labelled")


if __name__ == "__main__":
    run(main)
