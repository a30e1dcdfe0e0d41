"""DAIT in one stage: two networks learn at once, and only one of them from the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_parts import SCALE, batch, network, prototypes
from torch import Tensor

from dait.config.arms import DaitConfig
from dait.losses import cosine_distance, distillation, spatial_distance, zero_shot_logits
from dait.models.network import Network
from dait.tasks.adapt import AdaptTask
from dait.tasks.joint import JointTask


def joint(**config: Any) -> JointTask:
    teacher = network(width=16, seed=7)
    settings = DaitConfig(teacher="joint", **config)
    torch.manual_seed(3)
    adapt = AdaptTask(teacher, "full", prototypes(), SCALE, settings)
    torch.manual_seed(4)
    return JointTask(network(), "full", adapt)


def gradients(task: JointTask, owner: Network) -> list[Tensor]:
    task(batch()).loss.backward()
    return [parameter.grad.clone() for parameter in owner.parameters()]


def test_both_losses_are_summed() -> None:
    weights = {"classification_weight": 0.5, "representation_weight": 2, "semantic_weight": 3}
    task, data = joint(**weights, spatial_weight=4, logit_weight=0.25), batch()
    output = task(data)
    with torch.no_grad():  # in training mode, as the task saw them
        student, teacher = task.network(data.images), task.adapt.network(data.images)
        projected = task.projections["intermediate_to_vlm"](teacher.pooled)
        adapted = task.projections["map_adapter"](student.map)
    own = zero_shot_logits(projected, prototypes(), SCALE)
    wanted = zero_shot_logits(data.vlm, prototypes(), SCALE)
    expected = {
        "classification": F.cross_entropy(student.logits, data.labels),
        "spatial": spatial_distance(adapted, teacher.map),
        "logits": distillation(student.logits, teacher.logits, 2.0),
        "teacher_classification": F.cross_entropy(teacher.logits, data.labels),
        "teacher_representation": cosine_distance(projected, data.vlm),
        "teacher_semantic": distillation(own, wanted, 2.0),
    }
    assert output.parts.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(output.parts[name], value, msg=name)
    factors = dict(zip(expected, (1, 4, 0.25, 0.5, 2, 3), strict=True))
    total = sum(factors[name] * value for name, value in expected.items())
    torch.testing.assert_close(output.loss, total)
    torch.testing.assert_close(output.logits, student.logits)


def test_what_the_student_feels_never_reaches_the_teacher_nor_the_other_way_round() -> None:
    quiet, loud = joint(spatial_weight=1, logit_weight=1), joint(spatial_weight=50, logit_weight=9)
    for one, other in zip(
        gradients(quiet, quiet.adapt.network), gradients(loud, loud.adapt.network), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert any(grad.abs().sum() > 0 for grad in gradients(quiet, quiet.adapt.network))
    plain, strict = joint(semantic_weight=1), joint(semantic_weight=80)
    for one, other in zip(
        gradients(plain, plain.network), gradients(strict, strict.network), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_both_networks_and_every_projection_learn() -> None:
    task = joint(pooled_weight=1)
    parts = (task.network, task.adapt.network, task.projections)
    expected = [id(p) for part in parts for p in part.parameters()]
    assert sorted(id(p) for p in task.trainable()) == sorted(expected)
    assert {id(p) for p in task.parameters()} == set(expected)
    assert task.learners() == [task.network, task.adapt.network]
    assert task.extra_networks == {"intermediate": task.adapt.network}
    assert task.projections.keys() == {"intermediate_to_vlm", "map_adapter", "pooled"}
    assert task.network.state_dict().keys() == network().state_dict().keys()


def test_the_teacher_runs_once_a_batch_in_training_mode() -> None:
    task = joint()
    counts = [
        buffer
        for name, buffer in task.adapt.network.named_buffers()
        if name.endswith("num_batches_tracked")
    ]
    assert counts
    for turn in (1, 2):
        task.train()
        task(batch())
        assert {int(count) for count in counts} == {turn}
    task.eval()
    task(batch())
    assert {int(count) for count in counts} == {2}


def test_everything_that_learns_is_in_the_tasks_state() -> None:
    """A checkpoint of the task must bring both networks back."""
    task, other = joint(), joint()
    with torch.no_grad():
        for parameter in other.trainable():
            parameter.add_(1)
    task.load_state_dict(other.state_dict())
    for one, two in zip(task.trainable(), other.trainable(), strict=True):
        assert torch.equal(one, two)


def test_without_alignment_the_frozen_teacher_is_not_asked() -> None:
    task = joint(representation_weight=0, semantic_weight=0)
    assert not task.needs_vlm and task.projections.keys() == {"map_adapter"}
    assert joint().needs_vlm
    with pytest.raises(ValueError, match="frozen teacher's embeddings"):
        joint()(type(batch())(batch().images, batch().labels))


def test_what_a_person_should_know_is_passed_on() -> None:
    assert joint().notes == ()
    assert "never learns" in joint(classification_weight=0).notes[0]
