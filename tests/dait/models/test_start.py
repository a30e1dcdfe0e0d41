"""Networks that start from a file: what is loaded, what is said, what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.models.checkpoint import file_sha256, load_network, save_network
from dait.models.network import Network, NetworkSpec, build_network
from dait.models.start import weights_hash, weights_path

OPTIONS = {"channels": [8, 8, 16, 16], "stem_width": 8}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def network(classes: int = 3, weights: Path | None = None, name: str = "resnet10t") -> Network:
    options = {} if ":" in name else OPTIONS
    start = None if weights is None else str(weights)
    return build_network(NetworkSpec(name=name, options=options, weights=start), classes, 64)


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A network file of this project, three classes, with a normalisation of its own."""
    trained = network()
    with torch.no_grad():
        trained.mean.fill_(0.25)
        trained(torch.rand(4, 3, 64, 64))  # moves BatchNorm's statistics from their start
    path = tmp_path / "student.safetensors"
    save_network(path, trained, ["a", "b", "c"], arm="dait")
    return path


def assert_equal(first: Network, second: Network) -> None:
    theirs = second.state_dict()
    for name, value in first.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_our_own_file_is_loaded_whole(student: Path) -> None:
    started = network(weights=student)
    assert_equal(started, load_network(student).network)
    total = len(started.state_dict())
    assert started.started_from == (f"student.safetensors (resnet10t): {total} of {total} tensors")
    assert network().started_from == ""


def test_a_head_of_other_classes_starts_anew(student: Path) -> None:
    torch.manual_seed(5)
    started = network(7, student)
    torch.manual_seed(5)
    fresh = network(7)
    assert torch.equal(started.model.fc.weight, fresh.model.fc.weight)
    body = load_network(student).network.state_dict()
    for name, value in started.state_dict().items():
        assert name.startswith("model.fc") or torch.equal(value, body[name]), name
    total = len(body)
    assert (
        f"{total - 2} of {total} tensors; the head starts from random weights"
        in started.started_from
    )


def test_fp16_files_and_plain_state_dicts_are_taken(student: Path, tmp_path: Path) -> None:
    trained = load_network(student).network
    save_network(tmp_path / "h.safetensors", trained, list("abc"), arm="x", dtype=torch.float16)
    half = network(weights=tmp_path / "h.safetensors")
    torch.testing.assert_close(half.model.fc.weight, trained.model.fc.weight, atol=1e-3, rtol=1e-2)
    assert half.model.fc.weight.dtype == torch.float32
    plain = {k: v for k, v in trained.model.state_dict().items() if not k.startswith("fc.")}
    counters = [name for name in plain if name.endswith("num_batches_tracked")]
    for name in counters:
        del plain[name]
    save_file(plain, tmp_path / "plain.safetensors", {"format": "pt"})
    started = network(weights=tmp_path / "plain.safetensors")
    assert torch.equal(started.model.layer4[0].conv1.weight, trained.model.layer4[0].conv1.weight)
    assert not torch.equal(started.mean, trained.mean)
    assert started.started_from.startswith("plain.safetensors: ")
    assert started.started_from.endswith("the head starts from random weights")


def test_torchvision_names_are_found_inside_the_wrapper(tmp_path: Path) -> None:
    name = "torchvision:shufflenet_v2_x0_5"
    first = network(name=name)
    save_file(first.model.body.state_dict(), tmp_path / "s.safetensors")
    assert_equal(network(weights=tmp_path / "s.safetensors", name=name), first)


def test_another_network_is_named_with_the_tensors(student: Path, tmp_path: Path) -> None:
    says = r"do not fit resnet18\. It holds resnet10t\. \d+ tensors do not fit: .* and \d+ more"
    with pytest.raises(UserError, match=says):
        build_network(NetworkSpec(name="resnet18", weights=str(student)), 3, 64)
    plain = load_network(student).network.model.state_dict()
    plain["bn1.weight"] = torch.zeros(8, dtype=torch.int8)
    save_file(plain, tmp_path / "int8.safetensors")
    says = r"does not say .* 1 tensor does not fit: model\.bn1\.weight is \(8,\) int8, not"
    with pytest.raises(UserError, match=says):
        network(weights=tmp_path / "int8.safetensors")


def test_missing_damaged_and_broken_files_are_sentences(student: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        network(weights=tmp_path / "none.safetensors")
    dressed = tmp_path / "pickle.safetensors"
    dressed.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UserError, match="damaged or not a safetensors file"):
        network(weights=dressed)
    tensors = load_network(student).network.model.state_dict()
    tensors["layer1.0.conv1.weight"][0] = torch.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(UserError, match=r"not finite .*layer1\.0\.conv1\.weight"):
        network(weights=tmp_path / "nan.safetensors")


def test_what_a_spec_may_start_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Pickles .* refused"):
        NetworkSpec(name="resnet18", weights="resnet18.pth")
    with pytest.raises(UserError, match="one of them only"):
        NetworkSpec(name="resnet18", weights="a.safetensors", pretrained=True)
    monkeypatch.chdir(tmp_path)
    spec = NetworkSpec(name="resnet18", weights="a.safetensors")
    assert spec.weights == str(tmp_path / "a.safetensors")
    assert NetworkSpec.model_validate(spec.model_dump()) == spec


def test_a_saved_network_needs_its_start_no_more(student: Path, tmp_path: Path) -> None:
    started = network(weights=student)
    save_network(tmp_path / "next.safetensors", started, list("abc"), arm="dait")
    student.unlink()
    loaded = load_network(tmp_path / "next.safetensors").network
    assert_equal(loaded, started)
    assert loaded.spec.weights is None


def test_the_hash_of_a_file(student: Path) -> None:
    assert weights_hash(str(student)) == file_sha256(student)
    with pytest.raises(UserError, match="cannot be read"):
        weights_hash(student.with_name("none"))


def test_a_backbone_that_comes_along_is_named_and_an_unknown_one_lists_them() -> None:
    file = weights_path("backbone:quarter-0")
    assert file.name == "quarter-0.safetensors" and file.is_file()
    with pytest.raises(UserError, match=r"no backbone “eagle”\. There are: .*quarter-0"):
        weights_path("backbone:eagle")
    assert weights_path("/tmp/x.safetensors") == Path("/tmp/x.safetensors")


def test_the_shipped_backbones_fit_the_networks_of_their_recipe() -> None:
    recipe = load_recipe("few-shot")
    for spec in (recipe.student, recipe.intermediate):
        network = build_network(spec, 40, recipe.data.size)
        assert "the head starts from random weights" in network.started_from
