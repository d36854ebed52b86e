"""The error that people see: input that cannot be used."""

from __future__ import annotations


class DataError(ValueError):
    """Input that cannot be used. Each sentence says what is wrong, where, and how to mend it."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences
