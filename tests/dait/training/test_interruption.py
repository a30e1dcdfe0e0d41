"""Requests to stop that wait for a safe moment, and those that do not."""

from __future__ import annotations

import pytest

from dait.errors import Stopped
from dait.training.interruption import deferred_stop, interrupt


def test_outside_of_a_block_it_stops_at_once() -> None:
    with pytest.raises(Stopped):
        interrupt()


def test_a_block_comes_to_its_end_first() -> None:
    done = []
    with pytest.raises(Stopped), deferred_stop():
        interrupt()
        done.append("the rest of the block")
    assert done


def test_an_open_part_is_left_at_once_and_not_entered_after_a_request() -> None:
    with pytest.raises(Stopped), deferred_stop() as block:
        with pytest.raises(Stopped), block.allowed():
            interrupt()
            raise AssertionError("went on")
        interrupt()
        with block.allowed():
            raise AssertionError("was entered")


def test_a_second_request_waits_for_nothing() -> None:
    with pytest.raises(Stopped), deferred_stop():
        interrupt()
        interrupt()
        raise AssertionError("went on")


def test_a_block_that_fails_fails() -> None:
    with pytest.raises(OSError, match="disk"), deferred_stop():
        interrupt()
        raise OSError("disk")
    with pytest.raises(Stopped):
        interrupt()  # the block is over
