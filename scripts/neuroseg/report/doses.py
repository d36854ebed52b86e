"""What arms are called, treatment and dose, and how they follow one another."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

_DOSE = re.compile(r"(\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)\s*(?:([fpnuµμm])(?=M\b|mol\b|g\b|l\b|L\b|U\b))?")
_PREFIXES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3}
"""Of units of amount, mass and volume, such as nM, µmol/l and mg."""


def arm_name(treatment: str, dose: object, unit: object) -> str:
    """Return what an arm is called: NGF 10 µM."""
    return " ".join(
        [treatment, *(str(part) for part in (dose, unit) if not pd.isna(dose) and not pd.isna(part))]
    )


def ordered(wells: pd.DataFrame, control: Sequence[str]) -> list[str]:
    """Return the arms, those of the control first, then by treatment, doses of one treatment by size."""

    def place(row: tuple[str, str]) -> tuple[bool, str, float, str]:
        treatment, arm = row
        return treatment not in control, treatment, _size(arm.removeprefix(treatment)), arm

    return [arm for _, arm in sorted(set(zip(wells["treatment"], wells["arm"], strict=True)), key=place)]


def _size(dose: str) -> float:
    """Return a dose as a number that grows with it, 10 nM below 1 µM; -1 where there is none."""
    found = _DOSE.search(dose)
    if found is None:
        return -1.0
    return float(found[1].replace(",", ".")) * _PREFIXES.get(found[2] or "", 1.0)
