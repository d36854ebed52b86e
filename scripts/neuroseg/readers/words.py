"""Names as all readers compare them."""

from __future__ import annotations

import unicodedata


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), each letter one sign: a Mac keeps ä as two."""
    return unicodedata.normalize("NFC", text)
