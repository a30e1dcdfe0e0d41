"""Calls that wait for the same thing, answered together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Asks ``compute`` for the items of everybody who waits, at most ``most`` of them at a time.

    One batch is computed at a time, by one of the threads whose items are in the queue; while it
    is, the next one gathers. Nobody waits for a batch to become full.
    """

    def __init__(self, compute: Callable[[list[Item]], list[Answer]], most: int) -> None:
        self._compute, self._most = compute, most
        self._waiting: list[tuple[Item, Future[Answer]]] = []
        self._lock, self._turn = threading.Lock(), threading.Lock()

    @property
    def waiting(self) -> int:
        """Items that no batch has yet."""
        with self._lock:
            return len(self._waiting)

    def of(self, items: Sequence[Item]) -> list[Answer]:
        """The answers to these items; what ``compute`` raises for a batch, all of it raise."""
        mine = [(item, Future[Answer]()) for item in items]
        with self._lock:
            self._waiting += mine
        for _, answer in mine:
            while not answer.done():
                with self._turn:
                    if not answer.done():
                        self._next()
        return [answer.result() for _, answer in mine]

    def _next(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            found = self._compute([item for item, _ in batch])
            for (_, answer), value in zip(batch, found, strict=True):
                answer.set_result(value)
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
