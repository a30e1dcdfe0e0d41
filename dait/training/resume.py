"""When a stage's state is saved, and how a stage is resumed from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from dait.distributed import World, on_main, same_for_all
from dait.errors import Stopped, UserError
from dait.events import Emit
from dait.tasks.base import Batch
from dait.training.checkpoint import StepCheckpoints, check_fingerprint
from dait.training.interruption import DeferredStop, deferred_stop
from dait.training.state import TrainingState


class Resume:
    """A stage's checkpoints: read by all processes alike, written by the main one.

    checkpoints: None saves nothing.
    """

    def __init__(
        self,
        state: TrainingState,
        checkpoints: StepCheckpoints | None,
        fingerprint: dict[str, dict[str, Any]],
        world: World,
    ) -> None:
        self._state, self._fingerprint, self._world = state, fingerprint, world
        self._reads, self._writes = checkpoints, checkpoints if world.is_main else None
        self._stop: DeferredStop | None = None

    def restore(self, emit: Emit) -> None:
        """Load the last checkpoint, if any. Raises ``UserError`` for another training's."""
        if self._reads is None:
            return
        reads = self._reads
        saved = on_main(self._world, lambda: reads.load(emit))
        if saved is None:
            return
        try:
            check_fingerprint(self._reads.path, saved["fingerprint"], self._fingerprint)
            self._state.load_state_dict(saved)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{self._reads.path} does not hold what this version of the project saves "
                f"({type(error).__name__}: {error}). Resume with the version that wrote it, or "
                "move the file away: then the stage starts from its beginning."
            ) from error
        same_for_all(self._world, self._state.task)
        if self._world.rank:  # the saved random state is the first process's
            torch.manual_seed(torch.initial_seed() + self._state.loop.step)

    @contextmanager
    def whole_steps(self) -> Iterator[None]:
        """A block in which a request to stop waits until the current step or validation is over.

        Not with several processes: each would end after another step, and one wait for the others.
        """
        if self._world.size > 1:
            yield
            return
        with deferred_stop() as self._stop:
            yield

    def each(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches one by one.

        A request to stop is obeyed at once, with the state saved, while a batch is being made,
        which may take long.
        """
        remaining = iter(batches)
        stop_allowed = self._stop.allowed if self._stop else nullcontext
        while True:
            try:
                with stop_allowed():
                    batch = next(remaining, None)
            except Stopped:
                self._save()
                raise
            if batch is None:
                return
            yield batch

    def after_step(self) -> None:
        """Save the state if it is time."""
        if self._writes is not None and self._writes.is_due(self._state.loop.step):
            self._save()

    def after_epoch(self) -> None:
        """Save the state if it costs next to nothing, or if somebody asked to stop."""
        if self._stop is not None and self._stop.requested:
            self._save()
            raise Stopped
        if self._writes is not None and self._writes.is_cheap():
            self._save()

    def _save(self) -> None:
        if self._writes is not None:
            self._writes.save({"fingerprint": self._fingerprint, **self._state.state_dict()})
