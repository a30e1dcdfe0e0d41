"""Compute what is missing of a view set, alone or together with other processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from dait.data.augmentation.views import ViewPolicy
from dait.data.stored import Uncropped
from dait.distributed import ALONE, World
from dait.errors import UserError
from dait.events import Emit, Note, Progress
from dait.storage.files import format_bytes, sweep
from dait.storage.lock import locked
from dait.teachers.cache.view_set import Shard, ViewSet, no_room
from dait.teachers.embedding import Embedder, spans_of


def announce(views: ViewSet, numbers: Sequence[int], emit: Emit) -> None:
    """Emit a note on how much disk the views ``numbers`` take, before any is computed.

    Raises ``UserError`` where the disk has no room for what is missing.
    """
    facts = views.description
    item, total = np.dtype(facts.dtype).itemsize, len(numbers) * facts.view_bytes
    left = sum(views.bytes_of(shard) for shard in _missing(views, numbers))
    what = "view" if len(numbers) == 1 else "views"
    text = (
        f"the frozen teacher's embeddings: {len(numbers):,} {what} × "
        f"{facts.images:,} images × {facts.dim} × {item} bytes = {format_bytes(total)}"
    )
    if left < total:
        text += f", of which {format_bytes(total - left)} are there already"
    emit(Note(f"{text} ({views.folder})"))
    _check_room(views, left)


def build(
    views: ViewSet,
    numbers: Sequence[int],
    images: Uncropped,
    embedder: Embedder,
    policy: ViewPolicy,
    emit: Emit,
    world: World = ALONE,
) -> None:
    """Compute this process's share of the shards that are missing of the views ``numbers``.

    images: ``Split.uncropped``. A shard is computed by the process that holds its lock, always in
    the same batches, so the result does not depend on the number of processes. Shards that another
    process computes are waited for. Returns when the shards of all processes of ``world`` exist.

    Raises ``UserError`` where the disk is full, and where the shards of other processes cannot be
    seen.
    """
    if views.folder.is_dir():
        sweep(views.folder)
    missing = _missing(views, numbers)
    _check_room(views, sum(views.bytes_of(shard) for shard in missing))
    wanted = [shard for number in numbers for shard in views.shards(number)]
    absent = set(missing)
    # Round robin that moves on by one with every view: a view's last shard is the smallest.
    todo = [
        shard
        for number in numbers
        for place, shard in enumerate(views.shards(number))
        if shard in absent and (place + number) % world.size == world.rank
    ]
    if todo:
        work = _Work(views, images, embedder, policy, emit, numbers, todo)
        busy = [shard for shard in todo if not work.try_shard(shard)]
        for shard in busy:
            work.wait_for(shard)
    world.barrier()
    if world.size > 1 and (absent := set(_missing(views, numbers))):
        raise UserError(
            f"{len(absent)} of {len(wanted)} parts of the embeddings are not in {views.folder}: "
            f"process {world.rank} does not see what the others wrote. Set DAIT_CACHE to a folder "
            "that all machines share, or copy that folder's .npy files together."
        )


class _Work:
    """The shards that one call of ``build`` computes, and how many of their images are done."""

    def __init__(
        self,
        views: ViewSet,
        images: Uncropped,
        embedder: Embedder,
        policy: ViewPolicy,
        emit: Emit,
        numbers: Sequence[int],
        todo: Iterable[Shard],
    ) -> None:
        self.views, self.images, self.embedder, self.policy = views, images, embedder, policy
        self.emit, self.done, self.total = emit, 0, sum(len(shard) for shard in todo)
        one = f"view {numbers[0] + 1}" if len(numbers) == 1 else f"{len(numbers):,} views"
        self.what = f"The frozen teacher embeds {one}"

    def try_shard(self, shard: Shard) -> bool:
        """False where another process is computing this shard."""
        try:
            self._compute(shard, _give_up)
        except _BusyError:
            return False
        return True

    def wait_for(self, shard: Shard) -> None:
        """Wait for the process that computes this shard, and take over where it has died."""
        self._compute(shard, lambda: self._report(0))

    def _compute(self, shard: Shard, waiting: Callable[[], object]) -> None:
        lock = self.views.folder / f".lock-{shard.name}"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock, waiting):
            if (
                self.views.read(shard) is not None
            ):  # computed by the process that held the lock before
                self._report(len(shard))
                return
            rows = []
            spans = spans_of(shard.start, shard.stop, self.views.description.batch)
            for part in self.embedder.views(self.images, spans, shard.view, self.policy):
                rows.append(part)
                self._report(len(part))
            self.views.write(shard, np.concatenate(rows))

    def _report(self, more: int) -> None:
        self.done += more
        self.emit(Progress(self.what, self.done, self.total))


class _BusyError(Exception):
    pass


def _give_up() -> None:
    raise _BusyError


def _missing(views: ViewSet, numbers: Iterable[int]) -> list[Shard]:
    return [shard for view in numbers for shard in views.shards(view) if not views.has(shard)]


def _check_room(views: ViewSet, size: int) -> None:
    place = views.folder
    while not place.is_dir():  # it is made when something is written
        place = place.parent
    if size > shutil.disk_usage(place).free:  # better known now than in an hour
        raise no_room(views.folder.parent, size)
