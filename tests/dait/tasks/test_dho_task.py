"""Two heads on one pooled vector: labels teach one, the frozen teacher the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_parts import SCALE, array, batch, cross_entropy, divergence, network, prototypes, unit

from dait.config.arms import DhoConfig
from dait.tasks.dho import DhoTask


def dho(share: float = 0.25, tau: float = 3.0) -> DhoTask:
    config = DhoConfig(classification_share=share, temperature=tau)
    return DhoTask(network(), "full", prototypes(), SCALE, config)


def test_the_loss_by_hand() -> None:
    task, data = dho(), batch()
    output = task(data)
    seen = task.network(data.images)
    second = array(task.second_head()(seen.pooled))
    teacher = SCALE * unit(array(data.vlm)) @ array(prototypes()).T
    labels = cross_entropy(array(seen.logits), data.labels)
    logits = divergence(teacher, second, tau=3)
    assert output.parts["classification"].item() == pytest.approx(labels, rel=1e-5)
    assert output.parts["logits"].item() == pytest.approx(logits, rel=1e-4)
    assert output.loss.item() == pytest.approx(0.25 * labels + 0.75 * logits, rel=1e-4)


def test_labels_leave_the_second_head_alone_and_the_teacher_the_first() -> None:
    for only, head in (("logits", 0), ("classification", 1)):
        task = dho()
        task(batch()).parts[only].backward()
        gradients = [task.network.model.fc.weight.grad, task.second_head().weight.grad]
        assert gradients[head] is None and gradients[1 - head].abs().max() > 0


def test_it_needs_the_frozen_teacher() -> None:
    assert dho().needs_vlm and dho().head == "both"
    with pytest.raises(ValueError, match="embeddings"):
        dho()(replace(batch(), vlm=None))


def test_images_without_labels_teach_the_second_head_alone() -> None:
    task = dho()
    data = replace(batch(), labels=torch.full((4,), -1))
    output = task(data)
    output.loss.backward()
    assert output.parts["classification"].item() == 0
    assert not task.network.model.fc.weight.grad.any()
    assert task.second_head().weight.grad.abs().max() > 0
