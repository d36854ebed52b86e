"""Work that streams: a few pieces at a time, side by side, in order.

Threads are enough, because the loops that take the time are compiled and let go of the interpreter. Python's
own `ThreadPoolExecutor.map` draws every piece before it gives the first result: of 606 images shown to a
detector once it held 213 MiB, this 2 MiB.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

PATIENCE = 0.001
"""Seconds for which a thread lets another have the interpreter to itself. Python's own 5 ms are long beside a
compiled loop: who comes out of one waits for them, and two threads take a tenth more time."""


def in_order(work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int) -> Iterator[Result]:
    """Yield `work(piece)` for each piece, in order, in so many threads, of which the caller's own is one.

    A piece is drawn when there is room for it, in the caller's thread, so that memory holds threads + 1 of
    them.
    """
    if threads == 1:
        yield from map(work, pieces)
        return
    with _impatient(), ThreadPoolExecutor(threads - 1) as pool:
        under_way: deque[tuple[Piece, Future[Result]]] = deque()
        for piece in pieces:
            under_way.append((piece, pool.submit(work, piece)))
            if len(under_way) > threads:
                yield _first(under_way, work)
        while under_way:
            yield _first(under_way, work)


def _first(under_way: deque[tuple[Piece, Future[Result]]], work: Callable[[Piece], Result]) -> Result:
    """Take the first piece's result; until it is there, work on what no thread has begun, the last first."""
    for place in reversed(range(len(under_way))):
        piece, future = under_way[place]
        if not under_way[0][1].done() and future.cancel():
            under_way[place] = piece, _worked(work, piece)
    return under_way.popleft()[1].result()


def _worked(work: Callable[[Piece], Result], piece: Piece) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(work(piece))
    except Exception as error:
        future.set_exception(error)
    return future


@contextmanager
def _impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
