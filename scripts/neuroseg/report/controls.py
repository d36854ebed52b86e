"""Which treatments are the control that others are compared with, and by whose word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CONTROLS = frozenset((
    "control", "controls", "ctrl", "ctl", "negative control", "neg control", "neg. control", "none",
    "untreated", "no treatment", "vehicle", "vehicle control", "dmso", "mock", "sham", "pbs", "saline",
    "medium", "media",
))  # fmt: skip
"""Treatments known as controls by name, in lower case, where nobody says which is the control."""


def of(treatments: Sequence[str], said: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """Return the treatments that are the control, and by whose word: "said", "recognised", or None if none.

    What plate map or dataset file say holds; else a name of CONTROLS, where exactly one treatment has such a
    name.
    """
    there = sorted(set(treatments))
    named = tuple(name for name in there if name in said)
    if named:
        return named, "said"
    recognised = tuple(name for name in there if name.strip().casefold() in CONTROLS)
    return (recognised, "recognised") if len(recognised) == 1 else ((), None)


def sentence(treatments: Iterable[str], names: Sequence[str], source: str | None) -> str:
    """Return what a reader must know of the control that `of` found."""
    listed = ", ".join(sorted(set(treatments)))
    if source == "said":
        return f"The control is {' and '.join(names)}, as the plate map or the dataset file says."
    if source == "recognised":
        return (
            f"The control is {names[0]}, known by its name; name another with `control:` in the dataset file."
        )
    return (
        f"No ratio is given, as it is not known which treatment is the control ({listed}): name it with "
        "`control:` in the dataset file, or by a column `control` of the plate map."
    )
