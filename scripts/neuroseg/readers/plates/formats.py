"""What Excel's number formats show around a number: a unit behind it, a sign before it."""

from __future__ import annotations

import operator
import re

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|[_*].|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[[^\]]*\]|(?P<per_cent>%)'
    r"|(?P<figures>General|@|[#0?][#0?.,]*(?:E[+-][#0?]+)?(?:(?: [#0?]+)?\s*/\s*[#0?\d]+)?)|(?P<other>.)",
    re.IGNORECASE,
)
_SECTIONS = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?[\d.]+(?:E[+-]?\d+)?)\]", re.IGNORECASE)
_HOLDS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "<>": operator.ne,
}


def shown(value: float | str, form: str) -> str | None:
    """Return a number or text as its format shows it, with all figures: 10 nM, ~5 %; None if it adds nothing.

    Args:
        value: what the cell holds.
        form: the cell's number format, such as `0.0" nM"`, `0 [$nM]` or `[>=1000]0.0," µM";0" nM"`.
    """
    section = _section(value, _SECTIONS.split(form))
    tokens = list(_TOKEN.finditer(section))
    places = [at for at, token in enumerate(tokens) if token["figures"]]
    if not places:
        told = _text(tokens)
        return told if value and any(map(str.isalpha, told)) else None
    if len(places) > 1 or (isinstance(value, str) and tokens[places[0]][0] != "@"):
        return None  # the figures themselves are parted, as a telephone number's; or the format is of numbers
    before, behind = _text(tokens[: places[0]]), _text(tokens[places[0] + 1 :])
    if not (before + behind).strip() or (before + behind).strip() in ("-", "()"):
        return None
    if isinstance(value, str):
        return f"{before}{value}{behind}"
    figures = tokens[places[0]][0]
    per_cent = any(token["per_cent"] for token in tokens)
    number = value * (100 if per_cent else 1) / 1000 ** (len(figures) - len(figures.rstrip(",")))
    blank = " " if behind.startswith("%") else ""
    return f"{before if value >= 0 else ''}{number:.12g}{blank}{behind}"


def _section(value: float | str, sections: list[str]) -> str:
    """Return the part of a format that holds for a value: by its condition or its sign, or if it is text."""
    if isinstance(value, str):
        return sections[3] if len(sections) > 3 else sections[-1]
    said = [_CONDITION.search(section) for section in sections[:3]]
    if any(said):
        for at, (section, condition) in enumerate(zip(sections, said, strict=False)):
            # the second of three is that of negative numbers
            other = at < 1 or at == len(said) - 1 or value < 0
            if _HOLDS[condition[1]](value, float(condition[2])) if condition else other:
                return section
        return ""
    place = 1 if value < 0 else 2 if value == 0 else 0
    return sections[place if place < min(len(sections), 3) else 0]


def _text(tokens: list[re.Match[str]]) -> str:
    """Return what tokens show beside figures."""
    kinds = ("quoted", "escaped", "currency", "per_cent", "other")
    return "".join(next((token[kind] for kind in kinds if token[kind]), "") for token in tokens)
