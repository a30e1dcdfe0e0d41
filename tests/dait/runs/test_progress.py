from __future__ import annotations

import pytest

from dait.runs.progress import ProgressTracker, StagePlan

PLAN = [StagePlan("adapt", 10), StagePlan("distil", 30)]


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def walk(tracker: ProgressTracker, clock: Clock, first: int, last: int, seconds: float) -> None:
    for step in range(first, last + 1):
        clock.now += seconds
        tracker.reach(step)


def test_progress_and_eta_over_all_stages() -> None:
    clock = Clock()
    tracker = ProgressTracker(PLAN, clock)
    assert tracker.fraction == 0 and tracker.eta_seconds is None
    tracker.begin_stage(0, 10)
    walk(tracker, clock, 1, 10, seconds=2)
    assert tracker.fraction == pytest.approx(0.25)
    assert tracker.eta_seconds == pytest.approx(60)
    tracker.begin_stage(1, 30)
    walk(tracker, clock, 1, 30, seconds=2)
    assert tracker.fraction == 1 and tracker.eta_seconds == 0


def test_a_dearer_stage_weighs_more() -> None:
    tracker = ProgressTracker([StagePlan("a", 10), StagePlan("b", 10, cost_per_step=3)], Clock())
    tracker.begin_stage(0, 10)
    tracker.reach(10)
    assert tracker.fraction == pytest.approx(0.25)


def test_a_resumed_process_counts_only_its_own_steps() -> None:
    clock = Clock()
    tracker = ProgressTracker(PLAN, clock)
    tracker.begin_stage(1, 30)
    walk(tracker, clock, 20, 21, seconds=2)  # nineteen steps and all of stage 1 were done before
    assert tracker.fraction == pytest.approx(31 / 40)
    assert tracker.eta_seconds == pytest.approx(18)


def test_a_stage_cut_short_is_over() -> None:
    clock = Clock()
    tracker = ProgressTracker(PLAN, clock)
    tracker.begin_stage(0, 10)
    walk(tracker, clock, 1, 4, seconds=1)
    tracker.end_stage()
    assert tracker.fraction == pytest.approx(0.25)
    assert tracker.eta_seconds == pytest.approx(30)


def test_the_real_number_of_steps_replaces_the_plan() -> None:
    tracker = ProgressTracker(PLAN, Clock())
    tracker.begin_stage(0, 30)
    tracker.reach(30)
    assert tracker.fraction == pytest.approx(0.5)


def test_what_was_done_before_is_no_work_of_this_process() -> None:
    clock = Clock()
    tracker = ProgressTracker([*PLAN, StagePlan("again", 60)], clock)
    tracker.skip([2])  # in another order than the plan's: tasks end as they please
    tracker.begin_stage(1, 30, done=20)
    assert tracker.fraction == pytest.approx(90 / 100) and tracker.eta_seconds is None
    walk(tracker, clock, 21, 22, seconds=3)
    assert tracker.fraction == pytest.approx(92 / 100)
    assert tracker.eta_seconds == pytest.approx(24)
    tracker.skip_to(3)
    assert tracker.fraction == 1
