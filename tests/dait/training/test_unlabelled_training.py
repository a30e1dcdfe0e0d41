"""Training with images that have no label: the pool, equal steps, the same after a resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colours import Colours, Recorder, network
from torch import Tensor

from dait.config.arms import DirectConfig
from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import UNLABELLED, Split, SplitName
from dait.data.pool import pool_size, training_images
from dait.distributed import ALONE
from dait.errors import Stopped, UserError
from dait.events import Event, StageStarted, StepDone, ignore
from dait.tasks.base import Task
from dait.tasks.direct import DirectTask
from dait.tasks.independent import IndependentTask
from dait.teachers.cache.views import POOL, TRAIN, TeacherViews
from dait.training.batches import Batches, balanced_order
from dait.training.checkpoint import StepCheckpoints
from dait.training.loop import train_stage
from dait.training.views import StagePosition

CPU = torch.device("cpu")
STAGE = StagePosition(0, 1, 2, seed=5, unlabelled=True)
CONFIG = TrainConfig(batch_size=8, warmup_epochs=1)


@dataclass
class SomeUnlabelled(Colours):
    """Twelve labelled pictures and twenty without a label."""

    train: int = 12
    unlabelled: int = 20

    def counts(self) -> dict[SplitName, int]:
        return {**super().counts(), "unlabelled": self.unlabelled}

    def split(self, name: SplitName) -> Split:
        found = super().split(name)
        if name != "unlabelled":
            return found
        return replace(found, labels=np.full(len(found), UNLABELLED))


def direct() -> Task:
    torch.manual_seed(0)
    prototypes = torch.nn.functional.normalize(torch.randn(2, Recorder.dim), dim=1)
    return DirectTask(network(drop_rate=0.3), "full", prototypes, 1.0, DirectConfig())


def train(
    task: Task,
    stage: StagePosition,
    config: TrainConfig = CONFIG,
    keep: StepCheckpoints | None = None,
    stop_at: int = 0,
) -> tuple[dict[str, Tensor], list[Event]]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepDone) and event.step == stop_at:
            raise Stopped

    data, views = SomeUnlabelled(), None
    if task.needs_vlm:
        policy = ViewPolicy(task.views, stage.seed)
        views = TeacherViews(Recorder(), data, policy, unlabelled=stage.unlabelled)
    train_stage(task, data, config, stage, views, emit, keep)
    return {name: tensor.clone() for name, tensor in task.state_dict().items()}, events


def batches(stage: StagePosition, config: TrainConfig = CONFIG) -> Batches:
    data = SomeUnlabelled()
    images = training_images(data, stage.unlabelled)
    task = IndependentTask(network(), "full")
    return Batches(task, images, config, stage, None, ALONE, CPU, pool_size(data))


def test_with_and_without_unlabelled_images_there_are_as_many_steps() -> None:
    for stage in (STAGE, replace(STAGE, unlabelled=False)):
        _, events = train(IndependentTask(network(), "full"), stage)
        (started,) = [event for event in events if isinstance(event, StageStarted)]
        assert (started.epochs, started.steps) == (2, 8)
        assert sum(isinstance(event, StepDone) for event in events) == 8


def test_an_epoch_goes_round_the_labelled_images() -> None:
    alone = batches(replace(STAGE, unlabelled=False), TrainConfig(batch_size=4))
    assert (alone.per_epoch, alone.per_round) == (8, 3)
    parts = [part for epoch in range(3) for part in alone._parts(epoch, 0)]
    assert [view for _, view in parts] == [step // 3 for step in range(24)]
    rounds = [np.concatenate([index for index, _ in parts[at : at + 3]]) for at in (0, 3, 6, 21)]
    assert all(sorted(found) == list(range(12)) for found in rounds)
    assert len({tuple(found) for found in rounds}) == 4
    later = list(alone._parts(1, 5))
    assert [index.tolist() for index, _ in later] == [i.tolist() for i, _ in parts[13:16]]
    whole, rest = list(alone.epoch(1)), list(alone.epoch(1, 5))
    assert [batch.images.equal(rest[k].images) for k, batch in enumerate(whole[5:])] == [True] * 3


def test_an_epoch_of_all_images_shows_each_once() -> None:
    found = batches(STAGE)
    labels = torch.cat([batch.labels for batch in found.epoch(0)])
    assert (labels == UNLABELLED).sum() == 20 and (labels >= 0).sum() == 12


def test_a_batch_is_no_larger_than_the_labelled_images() -> None:
    config = TrainConfig(batch_size=16)
    alone = batches(replace(STAGE, unlabelled=False), config)
    assert (alone.images, alone.per_epoch, alone.per_round) == (12, 2, 1)
    assert [len(batch.labels) for batch in alone.epoch(0)] == [12, 12]
    assert sum(len(images) for images in alone.for_statistics()) == 12


def test_balanced_batches_hold_every_unlabelled_image_once() -> None:
    labels = np.array([0] * 9 + [1] * 3 + [UNLABELLED] * 20)
    order = balanced_order(labels, np.random.default_rng(0))
    assert len(order) == 32 and sorted(order[labels[order] < 0]) == list(range(12, 32))
    assert np.bincount(labels[order][labels[order] >= 0]).tolist() == [6, 6]


@pytest.mark.parametrize("setting", ["mixup", "cutmix"])
def test_images_without_labels_are_not_mixed(setting: str) -> None:
    config = CONFIG.model_copy(update={setting: 0.5})
    with pytest.raises(UserError, match=rf"train\.{setting} to 0, or data\.use_unlabelled to"):
        train(IndependentTask(network(), "full"), STAGE, config)
    train(IndependentTask(network(), "full"), replace(STAGE, unlabelled=False), config)


def test_the_teachers_kept_embeddings_are_of_all_images() -> None:
    data, policy = SomeUnlabelled(), ViewPolicy("light", 1)
    views = TeacherViews(Recorder(), data, policy, unlabelled=True)
    alone = TeacherViews(Recorder(), data, policy)
    facts = views.kept().description
    assert (facts.split, facts.images) == (POOL, 32) and len(views.embeddings(0)) == 32
    assert (alone.kept().description.split, alone.kept().description.images) == (TRAIN, 12)
    assert torch.allclose(views.embeddings(0)[:12], alone.embeddings(0))
    without = TeacherViews(Recorder(), Colours(), policy, unlabelled=True)
    assert without.kept().description.split == TRAIN


def test_unlabelled_images_teach_by_the_frozen_teacher() -> None:
    with_them, _ = train(direct(), STAGE)
    without, _ = train(direct(), replace(STAGE, unlabelled=False))
    assert any(not torch.equal(with_them[key], without[key]) for key in without)


@pytest.mark.parametrize("unlabelled", [True, False])
@pytest.mark.parametrize("stop", [2, 5])
def test_it_goes_on_from_any_step(tmp_path: Path, unlabelled: bool, stop: int) -> None:
    stage = replace(STAGE, unlabelled=unlabelled)
    config = CONFIG.model_copy(update={"sampling": "balanced", "batch_size": 6})
    expected, _ = train(direct(), stage, config)
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1)
    with pytest.raises(Stopped):
        train(direct(), stage, config, keep, stop)
    torch.rand(3)
    found, _ = train(direct(), stage, config, StepCheckpoints(keep.path))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_checkpoint_belongs_to_the_images_it_learned_from(tmp_path: Path) -> None:
    keep = StepCheckpoints(tmp_path / "steps.pt", steps_between=1)
    with pytest.raises(Stopped):
        train(direct(), STAGE, keep=keep, stop_at=2)
    with pytest.raises(UserError, match="stage unlabelled is None and was True"):
        train(direct(), replace(STAGE, unlabelled=False), keep=StepCheckpoints(keep.path))


def test_data_without_unlabelled_images_trains_as_ever() -> None:
    ends = []
    for stage in (STAGE, replace(STAGE, unlabelled=False)):
        task = IndependentTask(network(), "full")
        train_stage(task, Colours(), CONFIG, stage, None, ignore)
        ends.append(task.state_dict())
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
