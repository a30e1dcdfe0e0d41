from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dait.errors import UserError
from dait.models.checkpoint import (
    file_sha256,
    load_network,
    load_tensors,
    save_network,
    save_tensors,
    tensors_sha256,
)
from dait.models.network import Network, NetworkSpec, build_network

CLASSES = ["robin", "wren", "Grünfink"]


@pytest.fixture
def network() -> Network:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = {"channels": [8, 8, 16, 16], "stem_width": 8}
    network = build_network(NetworkSpec(name="resnet10t", options=options), 3, 64)
    with torch.no_grad():
        network(torch.rand(4, 3, 64, 64))  # moves BatchNorm's statistics from their start
    return network.eval()


def logits(network: Network) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.linspace(0, 1, 3 * 64 * 64).view(1, 3, 64, 64)).logits


def test_a_network_comes_back_as_it_was(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "run" / "student.safetensors"
    save_network(path, network, CLASSES, arm="dait", extra={"recipe": "demo"})
    before = torch.random.get_rng_state()
    loaded = load_network(path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(logits(loaded.network), logits(network))
    assert loaded.classes == CLASSES
    assert loaded.description.arm == "dait" and loaded.description.extra == {"recipe": "demo"}
    assert loaded.network.spec == network.spec and loaded.network.image_size == 64
    assert not loaded.network.training
    assert [p.name for p in path.parent.iterdir()] == ["student.safetensors"]


def test_fp16_halves_the_file_and_loads_as_fp32(network: Network, tmp_path: Path) -> None:
    save_network(tmp_path / "full.safetensors", network, CLASSES, arm="dait")
    save_network(tmp_path / "half.safetensors", network, CLASSES, arm="dait", dtype=torch.float16)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.75 * sizes[1]
    loaded = load_network(tmp_path / "half.safetensors").network
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.mean, network.mean)
    assert torch.equal(loaded.model.bn1.running_var, network.model.bn1.running_var)
    torch.testing.assert_close(logits(loaded), logits(network), atol=5e-3, rtol=5e-3)


def test_what_fp16_cannot_hold_stays_fp32(network: Network, tmp_path: Path) -> None:
    with torch.no_grad():
        network.model.fc.bias[0] = 1e6
    path = tmp_path / "half.safetensors"
    save_network(path, network, CLASSES, arm="dait", dtype=torch.float16)
    assert load_network(path).network.model.fc.bias[0] == 1e6


def test_class_names_must_fit(network: Network, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 class names for 3"):
        save_network(tmp_path / "x.safetensors", network, CLASSES[:2], arm="dait")


def test_missing_damaged_foreign_files_are_sentences(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    with pytest.raises(UserError, match="There is no file"):
        load_network(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UserError, match="damaged or not a safetensors file"):
        load_network(path)
    save_network(path, network, CLASSES, arm="dait")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_network(path)
    save_tensors(path, {"a": torch.zeros(2)})
    with pytest.raises(UserError, match="does not say which network"):
        load_network(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "version 2; this program reads version 1"),
        ({"version": None}, "description .* is damaged"),
        ({"num_classes": 4}, "4 classes"),
        ({"surprise": 1}, "surprise"),
        ({"spec": {"name": "hf-hub:some/where"}}, "not a network name"),
        ({"spec": {"name": "resnet18"}}, "do not fit the network"),
    ],
)
def test_changed_descriptions_are_refused(
    network: Network, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "student.safetensors"
    save_network(path, network, CLASSES, arm="dait")
    with safe_open(str(path), framework="pt") as file:
        fields = json.loads(file.metadata()["dait-network"])
    fields.update(changes)
    save_file(load_tensors(path), str(path), {"dait-network": json.dumps(fields)})
    with pytest.raises(UserError, match=sentence):
        load_network(path)


def test_tensors_may_share_memory_and_be_strided(tmp_path: Path) -> None:
    table = torch.arange(6.0).view(2, 3)
    save_tensors(tmp_path / "p.safetensors", {"a": table, "b": table.T, "c": table})
    loaded = load_tensors(tmp_path / "p.safetensors")
    assert torch.equal(loaded["a"], table) and torch.equal(loaded["b"], table.T)


def test_hashes_see_every_change(tmp_path: Path) -> None:
    a = {"x": torch.ones(2, 3), "y": torch.zeros(1, dtype=torch.int64)}
    same = {"y": a["y"].clone(), "x": a["x"].clone()}
    assert tensors_sha256(a) == tensors_sha256(same)
    for other in (
        {**a, "x": torch.ones(3, 2)},
        {**a, "x": torch.ones(2, 3, dtype=torch.float64)},
        {**a, "x": a["x"] + 1e-6},
        {"z": a["x"], "y": a["y"]},
    ):
        assert tensors_sha256(a) != tensors_sha256(other)
    (tmp_path / "f").write_bytes(b"abc")
    assert file_sha256(tmp_path / "f").startswith("ba7816bf8f01cfea")
    with pytest.raises(UserError, match="cannot be read"):
        file_sha256(tmp_path / "none")
