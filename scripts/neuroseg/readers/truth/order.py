"""Run lengths that were written the other way round: by columns where rows are meant, or the reverse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuroseg import rle

_RUNS = 8
"""Masks of fewer runs than this tell nothing of their order."""

_MASKS = 3
"""Fewer masks than this, or runs across a row's end, may be an accident."""

_SAMPLE = 500
"""So many of a file's masks, evenly spread, are read both ways."""


def joined_share(runs: rle.Runs, width: int) -> np.ndarray:
    """Return of each mask which share of its runs, but the first, continues the run before on the next row.

    Read as it was written, a cell's rows lie below one another and the share is near 1; read the other way
    round, a cell falls apart into strokes that touch nowhere and it is near 0. NaN where a mask has fewer
    than eight runs.
    """
    rows, first = np.divmod(runs.start.astype(np.int64), width)
    last = first + runs.length
    follows = np.zeros(len(rows), bool)
    follows[1:] = (np.diff(rows) == 1) & (first[1:] < last[:-1]) & (last[1:] > first[:-1])
    many = np.diff(runs.ptr)
    follows[runs.ptr[:-1][many > 0]] = False
    counts = np.diff(np.concatenate([[0], np.cumsum(follows)])[runs.ptr])
    return np.where(many >= _RUNS, counts / np.maximum(many - 1, 1), np.nan)


def other_way(given: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return which masks hold together only read the other way round, from `joined_share` of both readings.

    In a square frame both readings hold together, one being the mirror image of the other: of those nothing
    is said.
    """
    return (np.nan_to_num(given, nan=1) < 0.5) & (np.nan_to_num(other) > 0.8)


def kaggle_fault(texts: Sequence[str], height: int, width: int) -> str | None:
    """Return what shows that Kaggle texts of one frame are not row by row and counted from 1, or None.

    Texts that go down the columns hold together only when read so. Texts counted from 0 lie one pixel too far
    left: what touches the left edge begins on the last pixel of the row before, so that runs cross the ends
    of rows, none begins on a row's first pixel, and none but these ends on a last one.

    Args:
        texts: masks as they stand in the file.
        height: of their frame, pixels.
        width: of their frame, pixels.
    """
    some = (
        texts
        if len(texts) <= _SAMPLE
        else [texts[at] for at in np.linspace(0, len(texts) - 1, _SAMPLE).astype(int)]
    )
    runs, faults = rle.from_kaggle(some, height, width)
    given = joined_share(runs, width)
    other = joined_share(rle.from_kaggle(some, width, height)[0], height)
    told = np.isfinite(given) & (faults == 0)
    if told.sum() >= _MASKS and other_way(given, other)[told].mean() > 0.5:
        return (
            f"{other_way(given, other)[told].sum()} of {told.sum()} "
            "masks hold together only when read down the columns"
        )
    numbers = [np.array(text.split(), np.float64) for text in some if text.replace(" ", "").isdecimal()]
    starts = np.concatenate([pairs[: len(pairs) // 2 * 2 : 2] for pairs in numbers] or [np.zeros(0)])
    lengths = np.concatenate([pairs[1::2] for pairs in numbers] or [np.zeros(0)])
    first = (starts - 1) % width
    crossing = int(((first == width - 1) & (lengths > 1) & (starts > 0)).sum())
    begins = sum(text.split(maxsplit=1)[:1] == ["0"] for text in texts)
    edges = (((first == 0) | (first + lengths == width)) & (lengths > 1)).any()
    if edges or (not begins and crossing < _MASKS):
        return None
    return (
        f"{crossing} runs cross the end of a row and {begins} masks begin at pixel 0: they are counted from 0"
    )
