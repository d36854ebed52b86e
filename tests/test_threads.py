"""Pieces come out in order, whatever the threads, and few of them are drawn ahead."""

import threading
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


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_no_more_threads_work_than_were_granted_and_the_caller_s_is_one_of_them(threads):
    at_work, most, who = [], [], set()

    def work(number: int) -> None:
        at_work.append(number)
        most.append(len(at_work))
        who.add(threading.get_ident())
        time.sleep(0.005)
        at_work.remove(number)

    list(in_order(work, range(40), threads))
    assert min(threads, 2) <= len(who) <= threads
    assert max(most) <= threads
    assert threading.get_ident() in who


def test_pieces_are_drawn_as_there_is_room():
    drawn = []
    results = in_order(abs, (drawn.append(number) or number for number in range(100)), 3)
    assert next(results) == 0
    assert len(drawn) == 4


@pytest.mark.parametrize("bad", range(6))
def test_an_error_is_raised_in_its_turn_whichever_thread_met_it(bad):
    results = in_order(lambda number: 1 // number, [int(number != bad) for number in range(6)], 2)
    assert [next(results) for _ in range(bad)] == [1] * bad
    with pytest.raises(ZeroDivisionError):
        next(results)
