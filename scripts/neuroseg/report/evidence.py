"""Everything the report may tell of, each part of which may be absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neuroseg import tables
from neuroseg.errors import DataError
from neuroseg.files import read_json
from neuroseg.segmentation import likeness

_NAMES = (
    "image_id",
    "cell_type",
    "plate",
    "well",
    "field",
    "treatment",
    "dose",
    "dose_unit",
    "group",
    "sample",
    "check",
    "policy",
    "where",
    "message",
)
"""Text columns of the CSV tables: 001 stays 001, and only an empty field is missing, not NA, None or null."""


@dataclass(frozen=True)
class Evidence:
    """What the other stages found. Dictionaries go by ensemble, in their order; an absent part is empty.

    `detectors` is whose detectors found the cells, empty where they are the data set's own.
    """

    dataset: str
    images: pd.DataFrame
    truth: pd.DataFrame
    detectors: str = ""
    problems: pd.DataFrame | None = None
    fold_summary: pd.DataFrame | None = None
    controls: tuple[str, ...] = ()
    training: tuple[dict, ...] = ()
    metrics: dict[str, dict] = field(default_factory=dict)
    per_image: dict[str, pd.DataFrame] = field(default_factory=dict)
    segments: dict[str, pd.DataFrame] = field(default_factory=dict)
    quantities: dict[str, pd.DataFrame] = field(default_factory=dict)
    wells: dict[str, pd.DataFrame] = field(default_factory=dict)
    cells: dict[str, pd.DataFrame] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    learnt: tuple[likeness.Learnt, ...] = ()


def read_evidence(
    dataset: str,
    images: Path,
    detectors: str = "",
    truth: Path | None = None,
    problems: Path | None = None,
    fold_summary: Path | None = None,
    *,
    scalars: Sequence[Path] = (),
    metrics: Sequence[Path] = (),
    per_image: Sequence[Path] = (),
    segments: Sequence[Path] = (),
    quantities: Sequence[Path] = (),
    wells: Sequence[Path] = (),
    cells: Sequence[Path] = (),
    remarks: Sequence[Path] = (),
) -> Evidence:
    """Read what there is.

    An ensemble's name is the stem of its metrics, per-image and segments files, the folder of its quantities,
    wells and cells.

    Raises:
        DataError: a file is missing, damaged, or not of its kind.
    """
    told = {path: _read_json(path, ("remarks",)) for path in remarks}
    return Evidence(
        dataset=dataset,
        detectors=detectors,
        images=tables.read("images", images),
        controls=tables.read_controls(images),
        truth=tables.empty("instances") if truth is None else tables.read("instances", truth),
        problems=None
        if problems is None
        else _read_csv(problems, ("check", "policy", "image_id", "message")),
        fold_summary=None
        if fold_summary is None
        else _read_csv(fold_summary, ("fold", "cell_type", "images", "cells")),
        training=tuple(
            _read_json(path, ("model", "fold", "iteration", "loss", "lr", "losses")) for path in scalars
        ),
        metrics={path.stem: _read_json(path, ("map", "ap")) for path in metrics},
        per_image={
            path.stem: _read_parquet(path, ("image_id", "ap", "fold", "cell_type")) for path in per_image
        },
        segments={path.stem: tables.read("instances", path) for path in segments},
        quantities={
            path.parent.name: _read_csv(path, ("image_id", "count", "confluence", "median_area_px"))
            for path in quantities
        },
        wells={
            path.parent.name: _read_csv(path, ("plate", "well", "images", "count", "median_area_px"))
            for path in wells
        },
        cells={path.parent.name: _read_parquet(path, ("image_id", "cell_type", "area_px")) for path in cells},
        remarks=_remarks({path: content["remarks"] for path, content in told.items()}),
        learnt=tuple(map(likeness.read, told.values())),
    )


def _remarks(told: Mapping[Path, Sequence[str]]) -> tuple[str, ...]:
    """Return what all detectors remark, and what some do, which may have seen other images, with their names.

    Args:
        told: Of each, by its file predict/MODEL/fold_K.remarks.json.
    """
    by: dict[str, list[Path]] = {}
    for path, sentences in told.items():
        for sentence in sentences:
            by.setdefault(sentence, []).append(path)
    return tuple(
        sentence
        if len(paths) == len(told)
        else f"{' and '.join(_detector(path) for path in paths)}: {sentence}"
        for sentence, paths in by.items()
    )


def _detector(path: Path) -> str:
    return f"{path.name.partition('.')[0].replace('_', ' ')} of {path.parent.name}"


def _read_csv(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise _unreadable(path, error) from error
    return _having(frame, needed, path)


def _read_parquet(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    return _having(tables.read_figures(path), needed, path)


def _read_json(path: Path, needed: Sequence[str]) -> dict:
    content = read_json(path)
    missing = [key for key in needed if key not in content]
    if missing:
        raise DataError(f"{path}: the key {missing[0]} is missing; run the stage that writes it again.")
    return content


def _having(frame: pd.DataFrame, needed: Sequence[str], path: Path) -> pd.DataFrame:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(f"{path}: the column {missing[0]} is missing; run the stage that writes it again.")
    return frame


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return DataError(f"{path}: cannot be read ({reason}); run the stage that writes it again.")
