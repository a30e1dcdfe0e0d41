"""The training loop on a problem that takes a second."""

from __future__ import annotations

import math

import pytest
import torch
from colours import Colours, Recorder, coarse, network, pixels
from torch import Tensor, nn

from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import SplitName
from dait.errors import UserError
from dait.events import EpochDone, Event, Note, StageDone, StageStarted, StepDone, ignore
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput
from dait.tasks.independent import IndependentTask
from dait.teachers.cache.views import TeacherViews
from dait.training import loop
from dait.training.inference import predict_split
from dait.training.loop import train_stage
from dait.training.optimizer import learning_rate
from dait.training.views import StagePosition

QUICK = TrainConfig(epochs=3, batch_size=8, learning_rate=5e-3, warmup_epochs=1)


class Watched(IndependentTask):
    """Independent training that keeps its batches, and may ask for a teacher."""

    def __init__(self, network: Network, needs_vlm: bool = False) -> None:
        super().__init__(network, "full")
        self.needs_vlm = needs_vlm  # type: ignore[misc]
        self.batches: list[Batch] = []

    def forward(self, batch: Batch) -> TaskOutput:
        if self.training:
            self.batches.append(batch)
        return super().forward(batch)


def train(
    task: Task,
    data: Colours,
    stage: StagePosition,
    config: TrainConfig = QUICK,
    teacher: Recorder | None = None,
) -> list[Event]:
    events: list[Event] = []
    views = None
    if teacher is not None:
        views = TeacherViews(teacher, data, ViewPolicy(task.views, stage.seed))
    train_stage(task, data, config, stage, views, events.append)
    return events


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_kept_embeddings_are_of_unmixed_images(name: str) -> None:
    config = QUICK.model_copy(update={name: 0.2})
    with pytest.raises(UserError, match=rf"train.{name} mixes .* views.cache to false.* to 0"):
        train(Watched(network(), True), Colours(), StagePosition(0, 1, 1, 0), config, Recorder())


def test_patience_needs_validation_images() -> None:
    class NoValidation(Colours):
        def counts(self) -> dict[SplitName, int]:
            return super().counts() | {"val": 0}

    config = QUICK.model_copy(update={"patience": 1})
    with pytest.raises(UserError, match=r"train.patience .* the data has none. Set .* to 0"):
        train(Watched(network()), NoValidation(), StagePosition(0, 1, 1, 0), config)


def test_the_teacher_may_not_see_other_views_than_the_student() -> None:
    views = TeacherViews(Recorder(), Colours(), ViewPolicy("full", seed=1), live=True)
    stage = StagePosition(0, 1, 1, seed=0)
    with pytest.raises(ValueError, match=r"seed=1.*seed=0"):
        train_stage(Watched(network(), True), Colours(), QUICK, stage, views, ignore)


def test_it_learns() -> None:
    data, task = Colours(), IndependentTask(network(), "light")
    events = train(task, data, StagePosition(0, 1, 6, seed=0))
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert epochs[-1].val_top1 > 0.9 and epochs[-1].loss < 0.7 * epochs[0].loss
    test = data.split("test")
    assert predict_split(task.network, test).top1(torch.tensor(test.labels)) > 0.9


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        task = IndependentTask(network(), "full")
        train(task, Colours(), StagePosition(0, 1, 2, seed=seed))
        return task.network.state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["model.fc.weight"], other["model.fc.weight"])


def test_the_stages_of_a_run_do_not_share_their_order() -> None:
    def order(index: int) -> list[bytes]:
        task = Watched(network())
        train(task, Colours(), StagePosition(index, 2, 1, seed=0))
        return [one for batch in task.batches for one in pixels(batch.images)]

    assert order(0) != order(1) and set(order(0)) == set(order(1))


def test_events_are_complete_and_in_order() -> None:
    data, task = Colours(train=20), IndependentTask(network(), "light")
    events = train(task, data, StagePosition(1, 2, 2, seed=0))
    kinds = [type(event) for event in events]
    epoch: list[type] = [StepDone, StepDone, EpochDone]  # 20 images make two batches of 8
    last = [StepDone, StepDone, Note, EpochDone]  # so short a stage says what it re-estimates
    assert kinds == [StageStarted, *epoch, *last, StageDone]
    assert events[0] == StageStarted("student", 1, 2, 2, 4)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(event.epoch, event.step) for event in steps] == [(0, 1), (0, 2), (1, 3), (1, 4)]
    last = events[-2]
    assert isinstance(last, EpochDone)
    assert (last.stage, last.epoch, last.epochs) == ("student", 1, 2)
    assert last.loss == pytest.approx((steps[2].loss + steps[3].loss) / 2)
    assert last.parts == {"classification": pytest.approx(last.loss)}
    assert last.learning_rate == learning_rate(3, 2, 4, QUICK)
    assert last.images_per_second > 0 and last.seconds > 0
    val = data.split("val")
    found, labels = predict_split(task.network, val), torch.tensor(val.labels)
    assert last.val_top1 == found.top1(labels) and last.val_loss == found.loss(labels)
    done = events[-1]
    assert isinstance(done, StageDone)
    assert done.val_top1 == last.val_top1 and done.seconds > 0
    assert not task.network.training


