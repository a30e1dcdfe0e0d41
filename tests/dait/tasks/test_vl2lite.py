"""VL2Lite: the published losses, and how their weights move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_parts import (
    CLASSES,
    array,
    batch,
    cross_entropy,
    divergence,
    network,
    prototypes,
    unit,
)

from dait.config.arms import Vl2LiteConfig
from dait.tasks.vl2lite import Vl2LiteTask


def vl2lite(**config: float) -> Vl2LiteTask:
    return Vl2LiteTask(network(), "full", prototypes(), Vl2LiteConfig(**config))


def align(task: Vl2LiteTask, name: str, rows: np.ndarray) -> np.ndarray:
    first, _, second = task.projections[name]
    hidden = np.maximum(rows @ array(first.weight).T + array(first.bias), 0)
    return unit(hidden @ array(second.weight).T + array(second.bias))


def test_the_loss_by_hand() -> None:
    task, data = vl2lite(), batch()
    task.begin_epoch(6, 10)
    output, seen = task(data), task.network(data.images)
    pooled, vlm, texts = unit(array(seen.pooled)), array(data.vlm), array(task.prototypes)
    feature = np.abs(pooled - align(task, "align_image", vlm)).mean()
    own = pooled @ align(task, "align_text", texts).T / 0.07
    logits = CLASSES / 2 * divergence(vlm @ texts.T / 0.07, own, tau=2)
    classification = cross_entropy(array(seen.logits), data.labels)
    expected = {"classification": classification, "feature": feature, "logits": logits}
    assert output.parts.keys() == expected.keys()
    for name, value in expected.items():
        assert output.parts[name].item() == pytest.approx(value, rel=1e-4), name
    share = 6 / (8 * 10)
    total = share * classification + (1 - share) * (feature + logits) / 2
    assert output.loss.item() == pytest.approx(total, rel=1e-4)
    torch.testing.assert_close(output.logits, seen.logits)


def test_labels_weigh_from_nothing_to_almost_an_eighth() -> None:
    task, shares = vl2lite(), []
    for epoch in range(4):
        task.begin_epoch(epoch, 4)
        shares.append(task.classification_share)
    assert shares == [0, 1 / 32, 2 / 32, 3 / 32]
    task.begin_epoch(1, 4)  # as after a resume: what counts is the epoch, not how often it is told
    assert task.classification_share == 1 / 32


def test_another_share_of_the_labels() -> None:
    task = vl2lite(classification_share=1.0)
    task.begin_epoch(3, 4)
    assert task.classification_share == 0.75


def test_the_head_learns_once_labels_weigh_something() -> None:
    task = vl2lite()
    for epoch, learns in ((0, False), (1, True)):
        task.zero_grad()
        task.begin_epoch(epoch, 2)
        task(batch()).loss.backward()
        assert bool(task.network.model.fc.weight.grad.abs().sum() > 0) is learns
        others = {
            **dict(task.projections.named_parameters()),
            "stem": task.network.model.conv1[0].weight,
        }
        for name, parameter in others.items():
            assert parameter.grad.abs().sum() > 0, name
    named = [*task.network.parameters(), *task.projections.parameters()]
    assert {id(p) for p in task.trainable()} == {id(p) for p in named}
    assert {id(p) for p in task.parameters()} == {id(p) for p in named}


def test_parts_that_weigh_nothing_have_no_align_net() -> None:
    for weight, net, part in (
        ("feature_weight", "align_text", "logits"),
        ("logit_weight", "align_image", "feature"),
    ):
        task = vl2lite(**{weight: 0.0})
        assert task.projections.keys() == {net}
        assert task(batch()).parts.keys() == {"classification", part}


def test_an_align_net_is_as_wide_as_the_student() -> None:
    task = vl2lite()
    for net in task.projections.values():
        widths = [tuple(parameter.shape) for parameter in net.parameters() if parameter.ndim == 2]
        assert widths == [(8, 6), (8, 8)]
    assert task.network.state_dict().keys() == network().state_dict().keys()


def test_without_the_teachers_embeddings_it_refuses() -> None:
    assert vl2lite().needs_vlm
    with pytest.raises(ValueError, match="frozen teacher's embeddings"):
        vl2lite()(replace(batch(), vlm=None))
