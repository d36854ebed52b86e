"""Doses in one form, however they are written: the number, and its unit."""

from __future__ import annotations

import re
from unicodedata import numeric

OF = r"(?:final|nominal|working|applied|assay|treatment|drug|compound|test)"
"""Words that say of a dose or its unit that it is the one in the well, and nothing else."""

_APART, _MINUS = r"[\s_·⋅∙•*.]+", r"\^?(?:[-−–]|⁻)"
_BASES = {base.casefold(): base for base in ("mol", "M", "g", "IU", "U", "Gy")}
_BASE, _OVER = "|".join(_BASES.values()), r"(?:\s*/\s*|[\s_]per[\s_])"
_LITRE_OR_GRAM = r"[dmuµμ]?l|kg|g"
UNIT = (
    rf"(?:%|[fpnuµμmk]?(?:{_BASE})"
    rf"(?:{_OVER}(?:{_LITRE_OR_GRAM}|cm[2²])"
    rf"|{_APART}(?:(?:{_LITRE_OR_GRAM}){_MINUS}[1¹]|cm{_MINUS}[2²]))"
    r"|[fpnuµμmk]?(?:mol|M|g|IU|Gy))"
)
"""Units of doses as people write them, to be matched whatever the case."""

PER_CENT = r"%\s*\(?[vw]\s*/\s*[vw]\)?"
"""Shares of volume and weight: % v/v, % (w/v)."""

ANY_UNIT = (
    rf"(?:{UNIT}|{PER_CENT}|[mk]?U|units|MOI|ppm|ppb"
    rf"|[^\W\d_]+\s*/\s*(?:{_LITRE_OR_GRAM}|cm[2²]|wells?|cells?))"
)
"""What more is a unit where nothing else can stand: alone in brackets, or behind a number."""

