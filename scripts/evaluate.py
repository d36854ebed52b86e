"""Score the held-out images by the competition's metric, with intervals over groups, and by COCO's AP."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    instances: Path,
    truth: Path,
    images: Path,
    folds: Path,
    bootstrap: int = 1000,
    seed: int = 0,
    metrics: Path,
    per_image: Path,
) -> None:
    """Score the held-out images by the competition's metric, with intervals over groups, and by COCO's AP.

    Args:
        instances: the predicted instances, scored and disjoint.
        truth: the true instances of `validate`.
        images: the images table of `validate`.
        folds: the folds table of `split`; scored are the annotated images that a fold holds out.
        bootstrap: draws of whole groups behind each 95 % interval.
        seed: of the draws.
        metrics: the figures, JSON.
        per_image: each image's figures, Parquet.
    """
    from neuroseg import files, tables
    from neuroseg import metrics as measure
    from neuroseg.folds import scored

    listed = tables.read("images", images)
    held = scored(listed, tables.read("folds", folds))
    predicted, true = tables.instances_of(listed, instances), tables.instances_of(listed, truth)
    table = measure.per_image(predicted, true, held)
    coco = {name: round(value, 6) for name, value in measure.coco(predicted, true, held).items()}
    figures = {**measure.summarise(table, bootstrap, seed), "coco": coco}
    tables.write_figures(table, per_image)
    files.write_json(figures, metrics)
    print(
        f"mAP {figures['map']:.4f} ({figures['map_low']:.4f} to {figures['map_high']:.4f}) "
        f"of {len(table)} images"
    )


if __name__ == "__main__":
    run(main)
