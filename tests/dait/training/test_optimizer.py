"""Which parameters decay, and by which optimiser they move."""

from __future__ import annotations

import pytest
import torch
from colours import network

from dait.config.train import TrainConfig
from dait.tasks.independent import IndependentTask
from dait.training.optimizer import build_optimizer


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


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.5, False), (0.0, True)])
def test_momentum(momentum: float, nesterov: bool) -> None:
    config = TrainConfig(optimizer="sgd", momentum=momentum, nesterov=nesterov)
    optimizer = build_optimizer(IndependentTask(network(), "full"), config)
    assert isinstance(optimizer, torch.optim.SGD)
    # torch refuses Nesterov's momentum where there is none.
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (momentum, nesterov and momentum > 0)
