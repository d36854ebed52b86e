"""Names of plates, wells and treatments: which of them are one, however they are stored and typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from neuroseg.readers.words import composed, some

_BLANKS = re.compile(r"(?<!\d) | (?!\d)")
"""Blanks that do not stand between two digits."""


def same(text: str) -> str:
    """Return what names are compared by: equal for names that differ in case or blanks alone.

    A blank between two digits counts, for compound 1 5 µM is not compound 15 µM.
    """
    return composed(_BLANKS.sub("", " ".join(composed(text).casefold().split())))


class Spelling:
    """One spelling for all names that are one: that of the first which was met."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._first: dict[str, str] = {}
        self._others: dict[str, str] = {}
        for name in names:
            self.of(name)

    def of(self, name: str) -> str:
        """Return how a name is spelled."""
        name = composed(name)
        first = self._first.setdefault(same(name), name)
        if name != first:
            self._others[name] = first
        return first

    def told(self, what: str) -> list[str]:
        """Return a sentence on the names that were met in several spellings, none if there are none.

        Args:
            what: what is named so, in the plural: treatments.
        """
        pairs = [f"{name} is {first}" for name, first in self._others.items()]
        words = (
            f"{what} that differ in case or blanks alone are one ({some(pairs)}); "
            "rename those that are not the same"
        )
        return [words] if pairs else []
