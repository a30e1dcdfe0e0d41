from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dait.errors import UserError
from dait.models.cost import count_macs, count_parameters, cpu_latency_ms, measure_cost
from dait.models.network import NetworkSpec, build_network


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_macs_of_a_cnn_add_up_layer_by_layer() -> None:
    options = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}
    network = build_network(NetworkSpec(name="resnet18", options=options), 5, 64)
    expected = 0
    handles = []

    def add(module: torch.nn.Module, args: object, out: torch.Tensor) -> None:
        nonlocal expected
        expected += module.weight[0].numel() * out.numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            handles.append(module.register_forward_hook(add))
    with torch.no_grad():
        network.eval()(torch.rand(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    assert count_macs(network) == expected


def test_macs_of_a_transformer_include_its_attention() -> None:
    network = build_network(NetworkSpec(name="test_vit"), 5, 64)
    tokens, width, blocks = 17, 64, 6
    linear = sum(
        module.weight.numel() * tokens
        for module in network.model.blocks.modules()
        if isinstance(module, torch.nn.Linear)
    )
    attention = blocks * 2 * tokens * tokens * width
    patches = 16 * network.model.patch_embed.proj.weight.numel()
    assert count_macs(network) == linear + attention + patches + 5 * width


def test_measuring_leaves_the_network_alone(tmp_path: Path) -> None:
    network = build_network(NetworkSpec(name="test_resnet"), 5, 64)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    (tmp_path / "f").write_bytes(b"x" * 123)
    cost = measure_cost(network, tmp_path / "f")
    assert (
        cost.parameters == count_parameters(network) == sum(p.numel() for p in network.parameters())
    )
    assert cost.file_bytes == 123 and cost.latency_ms > 0
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    with pytest.raises(UserError, match="cannot be read"):
        measure_cost(network, tmp_path / "none")


def test_latency_times_three_runs_even_without_a_budget() -> None:
    network = build_network(NetworkSpec(name="test_resnet"), 5, 32)
    assert cpu_latency_ms(network, warm_ups=0, budget_seconds=0) > 0


def test_latency_is_measured_with_one_thread_and_gives_the_others_back() -> None:
    network = build_network(NetworkSpec(name="test_resnet"), 5, 32)
    seen: list[int] = []
    # The copy that is timed keeps the hooks of the network.
    network.model.conv1.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        cpu_latency_ms(network, runs=3, warm_ups=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen and set(seen) == {1}
