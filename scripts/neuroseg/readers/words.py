"""Names as all readers compare them, and lists as their sentences show them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), each letter one sign: a Mac keeps ä as two."""
    return unicodedata.normalize("NFC", text)


def identity(path: Path) -> str:
    """Return the file's name without its ending, .ome.tif counting as one."""
    return path.stem.removesuffix(".ome")


def some(words: Iterable[str], most: int = 3, between: str = ", ") -> str:
    """Return the first of several words, and dots where there are more."""
    shown = list(words)
    return between.join([*shown[:most], *["..."] * (len(shown) > most)])
