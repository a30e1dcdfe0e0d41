"""How far a run or a study has come, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Clock = Callable[[], float]


@dataclass(frozen=True)
class StagePlan:
    """A stage to come: its optimiser steps, and what one costs beside the other stages' steps."""

    name: str
    steps: int
    cost_per_step: float = 1.0


@dataclass
class ProgressTracker:
    """How far all stages together have come, and how long the rest takes.

    The rest is estimated from the steps done by *this* process since its first stage began, so a
    resumed run does not count what its predecessor did. ``clock`` gives seconds.
    """

    plan: Sequence[StagePlan]
    clock: Clock = time.monotonic
    _steps: list[int] = field(init=False)
    _left: list[int] = field(init=False)
    _stage: int = field(default=0, init=False)
    _began: float | None = field(default=None, init=False)
    _work_here: float = field(default=0.0, init=False)
    _fresh: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._steps = [stage.steps for stage in self.plan]
        self._left = list(self._steps)

    def begin_stage(self, index: int, steps: int, done: int = 0) -> None:
        """Stage ``index`` of the plan begins; ``steps`` replaces what was planned for it.

        done: steps that a process before this one had done.
        """
        self.skip_to(index)
        self._steps[index], self._left[index] = steps, max(0, steps - done)
        self._fresh = not done
        if self._began is None:
            self._began = self.clock()

    def skip_to(self, index: int) -> None:
        """All stages before ``index`` are over, and it has not begun."""
        self.skip(range(index))
        self._stage, self._fresh = index, True

    def skip(self, stages: Iterable[int]) -> None:
        """These stages were done by a process before this one."""
        for index in stages:
            self._left[index] = 0

    def reach(self, step: int) -> None:
        """Optimiser step ``step`` (from 1) of the stage is done."""
        steps = self._steps[self._stage]
        before = step - 1 if self._fresh else steps - self._left[self._stage]
        self._work_here += (step - before) * self.plan[self._stage].cost_per_step
        self._left[self._stage], self._fresh = max(0, steps - step), False

    def end_stage(self) -> None:
        """The stage is over, whether or not it used all of its steps."""
        self.skip([self._stage])

    @property
    def fraction(self) -> float:
        """The share of all planned work that is done, 0 to 1."""
        total = self._work(self._steps)
        return 1.0 - self._work(self._left) / total if total else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last stage ends, or None before the first step."""
        if self._began is None or self._work_here <= 0:
            return None
        return self._work(self._left) * (self.clock() - self._began) / self._work_here

    def _work(self, steps: Sequence[int]) -> float:
        pairs = zip(steps, self.plan, strict=True)
        return sum(count * stage.cost_per_step for count, stage in pairs)
