"""Gather scores, curves, overlays, problems and measurements into one page that opens offline."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    dataset_name: str,
    detectors: str = "",
    images: Path,
    truth: Path | None = None,
    problems: Path | None = None,
    fold_summary: Path | None = None,
    scalars: tuple[Path, ...] = (),
    metrics: tuple[Path, ...] = (),
    per_image: tuple[Path, ...] = (),
    segments: tuple[Path, ...] = (),
    quantities: tuple[Path, ...] = (),
    wells: tuple[Path, ...] = (),
    cells: tuple[Path, ...] = (),
    remarks: tuple[Path, ...] = (),
    out: Path,
) -> None:
    """Gather scores, curves, overlays, problems and measurements into one page that opens offline.

    Args:
        dataset_name: the page's title. Whatever else but the images is not given, its section says so.
        detectors: whose detectors found the cells, where they are not this data set's own.
        images: the images table of `validate`.
        truth: the instances table of `validate`.
        problems: the list of problems of `validate`, CSV.
        fold_summary: fold sizes of `split`, CSV.
        scalars: the training curves of `train`, JSON, one for each model and fold.
        metrics: the scores of `evaluate`, JSON, one for each ensemble, named after it.
        per_image: the images' scores of `evaluate`, Parquet, named after the ensemble.
        segments: the instances of `segment`, named after the ensemble.
        quantities: the images' summaries of `quantify`, CSV, in a folder named after the ensemble.
        wells: the wells' summaries of `quantify`, likewise.
        cells: the cells of `quantify`, Parquet, in a folder named after the ensemble.
        remarks: what `predict` remarked, JSON, one for each model and fold.
        out: the page, HTML. AP by threshold and training curves go beside it, each an SVG file in `charts`.
    """
    from neuroseg import files, readers, report

    several = {"scalars": scalars, "metrics": metrics, "per_image": per_image, "segments": segments}
    several |= {"quantities": quantities, "wells": wells, "cells": cells, "remarks": remarks}
    evidence = report.read_evidence(dataset_name, images, detectors, truth, problems, fold_summary, **several)
    with files.replacing_folder(out.parent / "charts") as folder, files.replacing(out) as page:
        report.write_charts(evidence, folder)
        page.write_text(report.render(evidence, readers.read_image), encoding="utf-8")


if __name__ == "__main__":
    run(main)
