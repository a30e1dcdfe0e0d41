"""What every task descends, what its gradients reach, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_parts import SCALE, array, batch, cross_entropy, divergence, network, prototypes, unit
from torch import nn

from dait.config.arms import DaitConfig, DirectConfig
from dait.losses import cosine_distance, distillation, spatial_distance, zero_shot_logits
from dait.models.heads import TextHead
from dait.tasks.adapt import AdaptTask
from dait.tasks.base import Batch, Task
from dait.tasks.direct import DirectTask
from dait.tasks.distil import DistilTask
from dait.tasks.independent import IndependentTask


def independent(**config: Any) -> Task:
    return IndependentTask(network(), "full", **config)


def direct(**config: Any) -> Task:
    return DirectTask(network(), "full", prototypes(), SCALE, DirectConfig(**config))


def adapt(**config: Any) -> Task:
    return AdaptTask(network(), "full", prototypes(), SCALE, DaitConfig(**config))


def distil(**config: Any) -> DistilTask:
    teacher = network(width=16, seed=7)
    torch.manual_seed(8)
    texts = TextHead(nn.Linear(teacher.pooled_width, prototypes().shape[1]), prototypes(), SCALE)
    return DistilTask(network(), "light", teacher, DaitConfig(**config), texts=texts)


ALL: list[Callable[..., Task]] = [
    independent,
    direct,
    adapt,
    lambda: distil(pooled_weight=1, logit_weight=1, text_weight=1),
]


def test_independent_is_cross_entropy() -> None:
    task, data = independent(), batch()
    output = task(data)
    expected = F.cross_entropy(task.network(data.images).logits, data.labels)
    torch.testing.assert_close(output.loss, expected)
    assert output.parts.keys() == {"classification"} and not task.needs_vlm


def test_direct_is_its_weighted_sum() -> None:
    task, data = direct(feature_weight=3, logit_weight=0.25, temperature=4), batch()
    output, seen = task(data), task.network(data.images)
    projected = task.projections["student_to_vlm"](seen.pooled)
    taught = SCALE * data.vlm @ prototypes().T
    classification = F.cross_entropy(seen.logits, data.labels)
    feature = cosine_distance(projected, data.vlm)
    logits = distillation(seen.logits, taught, 4)
    torch.testing.assert_close(output.loss, classification + 3 * feature + 0.25 * logits)
    expected = {"classification": classification, "feature": feature, "logits": logits}
    assert output.parts.keys() == expected.keys()
    for name, part in expected.items():
        torch.testing.assert_close(output.parts[name], part)
    torch.testing.assert_close(output.logits, seen.logits)


def test_direct_through_the_class_texts_is_its_weighted_sum() -> None:
    task = direct(feature_weight=0, logit_weight=0, text_weight=0.5, temperature=3)
    data = batch()
    output, seen = task(data), task.network(data.images)
    projected = unit(array(task.projections["student_to_vlm"](seen.pooled)))
    texts = array(prototypes())
    taught, place = SCALE * array(data.vlm) @ texts.T, SCALE * projected @ texts.T
    expected = cross_entropy(array(seen.logits), data.labels) + 0.5 * divergence(taught, place, 3)
    assert float(output.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert output.parts.keys() == {"classification", "texts"}
    torch.testing.assert_close(output.logits, seen.logits)  # those of the head, which is exported


def test_stage_1_is_its_weighted_sum() -> None:
    task, data = adapt(representation_weight=2, semantic_weight=0.5, temperature=3), batch()
    output, seen = task(data), task.network(data.images)
    projected = task.projections["intermediate_to_vlm"](seen.pooled)
    # Through the class texts: the projection's logits, not the classifier's.
    own = SCALE * F.normalize(projected, dim=1) @ prototypes().T
    taught = zero_shot_logits(data.vlm, prototypes(), SCALE)
    expected = (
        F.cross_entropy(seen.logits, data.labels)
        + 2 * cosine_distance(projected, data.vlm)
        + 0.5 * distillation(own, taught, 3)
    )
    torch.testing.assert_close(output.loss, expected)
    assert output.parts.keys() == {"classification", "representation", "semantic"}


def test_stage_2_is_its_weighted_sum() -> None:
    task, data = distil(spatial_weight=4, pooled_weight=0.5, logit_weight=2, temperature=3), batch()
    output, seen = task(data), task.network(data.images)
    taught = task.teacher(data.images)
    expected = (
        F.cross_entropy(seen.logits, data.labels)
        + 4 * spatial_distance(task.projections["map_adapter"](seen.map), taught.map)
        + 0.5 * cosine_distance(task.projections["pooled"](seen.pooled), taught.pooled)
        + 2 * distillation(seen.logits, taught.logits, 3)
    )
    torch.testing.assert_close(output.loss, expected)
    assert output.parts.keys() == {"classification", "spatial", "pooled", "logits"}


PARTS_OF_STAGE_2 = {
    "spatial_weight": ("spatial", "map_adapter"),
    "pooled_weight": ("pooled", "pooled"),
    "logit_weight": ("logits", None),
    "text_weight": ("texts", "student_to_vlm"),
}


@pytest.mark.parametrize("weight", PARTS_OF_STAGE_2)
def test_parts_that_weigh_nothing_are_not_computed_in_stage_2(weight: str) -> None:
    part, adapter = PARTS_OF_STAGE_2[weight]
    alone = distil(**{**dict.fromkeys(PARTS_OF_STAGE_2, 0), weight: 1})
    assert alone(batch()).parts.keys() == {"classification", part}
    assert set(alone.projections.keys()) == {adapter} - {None}


def test_stage_2_that_hands_nothing_on_does_not_run_its_teacher() -> None:
    task, asked = distil(spatial_weight=0), list[int]()
    task.teacher.register_forward_hook(lambda *_: asked.append(1))
    assert task(batch()).parts.keys() == {"classification"} and not asked
    busy = distil()
    busy.teacher.register_forward_hook(lambda *_: asked.append(1))
    busy(batch())
    assert asked == [1]


PARTS_OF_STAGE_1 = {
    "classification_weight": "classification",
    "representation_weight": "representation",
    "semantic_weight": "semantic",
}


@pytest.mark.parametrize("weight", PARTS_OF_STAGE_1)
def test_parts_that_weigh_nothing_are_not_computed_in_stage_1(weight: str) -> None:
    without = adapt(**{weight: 0})(batch()).parts
    assert without.keys() == set(PARTS_OF_STAGE_1.values()) - {PARTS_OF_STAGE_1[weight]}
    alone = adapt(**{**dict.fromkeys(PARTS_OF_STAGE_1, 0), weight: 1})
    assert alone(batch()).parts.keys() == {PARTS_OF_STAGE_1[weight]}
    labels_only = weight == "classification_weight"
    assert alone.needs_vlm is not labels_only
    assert set(alone.projections) == (set() if labels_only else {"intermediate_to_vlm"})


def test_a_teacher_without_labels_is_trained_in_all_but_its_head_and_says_so() -> None:
    task = adapt(classification_weight=0)
    task(batch()).loss.backward()
    still = [name for name, p in task.network.named_parameters() if p.grad is None]
    assert still == ["model.fc.weight", "model.fc.bias"]
    assert "own head never learns" in task.notes[0]
    assert adapt().notes == ()


@pytest.mark.parametrize("weight", ["classification", "feature", "logit", "text"])
def test_parts_that_weigh_nothing_are_not_computed_in_direct(weight: str) -> None:
    names = {"classification": "classification", "feature": "feature", "logit": "logits"}
    names["text"] = "texts"
    none = {f"{name}_weight": 0 for name in names}
    alone = direct(**{**none, f"{weight}_weight": 1})
    assert alone(batch()).parts.keys() == {names[weight]}
    assert alone.needs_vlm is (weight != "classification")
    assert set(alone.projections) == (
        {"student_to_vlm"} if weight in ("feature", "text") else set()
    )


@pytest.mark.parametrize("make", [independent, direct, adapt, distil])
def test_label_smoothing_reaches_the_classification_part(make: Callable[..., Task]) -> None:
    task, data = make(), batch()
    task.label_smoothing = 0.3  # type: ignore[assignment]
    expected = F.cross_entropy(task.network(data.images).logits, data.labels, label_smoothing=0.3)
    torch.testing.assert_close(task(data).parts["classification"], expected)


@pytest.mark.parametrize("make", ALL)
def test_gradients_reach_the_whole_network_and_every_projection(make: Callable[..., Task]) -> None:
    task = make()
    task(batch()).loss.backward()
    named = {**dict(task.network.named_parameters()), **dict(task.projections.named_parameters())}
    assert all(parameter.grad is not None for parameter in named.values())
    # timm starts residual branches at zero, so that in the first step nothing comes through them.
    through = [name for name in named if not name.startswith("model.layer")]
    assert any("conv1" in name for name in through) and any("fc" in name for name in through)
    for name in through:
        assert named[name].grad.abs().sum() > 0, name
    assert {id(p) for p in task.trainable()} == {id(p) for p in named.values()}
    assert {id(p) for p in task.parameters()} == {id(p) for p in named.values()}


@pytest.mark.parametrize("make", [direct, adapt])
def test_prototypes_and_embeddings_are_not_trained(make: Callable[..., Task]) -> None:
    task, data = make(), batch()
    assert data.vlm is not None
    before = task.prototypes.clone()
    optimizer = torch.optim.SGD(task.trainable(), lr=0.1)
    task(data).loss.backward()
    optimizer.step()
    assert task.prototypes.grad is None and torch.equal(task.prototypes, before)
    assert not data.vlm.requires_grad
    assert not any("prototypes" in key for key in task.state_dict())


def test_the_intermediate_teacher_stays_as_it_is() -> None:
    task = distil(pooled_weight=1, logit_weight=1, text_weight=1)
    (texts,) = task._texts
    teacher = nn.ModuleList([task.teacher, texts]).eval()
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    optimizer = torch.optim.SGD(task.trainable(), lr=0.1)
    for _ in range(2):
        task.train()
        task(batch()).loss.backward()
        optimizer.step()
    assert task.network.training and not any(m.training for m in teacher.modules())
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    # BatchNorm's running statistics are among these, and would have moved in training mode.
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert any("running_mean" in key for key in before)


def test_the_intermediate_teacher_is_no_part_of_what_is_saved_but_moves_along() -> None:
    task = distil(text_weight=1)
    (texts,) = task._texts
    own = {id(parameter) for part in (task.teacher, texts) for parameter in part.parameters()}
    assert not own & {id(parameter) for parameter in task.parameters()}
    assert not any("intermediate" in key for key in task.state_dict())
    task.to(torch.float64)
    assert {next(part.parameters()).dtype for part in (task.teacher, texts)} == {torch.float64}
    assert texts.prototypes.dtype == torch.float64


def test_the_place_among_the_class_texts_is_handed_on() -> None:
    task, data = distil(spatial_weight=0, text_weight=3, temperature=2), batch()
    output, seen = task(data), task.network(data.images)
    (texts,) = task._texts
    place = texts.projection(task.teacher(data.images).pooled)
    taught = SCALE * F.normalize(place, dim=1) @ prototypes().T
    own = SCALE * F.normalize(task.projections["student_to_vlm"](seen.pooled), dim=1)
    expected = distillation(own @ prototypes().T, taught, 2)
    torch.testing.assert_close(output.parts["texts"], expected)
    torch.testing.assert_close(output.loss, output.parts["classification"] + 3 * expected)
    with pytest.raises(ValueError, match="text head"):
        DistilTask(network(), "light", network(width=16), DaitConfig(text_weight=1))


@pytest.mark.parametrize("make", ALL)
def test_projections_are_no_part_of_the_student(make: Callable[..., Task]) -> None:
    task = make()
    alone = network().state_dict().keys()
    assert task.network.state_dict().keys() == alone
    assert not any("projection" in key or "adapter" in key for key in alone)


@pytest.mark.parametrize("make", [direct, adapt])
def test_a_batch_without_the_teachers_embeddings_is_refused(make: Callable[..., Task]) -> None:
    data = batch()
    assert make().needs_vlm
    with pytest.raises(ValueError, match="frozen teacher's embeddings"):
        make()(Batch(data.images, data.labels))
