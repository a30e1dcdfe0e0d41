"""When a stage's state is written down, and how a stage goes on from it."""

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
from dait.training.state import TrainingState
from dait.utils.interruption import Uncut, uncut


class Resume:
    """A stage's checkpoints: read by all processes alike, written by the first. None keeps none."""

    def __init__(
        self,
        state: TrainingState,
        keep: StepCheckpoints | None,
        fingerprint: dict[str, dict[str, Any]],
        world: World,
    ) -> None:
        self._state, self._fingerprint, self._world = state, fingerprint, world
        self._reads, self._writes = keep, keep if world.is_main else None
        self._uncut: Uncut | None = None

    def go_on(self, emit: Emit) -> None:
        """From what is kept, if anything is. Raises ``UserError`` for another training's."""
        if self._reads is None:
            return
        reads = self._reads
        kept = on_main(self._world, lambda: reads.load(emit))
        if kept is None:
            return
        try:
            check_fingerprint(self._reads.path, kept["fingerprint"], self._fingerprint)
            self._state.load_state_dict(kept)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{self._reads.path} does not hold what this version of the project keeps "
                f"({type(error).__name__}: {error}). Go on with the version that wrote it, or move "
                "the file away: then the stage begins anew."
            ) from error
        same_for_all(self._world, self._state.task)
        if self._world.rank:  # the random numbers kept are the first process's
            torch.manual_seed(torch.initial_seed() + self._state.loop.step)

    @contextmanager
    def whole_steps(self) -> Iterator[None]:
        """A block in which a request to stop waits for the step or the validation at hand.

        Not of several processes: each would end after another step, and one wait for the others.
        """
        if self._world.size > 1:
            yield
            return
        with uncut() as self._uncut:
            yield

    def each(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches one by one. Asked to stop while one is made, which may take long, it does
        at once, with the state kept."""
        rest = iter(batches)
        open_to_stop = self._uncut.open if self._uncut else nullcontext
        while True:
            try:
                with open_to_stop():
                    batch = next(rest, None)
            except Stopped:
                self._save()
                raise
            if batch is None:
                return
            yield batch

    def after_step(self) -> None:
        """Keep the state if it is time."""
        if self._writes is not None and self._writes.is_due(self._state.loop.step):
            self._save()

    def after_epoch(self) -> None:
        """Keep the state if it is time, or if it costs next to nothing."""
        if self._uncut is not None and self._uncut.asked:
            self._save()
            raise Stopped
        if self._writes is not None and self._writes.is_cheap():
            self._save()

    def _save(self) -> None:
        if self._writes is not None:
            self._writes.save({"fingerprint": self._fingerprint, **self._state.state_dict()})
