"""Measure every cell, and sum up every image and every well: shapes, surroundings, counts, confluence."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    instances: Path,
    images: Path,
    remarks: tuple[Path, ...] = (),
    cells: Path,
    cells_csv: Path,
    summary: Path,
    wells: Path,
    dictionary: Path,
) -> None:
    """Measure every cell, and sum up every image and every well: shapes, surroundings, counts, confluence.

    Args:
        instances: the cells to measure, as `segment` (or `validate`, for the truth) wrote them.
        images: the images table of `validate`; its pixel sizes, where known, give columns in µm.
        remarks: what `predict` remarked, JSON, one for each model and fold: which images look unlike those
            learnt from.
        cells: one row per cell, Parquet.
        cells_csv: the same as CSV.
        summary: one row per image, CSV; an image without cells has count 0.
        wells: one row per well, time, treatment and dose, CSV.
        dictionary: one row per column of these tables, with its unit and meaning, CSV.
    """
    from neuroseg import files, morphology, readers, tables

    listed = tables.read("images", images)
    found = tables.read("instances", instances)
    measured = morphology.measure(found, listed, readers.read_image)
    unlike = morphology.unlike(remarks, found, listed)
    of_images = morphology.of_images(measured, found, listed, unlike)
    of_wells = morphology.of_wells(measured, of_images)
    tables.write_figures(measured, cells)
    sheets = {cells_csv: measured, summary: of_images, wells: of_wells, dictionary: morphology.dictionary()}
    for path, sheet in sheets.items():
        with files.replacing(path) as temporary:
            sheet.to_csv(temporary, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
