from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dait.data.fieldguide import FieldGuide
from dait.models.network import NetworkSpec, build_network
from dait.training.inference import predict_split


def test_predictions_are_those_of_the_plain_images_in_order(birds: FieldGuide) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name="test_resnet"), 6, 32)
    with torch.no_grad():  # running statistics that are not the batch's
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    split = birds.split("test")
    found = predict_split(network.train(), split, batch=5)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())

    pixels = torch.tensor(split.images).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = network.eval()(pixels)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=1e-4, atol=1e-5)
    predict_split(network.eval(), split)
    assert not network.training

    labels = torch.tensor(split.labels)
    right = sum(
        int(row.argmax()) == int(label) for row, label in zip(found.logits, labels, strict=True)
    )
    assert found.top1(labels) == pytest.approx(right / len(split))
    assert found.loss(labels) == pytest.approx(F.cross_entropy(found.logits, labels).item())


def test_the_mode_is_restored_when_the_network_fails(birds: FieldGuide) -> None:
    network = build_network(NetworkSpec(name="test_resnet"), 6, 32).train()
    network.model.conv1 = torch.nn.Identity()
    with pytest.raises(RuntimeError):
        predict_split(network, birds.split("val"))
    assert network.training
