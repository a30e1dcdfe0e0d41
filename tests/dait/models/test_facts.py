"""What is known of a network before it is trained."""

from __future__ import annotations

import pytest
import torch

from dait.errors import UserError
from dait.models.facts import network_facts
from dait.models.network import NetworkSpec


def test_facts_of_a_network_that_can_be_counted_by_hand() -> None:
    torch.set_num_threads(1)
    spec = NetworkSpec(
        name="resnet10t", options={"channels": [8, 8, 16, 16], "stem_width": 8, "stem_type": ""}
    )
    before = torch.random.get_rng_state()
    facts = network_facts(spec, 10, 64)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (facts.map, facts.pooled_width) == ((16, 2, 2), 16)
    assert facts.coarse
    more = network_facts(spec, 11, 64)
    assert more.parameters - facts.parameters == 16 + 1
    assert more.macs - facts.macs == 16


@pytest.mark.slow
def test_a_finer_map_is_not_coarse() -> None:
    spec = NetworkSpec(name="mobilenetv2_035", output_stride=16)
    assert not network_facts(spec, 3, 80).coarse
    assert network_facts(spec, 3, 64).coarse


def test_weights_are_neither_read_nor_fetched() -> None:
    spec = NetworkSpec(name="lcnet_035", weights="/nowhere/at/all.safetensors")
    assert network_facts(spec, 3, 64).parameters > 0


def test_giants_are_refused_before_they_take_memory() -> None:
    with pytest.raises(UserError, match=r"1,011 M parameters.*at most 100 M"):
        network_facts(NetworkSpec(name="vit_giant_patch14_224"), 3, 224)
