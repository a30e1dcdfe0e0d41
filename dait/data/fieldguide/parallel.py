"""Many drawings at once, on every core, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dait.storage.processors import processors

Drawn = TypeVar("Drawn")

# Below this a second process takes longer to start than it saves.
_WORTH_IT = 150
_CHUNK = 32


def in_parallel(draw: Callable[[int], Drawn], count: int) -> Iterator[Drawn]:
    """``draw(0)``, ..., ``draw(count - 1)``, in this order; ``draw`` must survive pickling.

    Drawing is Python and so holds the interpreter's lock: processes, not threads. joblib's own
    start method needs no ``__main__`` guard in a user's script and does not fork a threaded app.
    """
    cores = processors()
    if cores == 1 or count < _WORTH_IT:
        yield from (draw(index) for index in range(count))
        return
    from joblib import Parallel, delayed  # slow to import, and a few drawings do without

    starts = range(0, count, _CHUNK)
    chunks = Parallel(n_jobs=cores, return_as="generator", mmap_mode=None, max_nbytes=None)(
        delayed(_some)(draw, start, min(start + _CHUNK, count)) for start in starts
    )
    for chunk in chunks:
        yield from chunk


def _some(draw: Callable[[int], Any], start: int, stop: int) -> list[Any]:
    return [draw(index) for index in range(start, stop)]
