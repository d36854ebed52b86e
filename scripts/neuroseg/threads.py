"""Work that streams: a few pieces at a time, side by side, in order.

Threads are enough, because the loops that take the time are compiled and let go of the interpreter.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

PATIENCE = 0.001
"""Seconds for which a thread lets another have the interpreter to itself. Python's own 5 ms are long beside a compiled
loop: who comes out of one waits for them, and two threads take a tenth more time."""


def in_order(work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int) -> Iterator[Result]:
    """Yield `work(piece)` for each piece, in order, with `threads` pieces in work at a time.

    A piece is drawn when there is room for it, in the caller's own thread, so that memory holds threads + 1 of them.
    """
    if threads == 1:
        yield from map(work, pieces)
        return
    with _impatient(), ThreadPoolExecutor(threads) as pool:
        under_way = deque()
        for piece in pieces:
            under_way.append(pool.submit(work, piece))
            if len(under_way) > threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def _impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
