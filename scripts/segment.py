"""Turn soft detections into disjoint, scored instances, by thresholds tuned for each fold and cell type."""

from pathlib import Path

from neuroseg.command import run


def main(
    *, detections: Path, images: Path, folds: Path, thresholds: Path, threads: int = 1, instances: Path
) -> None:
    """Turn soft detections into disjoint, scored instances, by thresholds tuned for each fold and cell type.

    Args:
        detections: what `ensemble` wrote.
        images: the images table of `validate`.
        folds: the folds table of `split`; it says which thresholds an image may be cut by.
        thresholds: what `tune` wrote: for each fold, those chosen on the other folds; for images of fold -1,
            on all.
        threads: how many batches of images are in work side by side.
        instances: the instances, no two of which share a pixel.
    """
    import pandas as pd

    from neuroseg import segmentation, tables

    listed, held_out = tables.read("images", images), tables.read("folds", folds)
    chosen = segmentation.read_thresholds(thresholds)
    areas = [tables.empty("instances")[["image_id", "area"]]]
    with tables.writing("instances", instances) as append:
        for part in segmentation.stream(detections, listed, held_out, chosen, threads):
            append(part)
            areas.append(part[["image_id", "area"]])
    for doubt in segmentation.doubts(pd.concat(areas), listed):
        print(f"note: {doubt}")


if __name__ == "__main__":
    run(main)
