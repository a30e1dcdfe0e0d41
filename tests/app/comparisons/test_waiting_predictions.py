"""Calls that wait for the same thing: one pass for all of them, each with its own answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from trainers import wait_for

from app.comparisons.batches import Batches


class Doubled:
    """A computation whose first pass takes until ``go`` is set. passes: the items of each."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.passes.append(items)
        self.begun.set()
        assert self.go.wait(60)
        if -1 in items:
            raise ValueError("not a number")
        return [2 * item for item in items]


def test_who_waits_is_answered_together() -> None:
    doubled = Doubled()
    batches = Batches(doubled, most=4)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches.of, [0])
        assert doubled.begun.wait(60)
        others = [pool.submit(batches.of, [number]) for number in range(1, 8)]
        wait_for(lambda: batches.waiting == 7)
        doubled.go.set()
        assert first.result(60) == [0]
        assert [other.result(60) for other in others] == [[2 * n] for n in range(1, 8)]
    assert [len(items) for items in doubled.passes] == [1, 4, 3]


def test_many_items_of_one_call_keep_their_order() -> None:
    doubled = Doubled()
    doubled.go.set()
    batches = Batches(doubled, most=4)
    assert batches.of(list(range(10))) == [2 * number for number in range(10)]
    assert batches.of([]) == [] and len(doubled.passes) == 3


def test_a_failure_is_that_of_its_batch_alone() -> None:
    doubled = Doubled()
    doubled.go.set()
    batches = Batches(doubled, most=4)
    with pytest.raises(ValueError, match="not a number"):
        batches.of([-1])
    assert batches.of([3]) == [6] and batches.waiting == 0
