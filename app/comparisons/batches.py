"""Combine concurrent calls into batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Calls ``compute`` with the items of all waiting threads, at most ``most`` at a time.

    One of the waiting threads computes one batch at a time; meanwhile the next one collects.
    Nothing waits for a batch to fill.
    """

    def __init__(self, compute: Callable[[list[Item]], list[Answer]], most: int) -> None:
        self._compute, self._most = compute, most
        self._waiting: list[tuple[Item, Future[Answer]]] = []
        self._lock, self._turn = threading.Lock(), threading.Lock()

    @property
    def waiting(self) -> int:
        """Items that are in no batch yet."""
        with self._lock:
            return len(self._waiting)

    def of(self, items: Sequence[Item]) -> list[Answer]:
        """The results for these items. If ``compute`` raises, its whole batch does."""
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
