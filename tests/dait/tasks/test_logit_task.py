"""Distillation of a network's logits: what kd and takd end with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_parts import array, batch, cross_entropy, divergence, network

from dait.config.arms import KdConfig
from dait.tasks.logits import LogitTask


def logit_task(**config: Any) -> LogitTask:
    return LogitTask(network(), "full", network(width=16, seed=7), KdConfig(**config))


def test_the_loss_by_hand() -> None:
    task = logit_task(classification_weight=0.5, logit_weight=3, temperature=4)
    # A new network hardly tells images apart: a louder head makes the teacher's opinion one.
    task.teacher.model.fc.weight.mul_(30)
    data = batch()
    output = task(data)
    student = array(task.network(data.images).logits)
    taught = array(task.teacher(data.images).logits)
    classification = cross_entropy(student, data.labels)
    logits = divergence(taught, student, tau=4)
    assert output.loss.item() == pytest.approx(0.5 * classification + 3 * logits, rel=1e-4)
    assert output.parts["classification"].item() == pytest.approx(classification, rel=1e-5)
    assert output.parts["logits"].item() == pytest.approx(logits, rel=1e-3)
    assert logits > 0.01


def test_the_frozen_teacher_is_not_asked() -> None:
    data = replace(batch(), vlm=None)
    assert not logit_task().needs_vlm
    assert torch.isfinite(logit_task()(data).loss)


@pytest.mark.parametrize("gone", ["classification", "logits"])
def test_a_part_that_weighs_nothing_is_not_computed(gone: str) -> None:
    weight = {"classification": "classification_weight", "logits": "logit_weight"}[gone]
    parts = logit_task(**{weight: 0})(batch()).parts
    assert parts.keys() == {"classification", "logits"} - {gone}


def test_gradients_reach_the_student_alone_and_the_teacher_stays_as_it_is() -> None:
    task = logit_task()
    teacher = task.teacher
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    own = list(task.network.parameters())
    optimizer = torch.optim.SGD(task.trainable(), lr=0.1)
    for _ in range(2):
        task.train()
        task(batch()).loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in own)
    assert {id(p) for p in task.trainable()} == {id(p) for p in own}
    assert {id(p) for p in task.parameters()} == {id(p) for p in own}
    assert task.network.training and not any(m.training for m in teacher.modules())
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert task.network.state_dict().keys() == network().state_dict().keys()
    assert not task.projections and not task.extra_networks
