"""Doses in one form, however they are written: the number, and its unit."""

from __future__ import annotations

import re

_APART, _MINUS = r"[\s_·⋅∙•*.]+", r"\^?(?:[-−–]|⁻)"
UNIT = (
    r"(?:%|[pnuµμmk]?(?:mol|M|g|IU|U|Gy)"
    r"(?:(?:\s*/\s*|[\s_]per[\s_])(?:[dmuµμ]?l|kg|g|cm[2²])"
    rf"|{_APART}(?:(?:[dmuµμ]?l|kg|g){_MINUS}[1¹]|cm{_MINUS}[2²]))"
    r"|[pnuµμmk]?(?:mol|M|g|IU|Gy))"
)
"""Units of doses as people write them, to be matched whatever the case."""

_NUMBER = re.compile(r"\+?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_WRITTEN = re.compile(rf"(?P<number>{_NUMBER.pattern})\s*(?P<unit>{UNIT}|U)?", re.IGNORECASE)
_DOUBTFUL = re.compile(r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?:\.\d{3})*\.\d\d0)")
_NEGATIVE = re.compile(rf"[-−–]\s*{_WRITTEN.pattern}.*", re.IGNORECASE)
_POWER = re.compile(rf"{_APART}([^\W\d_]+){_MINUS}(?:[1¹]|([2²]))$")
_PARTS = re.compile(
    r"(?P<prefix>[pnuµmk]?)(?P<base>mol|M|g|IU|U|Gy)(?:(?:\s*/\s*|[\s_]per[\s_])(?P<of>\w+))?", re.IGNORECASE
)
_BASES = {"mol": "mol", "m": "M", "g": "g", "iu": "IU", "u": "U", "gy": "Gy"}


def tidy_dose(text: str, unit: str | None) -> tuple[str, str | None]:
    """Return a dose and its unit in the form that all ways to write them share.

    A number has a decimal point, no zeros that tell nothing and at most twelve digits: 0,5 becomes 0.5, and
    1,0 becomes 1. A unit behind the number goes before the given one. What is no number stays as it is, and
    so does a number of which `doubtful` does not know the size; words, such as vehicle, have no unit.

    Args:
        text: the dose as it is written.
        unit: the unit that holds where the text names none.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        figures = any(map(str.isdigit, text)) and not any(map(str.isalpha, text))  # 10-20, <5, 1:100
        return text, tidy_unit(unit) if figures else None
    number = match["number"]
    if not doubtful(number):
        number = f"{float(number.replace(',', '.')):.12g}"
    return number, tidy_unit(match["unit"] or unit)


def doubtful(dose: str) -> bool:
    """Return whether a dose may be a thousand or a decimal number: 1,000 or 2.500."""
    return bool(_DOUBTFUL.fullmatch(dose))


def negative(dose: str) -> bool:
    """Return whether a dose is below zero: -5 nM."""
    return bool(_NEGATIVE.fullmatch(dose)) and any(sign in "123456789" for sign in dose)


def tidy_unit(unit: str | None) -> str | None:
    """Return a unit in one spelling: uM as µM, ng/mL and ng mL-1 as ng/ml; what is no unit as it is."""
    if unit is None:
        return None
    plain = " ".join(unit.replace("μ", "µ").split())  # the Greek letter, and the sign micro
    slashed = _POWER.sub(lambda power: f"/{power[1]}{'2' if power[2] else ''}", plain)
    match = _PARTS.fullmatch(slashed.replace("²", "2"))
    if match is None:
        return plain or None
    told = f"{_micro(match['prefix'])}{_BASES[match['base'].casefold()]}"
    return f"{told}/{_micro(match['of'])}" if match["of"] else told


def _micro(text: str) -> str:
    return re.sub("^u", "µ", text.casefold().replace("μ", "µ"))
