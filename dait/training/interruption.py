"""A request to stop can come at any moment; these are the moments at which it is obeyed.

A signal's handler calls ``interrupt``, which raises ``Stopped`` wherever the program is. Within a
``deferred_stop`` block it waits for the block's end, or for a part where stopping is allowed. A
second request stops at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dait.errors import Stopped

_blocks: list[DeferredStop] = []


class DeferredStop:
    """A block that a request to stop does not cut short, except where stopping is ``allowed``.

    requested: whether a request is pending.
    """

    def __init__(self) -> None:
        self.requested = self._allowed = False

    def request(self) -> None:
        """Ask to stop. Raises ``Stopped`` where that is allowed now, and at the second request."""
        if self._allowed or self.requested:
            raise Stopped
        self.requested = True

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A part in which ``Stopped`` is raised at once; at its start if a request is pending."""
        self._allowed = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._allowed = False


@contextmanager
def deferred_stop() -> Iterator[DeferredStop]:
    """A block that ends before a request to stop is obeyed; then it raises ``Stopped``."""
    block = DeferredStop()
    _blocks.append(block)
    try:
        yield block
    finally:
        _blocks.remove(block)
    if block.requested:
        raise Stopped


def interrupt() -> None:
    """Call this from a signal handler. Raises ``Stopped``, unless a block defers it."""
    if not _blocks:
        raise Stopped
    _blocks[-1].request()
