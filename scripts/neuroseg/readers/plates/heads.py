"""The heads of a plate map's columns and the titles of its tables: which of them tells what."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from neuroseg.readers.plates.amounts import ANY_UNIT, OF, PER_CENT, UNIT, tidy_unit
from neuroseg.readers.plates.times import dated

_AMOUNTS = (
    *("dose", "doses", "dosage", "concentration", "concentrations", "conc", "conc."),
    *("dosis", "dosen", "dosierung", "konzentration", "konzentrationen", "endkonzentration", "konz", "konz."),
)
HEADS = {
    "well": ("well", "wells", "well id", "well name", "well position", "position", "vertiefung", "kavität"),
    "row": ("row", "well row", "zeile", "reihe"),
    "column": ("column", "col", "well column", "spalte"),
    "treatment": (
        "treatment",
        "treatments",
        "condition",
        "compound",
        "drug",
        "behandlung",
        "wirkstoff",
        "substanz",
    ),
    "plate": ("plate", "plate id", "plate name", "barcode", "vessel", "platte"),
    "control": ("control", "is control", "kontrolle"),
    "unit": (
        "unit",
        "units",
        "einheit",
        *(f"{word} {unit}" for word in _AMOUNTS for unit in ("unit", "units")),
    ),
}
"""What a column's head may be, in lower case, in English and German; of several the first here is taken."""

_AMOUNT = f"(?:{'|'.join(map(re.escape, _AMOUNTS))})"
_DOSE = re.compile(rf"(?:{OF} )*{_AMOUNT}(?: {OF})?")
"""A dose's head; the concentration of something else, such as a stock or a solvent, is none."""

_OTHER = re.compile(
    r"(?<![^\W\d])(?:p?(?:log|lg|ln)(?:\d*|₁₀|₂)|stocks?|stamm\w*|master|mother|solvent|vehicle|carrier|\d+\s?[x×])"
    r"(?![^\W\d])",
    re.IGNORECASE,
)
"""What makes a head that of another matter, also in its brackets: logarithms, or what is diluted in wells."""

_BRACKETED = re.compile(ANY_UNIT, re.IGNORECASE)
"""A unit in brackets, where more is one than behind a word: after that, a U may be a name's last letter."""

_ASIDE = re.compile(rf"(?<!\w)(?:in|units?\s*:|{OF}|{_AMOUNT}\.?)(?!\w)", re.IGNORECASE)
"""What may stand beside a unit in brackets."""

_BETWEEN = r";|(?<!\d),|,(?!\d)"
"""What parts a unit in brackets from what is beside it; a decimal comma does not."""

_UNIT = re.compile(rf"{UNIT}|{PER_CENT}", re.IGNORECASE)
_LAST = re.compile(rf"(?<=[a-zé.])(?:\s*[,:/]\s*|[\s_-]+)(?:in[\s_]+)?({UNIT})$", re.IGNORECASE)
"""A unit at the end of a head, without brackets."""

_NUMBER = r"\d+(?:[.,]\d+)?"
_TIMES = (
    r"(?<![^\W\d_])(?:x|e|fold|fach|times|mal|per|pro|by|to|zu|auf|dilut\w*|verd\w*|factor|faktor|power|hoch)"
    r"(?![^\W\d_])"
)
_FACTOR = re.compile(
    rf"{_TIMES}[\s.:=^+−–-]*\d|\d[\s-]*{_TIMES}|\d\s*(?!%)(?:{UNIT})(?![^\W_])", re.IGNORECASE
)
_WORDY = re.compile(
    rf"(?:\d+\s*[-–]\s*(?=\d+\s*(?:h|d|min|hours|days)\b))?(?:{_NUMBER}[\s.%°_-]*)?"
    rf"[^\W_]*[^\W\d_][^\W_]*(?:[\s._#=:-]*{_NUMBER}(?![^\W_]))?|#\s?\d+"
)
"""A number with a word of its own, such as 24 h, 24-48 h, day 3, IL-6, n = 3, #3 or 0.1 % DMSO."""


def plain(head: str) -> str:
    """Return a head or a title in lower case, without its unit and without marks between its words."""
    bare = re.sub(r"[(\[].*", "", head).strip()
    return re.sub(r"[\s_-]+", " ", _LAST.sub("", bare)).strip().casefold()


def unit_of(head: str) -> str | None:
    """Return the unit that a head tells, in brackets or after the word, such as "dose (µM)" or "conc_nM".

    Of what stands in brackets the unit between commas and semicolons is taken, and nothing else; of several
    none is, nor is one beside a factor.
    """
    if _is_unit(head):
        return tidy_unit(head.strip("()[] "))
    if has_factor(head):
        return None
    units = {tidy_unit(text): text for text in _in_brackets(head) if _BRACKETED.fullmatch(text)}
    if len(units) > 1:
        return None
    told = next(iter(units.values()), None)
    last = _LAST.search(" ".join(re.sub(r"[(\[][^)\]]*[)\]]?", " ", head).split()))
    return tidy_unit(told or (last[1] if last else None))