_NUMBER = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?"
_WRITTEN = re.compile(
    rf"(?P<about>[<>≤≥~])?\s*\+?(?P<number>{_NUMBER})(?:\s*(?P<mark>[-−–:])\s*(?P<to>{_NUMBER}))?"
    rf"\s*(?P<unit>{ANY_UNIT})?(?:[\s,;]+[(\[]?{OF}[)\]]?)?",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(rf"[-−–]\s*{_NUMBER}.*", re.IGNORECASE)
_DOUBTFUL = re.compile(r"[<>≤≥~]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:\.\d{3})*\.\d\d0)")

_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹−–", "+-0123456789--")
_ABOUT = (("<=", "≤"), (">=", "≥"), *((word, "~") for word in ("≈", "∼", "ca.", "ca ", "approx.", "about ")))
_OWN_TEN = re.compile(r"(?<![\d.,])10(?:\s*(?:\^|\*\*)\s*\(?([+−–-]?\d+)\)?|([⁺⁻]?[⁰¹²³⁴-⁹]+))")
_TEN = re.compile(rf"({_NUMBER})\s*[x×·⋅∙*]\s*(?:1e([+-]?\d+)|10\s?[-−–](\d+))(?![\d.,])", re.IGNORECASE)
_SPACED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:[\s'’]\d{3})+(?!\d)")
_BOTH = re.compile(r"(?<![\d.,])(?:[1-9]\d{0,2}(?:,\d{3})+\.\d+|[1-9]\d{0,2}(?:\.\d{3})+,\d+)(?![\d.,])")
_FRACTION = re.compile(r"(?<![\d.,])(\d*)\s?([¼½¾⅐-⅞])")

_POWER = re.compile(rf"{_APART}([^\W\d_]+){_MINUS}(?:[1¹]|([2²]))$")
_PARTS = re.compile(rf"(?P<prefix>[fpnuµmk]?)(?P<base>{_BASE})(?:{_OVER}(?P<of>\w+))?", re.IGNORECASE)


def tidy_dose(text: str, unit: str | None) -> tuple[str, str | None]:
    """Return a dose and its unit in the form that all ways to write them share.

    A number has a decimal point, no zeros that tell nothing and at most twelve digits: 0,5 becomes 0.5, 1 000
    becomes 1000, and 1·10^-3 becomes 0.001. A unit behind the number goes before the given one; words such as
    final are left out. Bounds, ranges and dilutions keep their marks: <1, 10-20, 1:100. What is no number
    stays as it is, and so does a number of which `doubtful` does not know the size; words, such as vehicle,
    have no unit.

    Args:
        text: the dose as it is written.
        unit: the unit that holds where the text names none.
    """
    match = _match(text)
    if match is None:
        figures = any(map(str.isdigit, text)) and not any(map(str.isalpha, text))  # 10/20, 5 + 5
        return text, tidy_unit(unit) if figures else None
    mark = "-" if match["mark"] not in (None, ":") else match["mark"] or ""
    number = f"{match['about'] or ''}{_short(match['number'])}{mark}{_short(match['to'] or '')}"
    return number, tidy_unit(match["unit"] or unit)


def understood(text: str) -> bool:
    """Return whether a dose is a number, with a unit or without, or tells no number but zero."""
    return _match(text) is not None or not any(numeric(sign, 0) for sign in text)


def doubtful(dose: str) -> bool:
    """Return whether a dose may be a thousand or a decimal number: 1,000 or 2.500."""
    return bool(_DOUBTFUL.fullmatch(dose))


def decimal_marks(dose: str) -> str:
    """Return the decimal marks in a dose, "," or "." for each number with one, but for thousands: 1,000."""
    numbers = re.findall(r"\d+(?:[.,]\d+)+|[.,]\d+", dose)
    return "".join(re.findall("[.,]", number)[-1] for number in numbers if not doubtful(number))


def negative(dose: str) -> bool:
    """Return whether a dose is below zero: -5 nM."""
    return bool(_NEGATIVE.fullmatch(dose)) and not_zero(dose)


def not_zero(dose: str) -> bool:
    """Return whether a dose has a figure other than 0, those of a known unit aside."""
    return any(sign in "123456789" for sign in tidy_dose(dose, None)[0])


def _match(text: str) -> re.Match[str] | None:
    """Return the parts of a dose, its numbers in figures alone; None if it is none.

    A range that falls, such as 10-6, is none: it may be a power of ten.
    """
    plain = text
    for word, mark in _ABOUT:
        if plain.casefold().startswith(word):
            plain = mark + plain[len(word) :]
    plain = _OWN_TEN.sub(lambda ten: f"1e{(ten[1] or ten[2]).translate(_RAISED)}", plain)
    plain = _TEN.sub(lambda ten: f"{ten[1]}e{ten[2] or f'-{ten[3]}'}", plain)
    plain = _SPACED.sub(lambda figures: re.sub(r"\D", "", figures[0]), plain)
    plain = _BOTH.sub(lambda figures: re.sub(r"[.,](?=.*[.,])", "", figures[0]), plain)
    plain = _FRACTION.sub(lambda part: f"{int(part[1] or 0) + numeric(part[2]):.12g}", plain)
    match = _WRITTEN.fullmatch(plain)
    if match and match["mark"] not in (None, ":") and _value(match["to"]) <= _value(match["number"]):
        return None
    return match


def _value(number: str) -> float:
    return float(number.replace(",", "."))


def _short(number: str) -> str:
    return number if not number or doubtful(number) else f"{_value(number):.12g}"


def tidy_unit(unit: str | None) -> str | None:
    """Return a unit in one spelling: uM as µM, ng/mL and ng mL-1 as ng/ml; what is no unit as it is."""
    if unit is None:
        return None
    plain = " ".join(unit.replace("μ", "µ").split())  # the Greek letter, and the sign micro
    if re.fullmatch(PER_CENT, plain, re.IGNORECASE):
        return "% " + "/".join(re.findall("[vw]", plain.casefold()))
    slashed = _POWER.sub(lambda power: f"/{power[1]}{'2' if power[2] else ''}", plain)
    match = _PARTS.fullmatch(slashed.replace("²", "2"))
    if match is None:
        return plain or None
    told = f"{_micro(match['prefix'])}{_BASES[match['base'].casefold()]}"
    return f"{told}/{_micro(match['of'])}" if match["of"] else told


def _micro(text: str) -> str:
    return re.sub("^u", "µ", text.casefold().replace("μ", "µ"))
