"""Two heads of one network, mixed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from dait.models.checkpoint import load_network, save_network
from dait.models.heads import HeadMix, TextHead, best_mix, mixed_logits
from dait.models.network import Network, build_network
from dait.models.spec import NetworkSpec
from dait.models.start import start_from

SPEC = NetworkSpec(name="resnet10t", options={"channels": [8, 8, 16, 16], "stem_width": 8})
CLASSES = ["a", "b", "c"]


def network() -> Network:
    torch.manual_seed(0)
    return build_network(SPEC, len(CLASSES), 32).eval()


def seconds(width: int) -> dict[str, nn.Module]:
    torch.manual_seed(1)
    prototypes = nn.functional.normalize(torch.randn(3, 5), dim=1)
    own = nn.functional.normalize(torch.randn(3, width), dim=1)
    return {
        "linear": nn.Linear(width, 3),
        "text": TextHead(nn.Linear(width, 5), prototypes, 20.0),
        "cosine": TextHead(nn.Identity(), own, 14.0),
    }


def test_a_mixture_is_of_probabilities() -> None:
    torch.manual_seed(0)
    own, second = torch.randn(4, 3), torch.randn(4, 3)
    found = mixed_logits(own, second, 0.3, 2.0).softmax(1)
    expected = 0.3 * own.softmax(1) + 0.7 * (second / 2).softmax(1)
    torch.testing.assert_close(found, expected)
    assert torch.equal(mixed_logits(own, second, 1.0, 2.0), own)
    assert torch.equal(mixed_logits(own, second, 0.0, 2.0), second / 2)


def test_the_better_head_is_chosen_and_a_mixture_where_it_is_better_than_both() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    right = 4 * torch.eye(3)[labels]
    assert best_mix(right, -right, labels)[0] == 1
    assert best_mix(-right, right, labels)[0] == 0
    # Each is right about two images, and sure of these alone.
    first, other = right.clone(), right.clone()
    first[2:] = torch.tensor([0.0, 0.4, 0.0])
    other[:2] = torch.tensor([0.0, 0.0, 0.4])
    own_weight, temperature = best_mix(first, other, labels)
    assert 0 < own_weight < 1
    assert (mixed_logits(first, other, own_weight, temperature).argmax(1) == labels).all()


@pytest.mark.parametrize("kind", ["linear", "text", "cosine"])
def test_a_network_with_two_heads_survives_its_file(kind: str, tmp_path: Path) -> None:
    made = network()
    plain = made(torch.ones(2, 3, 32, 32) / 3)
    made.mix = HeadMix(seconds(made.pooled_width)[kind], 0.4, 2.0)
    images = torch.rand(2, 3, 32, 32)
    expected = made(images).logits
    save_network(tmp_path / "student.safetensors", made, CLASSES, arm="dho")
    loaded = load_network(tmp_path / "student.safetensors").network
    assert torch.equal(loaded(images).logits, expected)
    # Who starts from it starts from its body and its own head.
    fresh = network()
    start_from(fresh, "resnet10t", fresh.heads(), tmp_path / "student.safetensors")
    assert fresh.mix is None
    assert torch.equal(fresh(torch.ones(2, 3, 32, 32) / 3).logits, plain.logits)


def test_a_file_of_one_head_is_as_it_was(tmp_path: Path) -> None:
    from dait.models.tensors import NETWORK_KEY, read_metadata

    save_network(tmp_path / "student.safetensors", network(), CLASSES, arm="direct")
    assert '"mix"' not in read_metadata(tmp_path / "student.safetensors")[NETWORK_KEY]