def odd_unit(head: str) -> bool:
    """Return whether a head has something in brackets that may be meant as a unit and is not known as one."""
    return unit_of(head) is None and any(_in_brackets(head))


def has_factor(head: str) -> bool:
    """Return whether a head's brackets hold a number that may be a factor, a power or a dilution of doses.

    Every number may be one that has no word of its own, such as 24 h or day 3, and is in no unit: ng mL-1.
    A date is none.
    """
    if _is_unit(head):
        return False
    parts = _in_brackets(unicodedata.normalize("NFKC", head).replace("×", "x"))  # ³ as a 3
    others = [text for text in parts if not _BRACKETED.fullmatch(text) and not dated(text)]
    return any(_FACTOR.search(text) or re.search(r"\d", _WORDY.sub(" ", text)) for text in others)


def _in_brackets(head: str) -> list[str]:
    """Return what stands in a head's brackets, in parts, without the words that may stand beside a unit."""
    parts = [part for text in re.findall(r"[(\[]([^()\[\]]+)", head) for part in re.split(_BETWEEN, text)]
    return [" ".join(_ASIDE.sub(" ", part).split()) for part in parts]


def is_dose(head: str) -> bool:
    """Return whether a head or a title is that of doses in the wells, as numbers and not as logarithms.

    A unit alone is one, such as µM in the corner of a table.
    """
    if _is_unit(head):
        return True
    said = plain(re.sub(r"[(\[][^()\[\]]*[)\]]?", " ", head).strip(" )]"))
    return bool(_DOSE.fullmatch(said)) and not _OTHER.search(head)


def _is_unit(head: str) -> bool:
    """Return whether a head is a unit and nothing else; capitals alone, and one letter, may be a name."""
    text = head.strip("()[] ")
    return bool(_UNIT.fullmatch(text)) and not text.isupper() and (len(text) > 1 or text == "%")


def columns(cells: list[str]) -> dict[str, int]:
    """Return by a name of HEADS at which position a line of heads has it, of those that it has."""
    heads = [plain(cell) for cell in cells]
    places = {name: [heads.index(head) for head in known if head in heads] for name, known in HEADS.items()}
    return {name: found[0] for name, found in places.items() if found}


def names_wells(cells: list[str]) -> bool:
    """Return whether a line is the head of a list of wells and treatments."""
    place = columns(cells)
    return "treatment" in place and ("well" in place or {"row", "column"} <= place.keys())


def numbered(cells: list[str]) -> list[tuple[int, str]]:
    """Return (position, number) of a head's cells 1, 2, 3, ... after its corner, nothing where it is none.

    Behind two numbers and more there may be columns with heads of words, such as a legend.
    """
    found = [(at, re.sub(r"\.0$", "", cell).lstrip("0")) for at, cell in enumerate(cells) if at and cell]
    numbers = [int(text) if text.isdigit() else -1 for _, text in found]
    if -1 in numbers[2:]:
        numbers = numbers[: numbers.index(-1)]
    words = [text for _, text in found[len(numbers) :]]
    if words and (numbers[:1] != [1] or any(text.isdigit() for text in words)):
        return []
    if not numbers or numbers[0] < 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return []
    return [] if row_number(cells[0]) else found[: len(numbers)]


def starts(cells: list[str]) -> list[int]:
    """Return where the tables begin whose heads a line holds side by side, nothing where it holds none.

    A table's corner is the cell before its first number, and no number.
    """
    first = next((cell for cell in cells[1:] if cell), None)
    again = [at - 1 for at, cell in enumerate(cells) if at and cell == first][1:]
    edges = [0, *again, len(cells)]
    parts = [cells[start:stop] for start, stop in pairwise(edges)]
    alone = row_number(cells[0]) or any(cells[at][:1].isdigit() for at in again)
    return edges[:-1] if not alone and all(map(numbered, parts)) else []


def row_number(text: str) -> int:
    """Return which row of a plate a letter is, from 1 on; 0 if it is none."""
    if not re.fullmatch(r"A?[A-Za-z]", text):
        return 0
    return ord(text[-1].upper()) - 64 + 26 * (len(text) - 1)


def subject(title: str) -> str:
    """Return what a table like a plate holds: a name of HEADS, "dose", "other", or "plate" if it is named."""
    word = plain(title)
    for name in ("treatment", "control", "unit"):
        if word in HEADS[name]:
            return name
    if is_dose(title):
        return "dose"
    others = (
        *("dose", "conc", "cell type", "cells", "density", "time", "unit"),
        *("zelltyp", "zellen", "zellzahl", "zelldichte", "dichte", "zeit"),
    )
    return "other" if word.startswith(others) or word.endswith(_AMOUNTS) else "plate"


def is_head(cells: list[str]) -> bool:
    """Return whether a line, which may begin with #, is a head: of a list, or of the columns of a plate."""
    if cells[0].startswith("#"):
        bare = [cells[0].lstrip("# "), *cells[1:]]
        return names_wells(bare) or (not bare[0] and bool(starts(bare)))
    return names_wells(cells) or (bool(starts(cells)) and not re.fullmatch(r"A?[A-Za-z]\d+", cells[0]))
