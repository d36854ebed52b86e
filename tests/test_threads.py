"""Pieces come out in order, whatever the threads, and few of them are drawn ahead."""

import time

import pytest

from neuroseg.threads import in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_pieces_order(threads):
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(work, range(20), threads)) == [number * number for number in range(20)]
    assert list(in_order(work, [], threads)) == []


def test_pieces_are_drawn_as_there_is_room():
    drawn = []
    results = in_order(abs, (drawn.append(number) or number for number in range(100)), 3)
    assert next(results) == 0
    assert len(drawn) == 4


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // number, [1, 0, 1], 2))