def test_an_epoch_shows_every_image_once_but_for_a_part_of_a_batch() -> None:
    task = Watched(network())
    train(task, Colours(train=20), StagePosition(0, 1, 1, seed=0))
    assert [len(batch.labels) for batch in task.batches] == [8, 8]
    assert len({one for batch in task.batches for one in pixels(batch.images)}) == 16
    whole = Watched(network())
    train(
        whole, Colours(train=6), StagePosition(0, 1, 1, seed=0)
    )  # fewer than a batch: all of them
    assert [len(batch.labels) for batch in whole.batches] == [6]


def test_labels_stay_with_their_images() -> None:
    task = Watched(network())
    task.views = "original"
    data = Colours()
    train(task, data, StagePosition(0, 1, 1, seed=0))
    split = data.split("train")
    known = dict(
        zip(pixels(torch.tensor(split.images).permute(0, 3, 1, 2) / 255), split.labels, strict=True)
    )
    for batch in task.batches:
        assert [known[one] for one in pixels(batch.images)] == batch.labels.tolist()


def test_the_network_sees_the_very_pixels_that_the_teacher_saw() -> None:
    task, teacher = Watched(network(), needs_vlm=True), Recorder()
    train(task, Colours(), StagePosition(0, 1, 2, seed=5), teacher=teacher)
    assert len(teacher.seen) == 2 * 32
    shown = [one for batch in task.batches for one in pixels(batch.images)]
    assert set(shown) == set(teacher.seen) and len(set(shown)) == 64
    for batch in task.batches:
        assert batch.vlm is not None  # row by row, up to the rounding of fp16
        torch.testing.assert_close(batch.vlm, coarse(batch.images), rtol=0, atol=1e-3)


@pytest.mark.parametrize("distinct", [0, 1, 2])
def test_epochs_go_round_the_distinct_views(distinct: int) -> None:
    task, teacher = Watched(network(), needs_vlm=True), Recorder()
    train(
        task,
        Colours(),
        StagePosition(0, 1, 4, seed=6 + distinct, distinct_views=distinct),
        teacher=teacher,
    )
    epochs = [
        frozenset(one for batch in task.batches[4 * e : 4 * e + 4] for one in pixels(batch.images))
        for e in range(4)
    ]
    views = distinct or 4
    assert len(set(epochs)) == views
    assert all(epochs[e] == epochs[e % views] for e in range(4))
    assert len(teacher.seen) == 32 * views  # a view that comes back is not embedded again


def test_a_task_with_a_teacher_needs_its_views() -> None:
    with pytest.raises(ValueError, match="frozen teacher's views"):
        train(Watched(network(), needs_vlm=True), Colours(), StagePosition(0, 1, 1, seed=0))


class Exploding(IndependentTask):
    """Its third step has a part that is no number."""

    steps = 0

    def forward(self, batch: Batch) -> TaskOutput:
        output = super().forward(batch)
        self.steps += 1
        if self.steps < 3:
            return output
        parts = {**output.parts, "spatial": output.loss * math.nan}
        return TaskOutput(sum(parts.values(), start=torch.tensor(0.0)), output.logits, parts)


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    task = Exploding(network(), "full")
    with pytest.raises(UserError) as caught:
        train(task, Colours(), StagePosition(0, 1, 3, seed=0))
    sentence = str(caught.value)
    rate = learning_rate(2, 4, 12, QUICK)
    assert "“student” is nan at step 3 with" in sentence and f"{rate:.3g}" in sentence
    assert "classification 0." in sentence and "spatial nan" in sentence
    assert "Lower train.learning_rate" in sentence
    assert all(torch.isfinite(p).all() for p in task.network.parameters())


def batches_tracked(model: nn.Module) -> set[int]:
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return {int(norm.num_batches_tracked) for norm in norms}  # type: ignore[arg-type]


def test_short_stages_estimate_the_statistics_anew_and_long_ones_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = IndependentTask(network(), "full")
    train(short, Colours(), StagePosition(0, 1, 3, seed=0))
    assert batches_tracked(short.network) == {4}  # not the 12 steps of the training
    monkeypatch.setattr(loop, "FEW_STEPS", 12)
    long = IndependentTask(network(), "full")
    train(long, Colours(), StagePosition(0, 1, 3, seed=0))
    assert batches_tracked(long.network) == {12}
    # The weights are not touched by it.
    assert torch.equal(short.network.model.fc.weight, long.network.model.fc.weight)


def test_gradients_are_clipped() -> None:
    clipped = TrainConfig(
        batch_size=8, optimizer="sgd", learning_rate=1, warmup_epochs=0, weight_decay=0,
        gradient_clip=1e-4,
    )  # fmt: skip
    task = IndependentTask(network(), "full")
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    train_stage(task, Colours(train=8), clipped, StagePosition(0, 1, 1, seed=0), None, ignore)
    moved = torch.cat([(p - before[name]).flatten() for name, p in task.named_parameters()])
    # Nesterov's first step is 1 + 0.9 gradients long.
    assert moved.norm().item() == pytest.approx(1.9e-4, rel=0.02)
