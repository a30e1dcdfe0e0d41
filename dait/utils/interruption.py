"""A request to stop, which comes at any moment, and the moments at which it is taken.

A signal's handler calls ``interrupt``, which raises ``Stopped`` wherever the program stands. While
a block is ``uncut``, it waits instead for the block's end, or for the next part that is ``open``. A
second request waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dait.errors import Stopped

_blocks: list[Uncut] = []


class Uncut:
    """A block that a request to stop does not cut off, but for the parts that are ``open``.

    asked: whether a request waits.
    """

    def __init__(self) -> None:
        self.asked = self._is_open = False

    def ask(self) -> None:
        """Somebody asks to stop. Raises ``Stopped`` where that may be done now."""
        if self._is_open or self.asked:
            raise Stopped
        self.asked = True

    @contextmanager
    def open(self) -> Iterator[None]:
        """A part in which ``Stopped`` is raised at once, at its start for a request before it."""
        self._is_open = True
        try:
            if self.asked:
                raise Stopped
            yield
        finally:
            self._is_open = False


@contextmanager
def uncut() -> Iterator[Uncut]:
    """A block that is not cut off; a request that waits is taken at its end (``Stopped``)."""
    block = Uncut()
    _blocks.append(block)
    try:
        yield block
    finally:
        _blocks.remove(block)
    if block.asked:
        raise Stopped


def interrupt() -> None:
    """What the handler of a signal calls. Raises ``Stopped``, unless a block is not to be cut."""
    if not _blocks:
        raise Stopped
    _blocks[-1].ask()
