"""A stage that is cut off anywhere and goes on is the stage that was not, to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from colours import Colours, Recorder, network
from torch import Tensor

from dait.config.arms import DirectConfig
from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy
from dait.errors import Stopped, UserError
from dait.events import EpochDone, Event, Note, StageDone, StageStarted, StepDone, ignore
from dait.tasks.base import Task
from dait.tasks.direct import DirectTask
from dait.tasks.independent import IndependentTask
from dait.teachers.cache.views import TeacherViews
from dait.training import loop
from dait.training.checkpoint import StepCheckpoints
from dait.training.interruption import interrupt
from dait.training.loop import train_stage
from dait.training.views import StagePosition

STAGE = StagePosition(1, 2, 3, seed=5)
PLAIN = TrainConfig(batch_size=8, warmup_epochs=1)
CONFIGS = {
    "plain": {},
    "everything": {
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "schedule": "one-cycle",
        "ema_decay": 0.9,
        "patience": 2,
        "mixup": 0.5,
        "cutmix": 0.5,
        "sampling": "balanced",
        "accumulation": 3,
        "label_smoothing": 0.1,
    },
    "averaged": {"ema_decay": 0.8},
    "slower": {"backbone_lr_scale": 0.25},
}


def independent() -> Task:
    learner = network(drop_rate=0.3)
    learner.started_from = "weights.safetensors"  # so that a share of the learning rate is its own
    return IndependentTask(learner, "full")


def train(
    task: Task, config: TrainConfig, keep: StepCheckpoints | None, stop_at: int = 0
) -> tuple[dict[str, Tensor], list[Event]]:
    """stop_at: the step after which the training is stopped from outside."""
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepDone) and event.step == stop_at:
            raise Stopped

    data, views = Colours(), None
    if task.needs_vlm:
        views = TeacherViews(Recorder(), data, ViewPolicy(task.views, STAGE.seed))
    train_stage(task, data, config, STAGE, views, emit, keep)
    return {name: tensor.clone() for name, tensor in task.state_dict().items()}, events


def figures(events: list[Event]) -> list[tuple[Any, ...]]:
    """Everything that an epoch is told, but for times."""
    return [
        (e.epoch, e.loss, e.parts, e.val_top1, e.val_loss, e.learning_rate)
        for e in events
        if isinstance(e, EpochDone)
    ]


@pytest.mark.parametrize(
    "name",
    ["plain", *(pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS if name != "plain")],
)
@pytest.mark.parametrize("many", [False, True])
def test_it_goes_on_from_any_step(
    tmp_path: Path, name: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        monkeypatch.setattr(loop, "FEW_STEPS", 0)
    config = TrainConfig.model_validate({**PLAIN.model_dump(), **CONFIGS[name]})
    expected, told = train(independent(), config, None)
    total = len([event for event in told if isinstance(event, StepDone)])
    for stop in (1, 4, 6, total):  # 4 and the last are an epoch's ends
        keep = StepCheckpoints(tmp_path / f"{stop}.pt", steps_between=3)
        with pytest.raises(Stopped):
            train(independent(), config, keep, stop)
        torch.rand(7)
        found, again = train(independent(), config, StepCheckpoints(keep.path))
        assert all(torch.equal(expected[key], found[key]) for key in expected), stop
        assert figures(again) == figures(told)[-len(figures(again)) :]
        assert again[-1].val_top1 == told[-1].val_top1  # type: ignore[union-attr]


def test_it_says_where_it_goes_on(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=5)
    with pytest.raises(Stopped):
        train(independent(), PLAIN, keep, 6)
    _, events = train(independent(), PLAIN, keep)
    assert events[0] == StageStarted("student", 1, 2, 3, 12, 5)
    assert events[1] == Note("resumed after step 5")
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.step for event in steps] == [6, 7, 8, 9, 10, 11, 12]
    assert [event.epoch for event in steps] == [1, 1, 1, 2, 2, 2, 2]
    (first, *_), last = [e for e in events if isinstance(e, EpochDone)], events[-1]
    # The epoch that was cut has all of its images and all of its seconds.
    assert first.epoch == 1 and first.images_per_second == pytest.approx(32 / first.seconds)
    assert isinstance(last, StageDone) and last.seconds > first.seconds
    # A stage that is done and has not been discarded is not trained again.
    _, after = train(independent(), PLAIN, keep)
    assert not [event for event in after if isinstance(event, StepDone)]
    assert after[-1].val_top1 == last.val_top1  # type: ignore[union-attr]


def test_kept_views_and_projections_too(tmp_path: Path) -> None:
    def direct() -> Task:
        prototypes = F.normalize(torch.eye(2, 48), dim=1)
        return DirectTask(network(), "light", prototypes, 10.0, DirectConfig())

    torch.manual_seed(9)
    expected, _ = train(direct(), PLAIN, None)
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=2)
    with pytest.raises(Stopped):
        train(direct(), PLAIN, keep, 7)
    found, _ = train(direct(), PLAIN, keep)
    assert any(name.startswith("projections") for name in expected)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def is_first_step_of_an_epoch(event: Event) -> bool:
    return isinstance(event, StepDone) and event.step == 5


def is_second_epochs_end(event: Event) -> bool:
    return isinstance(event, EpochDone) and event.epoch == 1


def is_last_epochs_end(event: Event) -> bool:
    return isinstance(event, EpochDone) and event.epoch == STAGE.epochs - 1


@pytest.mark.parametrize(
    ("when", "step"),
    [(is_first_step_of_an_epoch, 5), (is_second_epochs_end, 8), (is_last_epochs_end, 12)],
)
def test_asked_to_stop_it_keeps_the_step_at_hand(
    tmp_path: Path, when: Callable[[Event], bool], step: int
) -> None:
    expected, _ = train(independent(), PLAIN, None)
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1000)
    keep.is_cheap = lambda: False  # type: ignore[method-assign]

    def emit(event: Event) -> None:
        if when(event):
            interrupt()

    with pytest.raises(Stopped):
        train_stage(independent(), Colours(), PLAIN, STAGE, None, emit, keep)
    found, events = train(independent(), PLAIN, keep)
    assert Note(f"resumed after step {step}") in events
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_asked_to_stop_while_the_teacher_looks_it_does_not_let_it_finish(tmp_path: Path) -> None:
    class Slow(Recorder):
        def embed(self, images: Tensor) -> Tensor:
            if keep.path.exists():
                raise AssertionError("went on")
            if looked:
                interrupt()
            looked.append(len(images))
            return super().embed(images)

    looked: list[int] = []
    keep = StepCheckpoints(tmp_path / "steps.pt")
    prototypes = F.normalize(torch.eye(2, 48), dim=1)
    task = DirectTask(network(), "light", prototypes, 10.0, DirectConfig())
    views = TeacherViews(Slow(), Colours(), ViewPolicy(task.views, STAGE.seed), live=True)
    with pytest.raises(Stopped):
        train_stage(task, Colours(), PLAIN, STAGE, views, ignore, keep)
    state = keep.load(ignore)
    assert state is not None and state["loop_state"]["step"] == len(looked) == 1


def test_it_goes_on_from_the_one_before_if_the_last_is_damaged(tmp_path: Path) -> None:
    expected, _ = train(independent(), PLAIN, None)
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1)
    with pytest.raises(Stopped):
        train(independent(), PLAIN, keep, 7)
    keep.path.write_bytes(keep.path.read_bytes()[:1000])
    found, events = train(independent(), PLAIN, keep)
    said = [event.text for event in events if isinstance(event, Note)]
    assert any("steps.pt is damaged and not used" in text for text in said)
    assert Note("resumed after step 5") in events  # 6 was kept last
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_another_training_does_not_go_on(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1)
    with pytest.raises(Stopped):
        train(independent(), PLAIN, keep, 3)
    other = PLAIN.model_copy(update={"batch_size": 16})
    with pytest.raises(UserError, match="train batch_size is 16 and was 8"):
        train(independent(), other, keep)


KILLED = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
from colours import Colours, network
from dait.config.train import TrainConfig
from dait.events import ignore
from dait.tasks.independent import IndependentTask
from dait.training.checkpoint import StepCheckpoints
from dait.training.loop import train_stage
from dait.training.views import StagePosition

def train(path, result):
    task = IndependentTask(network(drop_rate=0.3), "full")
    keep = StepCheckpoints(path, steps_between=1) if path else None
    config = TrainConfig(batch_size=8, ema_decay=0.9)
    started = time.monotonic()
    train_stage(task, Colours(), config, StagePosition(0, 1, 6, seed=1), None, ignore, keep)
    torch.save(task.state_dict(), result + ".new")
    os.replace(result + ".new", result)
    return time.monotonic() - started

folder = sys.argv[1]
seconds = train(None, folder + "/whole")
for seed in range(3):
    rng, kills, path = random.Random(seed), 0, f"{folder}/steps-{seed}"
    while not os.path.exists(f"{folder}/killed-{seed}"):
        child = os.fork()
        if not child:
            train(path, f"{folder}/killed-{seed}")
            os._exit(0)
        # Rarer and rarer, so that it comes to an end.
        time.sleep(rng.uniform(0, seconds * (0.5 + 0.25 * kills)))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
    whole, killed = torch.load(folder + "/whole"), torch.load(f"{folder}/killed-{seed}")
    print(kills, all(torch.equal(whole[key], killed[key]) for key in whole), flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    paths = [str(Path(loop.__file__).parents[2]), str(Path(__file__).parents[1])]
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [same for _, same in rows] == ["True"] * 3
    assert sum(int(kills) for kills, _ in rows) >= 3


def test_a_kept_stage_is_trained_as_one_that_is_not(tmp_path: Path) -> None:
    expected, _ = train(independent(), PLAIN, None)
    found, _ = train(independent(), PLAIN, StepCheckpoints(tmp_path / "s.pt", steps_between=1))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_bad_weights_never_replace_a_good_checkpoint(tmp_path: Path) -> None:
    wild = TrainConfig(
        batch_size=8, optimizer="sgd", learning_rate=10, warmup_epochs=0, gradient_clip=None
    )
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1)
    task = IndependentTask(network(), "full")
    with torch.no_grad():
        task.network.model.get_classifier().weight.mul_(1e30)
    with pytest.raises(UserError, match=r"is (nan|inf) at step [1-9]"):
        train_stage(task, Colours(), wild, STAGE, None, ignore, keep)
    kept = keep.load(ignore)
    for name, tensor in (kept or {"task": {}})["task"].items():
        assert torch.isfinite(tensor).all(), name
