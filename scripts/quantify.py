"""Measure every cell, and sum up every image: shapes, counts, confluence."""

from pathlib import Path

from neuroseg import morphology, readers, tables
from neuroseg.command import run


def main(*, instances: Path, images: Path, cells: Path, summary: Path) -> None:
    """Measure every cell, and sum up every image: shapes, counts, confluence.

    Args:
        instances: the cells to measure, as `segment` (or `validate`, for the truth) wrote them.
        images: the images table of `validate`; its pixel sizes, where known, give columns in µm.
        cells: one row per cell, Parquet, with scikit-image's property names.
        summary: one row per image, CSV; an image without cells has count 0.
    """
    listed = tables.read("images", images)
    found = tables.read("instances", instances)
    measured = morphology.measure(found, listed, readers.read_image)
    summarised = morphology.summarise(measured, found, listed)
    with tables.replacing(cells) as path:
        measured.to_parquet(path, index=False, compression="zstd")
    with tables.replacing(summary) as path:
        summarised.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    run(main)
