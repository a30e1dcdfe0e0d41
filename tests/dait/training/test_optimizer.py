"""Which parameters decay, and by which optimiser they move."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from colours import coarse, network

from dait.config.arms import DaitConfig, DirectConfig
from dait.config.train import TrainConfig
from dait.distributed import ALONE
from dait.tasks.adapt import AdaptTask
from dait.tasks.base import Batch, Task
from dait.tasks.direct import DirectTask
from dait.tasks.independent import IndependentTask
from dait.tasks.joint import JointTask
from dait.training.optimizer import build_optimizer, learning_rate
from dait.training.step import Step


def test_only_matrices_are_decayed() -> None:
    task = IndependentTask(network(), "full")
    for name in ("adamw", "sgd"):
        config = TrainConfig(optimizer=name, weight_decay=0.1)  # type: ignore[arg-type]
        optimizer = build_optimizer(task, config)
        assert type(optimizer).__name__.lower() == name
        decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
        assert decay.keys() == {id(p) for p in task.parameters()}
        for parameter_name, parameter in task.named_parameters():
            is_matrix = parameter_name.endswith("weight") and parameter.ndim >= 2
            assert decay[id(parameter)] == (0.1 if is_matrix else 0.0), parameter_name


def shares(task: Task, scale: float) -> dict[str, float]:
    """By a parameter's name, its share of the learning rate after a step."""
    config = TrainConfig(backbone_lr_scale=scale, weight_decay=0.1)
    step = Step(task, config, ALONE, torch.device("cpu"))
    step.update(step.forward_backward(batch(), len(batch().labels)), 0.5, 1)
    groups = step.optimizer.param_groups
    assert all(group["lr"] == 0.5 * group["lr_scale"] for group in groups)
    named = {id(p): name for name, p in task.named_parameters()}
    assert len(named) == sum(len(group["params"]) for group in groups)
    return {named[id(p)]: group["lr"] / 0.5 for group in groups for p in group["params"]}


def batch() -> Batch:
    images = torch.linspace(0, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32)
    return Batch(images, torch.tensor([0, 1, 0, 1]), coarse(images))


def direct(started_from: str) -> Task:
    learner = network()
    learner.started_from = started_from
    return DirectTask(learner, "full", torch.eye(2, 48), 10.0, DirectConfig())


def test_a_network_from_given_weights_learns_more_slowly_and_its_head_does_not() -> None:
    found = shares(direct("weights.safetensors"), 0.1)
    slow = {name for name, share in found.items() if share != 1}
    head = {"network.model.fc.weight", "network.model.fc.bias"}
    own = {name for name in found if name.startswith("network.")}
    assert slow == own - head and set(found) - own and {found[name] for name in slow} == {0.1}
    assert set(shares(direct(""), 0.1).values()) == {1.0}


def test_of_two_learners_the_one_from_given_weights_is_scaled() -> None:
    teacher, student = network(1, width=16), network()
    teacher.started_from = "weights.safetensors"
    adapt = AdaptTask(teacher, "light", torch.eye(2, 48), 10.0, DaitConfig(), 0.0)
    found = shares(JointTask(student, "light", adapt), 0.5)
    slow = {name for name, share in found.items() if share == 0.5}
    teachers = {name for name in found if name.startswith("adapt.network.model.")}
    assert slow == {name for name in teachers if ".fc." not in name}


def test_a_share_of_one_leaves_the_optimiser_as_it_is() -> None:
    for started in ("", "weights.safetensors"):
        task = direct(started)
        groups = build_optimizer(task, TrainConfig()).param_groups
        assert [group["lr_scale"] for group in groups] == [1.0, 1.0]
        trained = task.trainable()
        expected = [p for p in trained if p.ndim >= 2] + [p for p in trained if p.ndim < 2]
        found = [p for group in groups for p in group["params"]]
        assert list(map(id, found)) == list(map(id, expected))


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.5, False), (0.0, True)])
def test_momentum(momentum: float, nesterov: bool) -> None:
    config = TrainConfig(optimizer="sgd", momentum=momentum, nesterov=nesterov)
    optimizer = build_optimizer(IndependentTask(network(), "full"), config)
    assert isinstance(optimizer, torch.optim.SGD)
    # torch refuses Nesterov's momentum where there is none.
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (momentum, nesterov and momentum > 0)


def rates(steps: int, per_epoch: int, config: TrainConfig) -> Sequence[float]:
    return [learning_rate(step, per_epoch, steps, config) for step in range(steps)]


def test_the_learning_rate_warms_up_and_falls_like_a_cosine() -> None:
    config = TrainConfig(learning_rate=0.8, warmup_epochs=2)
    found = rates(20, 2, config)
    assert found[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert found[4] == pytest.approx(0.8)
    assert found[12] == pytest.approx(0.4)  # half-way through the sixteen steps that remain
    expected = [0.4 * (1 + math.cos(math.pi * k / 16)) for k in range(16)]
    assert found[4:] == pytest.approx(expected) and 0 < found[-1] < 0.01
    assert max(rates(6, 3, TrainConfig(learning_rate=1, warmup_epochs=100))[:3]) == 1
    assert rates(1, 1, config) == [0.8]


def test_it_falls_by_steps() -> None:
    config = TrainConfig(
        learning_rate=8, warmup_epochs=1, schedule="step", decay_every=2, decay_factor=0.5
    )
    assert rates(12, 2, config) == [4, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2, 2]


def test_it_stays() -> None:
    config = TrainConfig(learning_rate=8, warmup_epochs=1, schedule="constant")
    assert rates(6, 2, config) == [4, 8, 8, 8, 8, 8]


@pytest.mark.parametrize("steps", [10, 40, 333])
def test_one_cycle_is_torchs(steps: int) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=steps, cycle_momentum=False
    )
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torchs.step() if len(expected) < steps else None
    config = TrainConfig(learning_rate=0.5, schedule="one-cycle")
    assert rates(steps, 5, config) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_one_cycle_of_hardly_any_steps() -> None:
    config = TrainConfig(learning_rate=0.5, schedule="one-cycle")
    for steps in (1, 2, 3, 4):
        found = rates(steps, 1, config)
        assert max(found) > 0.3 and all(0 < rate <= 0.5 for rate in found)
