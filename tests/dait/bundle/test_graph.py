"""Networks as ONNX graphs: two heads, class activation maps, what ONNX lacks, curated students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dait.bundle.graph import cam_weights, export_onnx, logits_of, open_graph
from dait.bundle.quantize import quantize
from dait.bundle.weights import library_config, loading_code, plain_weights, reload_plain
from dait.data.base import ClassInfo
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.models.heads import HeadMix, TextHead
from dait.models.network import Network, build_network
from dait.models.spec import NetworkSpec
from dait.models.tensors import save_tensors

SMALL = NetworkSpec(
    name="resnet10t", output_stride=8, options={"channels": [8, 8, 8, 8], "stem_width": 8}
)


def network(spec: NetworkSpec = SMALL, size: int = 48) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_network(spec, 5, size).eval()


def pictures(size: int = 48, count: int = 4) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def mixes(width: int) -> dict[str, HeadMix]:
    generator = torch.Generator().manual_seed(5)
    prototypes = F.normalize(torch.randn(5, 6, generator=generator), dim=1)
    text = TextHead(nn.Linear(width, 6), prototypes, 14.0)
    return {
        "own alone": HeadMix(nn.Linear(width, 5), 1.0, 2.0),
        "second alone": HeadMix(nn.Linear(width, 5), 0.0, 2.0),
        "mixed": HeadMix(nn.Linear(width, 5), 0.4, 2.0),
        "text alone": HeadMix(text, 0.0, 0.5),
        "text mixed": HeadMix(text, 0.6, 0.5),
    }


@torch.no_grad()
def timm_logits(student: Network, folder: Path, images: Tensor) -> Tensor:
    save_tensors(folder / "w.safetensors", plain_weights(student).tensors)
    classes = [ClassInfo(str(at), f"class {at}") for at in range(student.num_classes)]
    config = library_config(student, classes, Framing(student.image_size))
    model = reload_plain(folder / "w.safetensors", config)
    return model((images - student.mean) / student.std)


@pytest.mark.parametrize("name", mixes(8))
def test_plain_weights_have_both_heads_where_one_layer_can_hold_them(
    name: str, tmp_path: Path
) -> None:
    student = network()
    student.mix = mixes(student.pooled_width)[name]
    student.eval()
    images = pictures()
    with torch.no_grad():
        ours = student(images).logits
    found = timm_logits(student, tmp_path, images)
    exact = name in ("own alone", "second alone")
    assert (plain_weights(student).left_out == "") == exact
    assert torch.allclose(found, ours, rtol=1e-4, atol=1e-5) == exact


@pytest.mark.slow
@pytest.mark.parametrize("name", mixes(8))
def test_the_graph_has_both_heads(name: str, tmp_path: Path) -> None:
    student = network()
    student.mix = mixes(student.pooled_width)[name]
    student.eval()
    export_onnx(student, tmp_path / "m.onnx", {})
    images = pictures()
    with torch.no_grad():
        ours = student(images).logits.numpy()
    found = logits_of(open_graph(tmp_path / "m.onnx"), images.numpy())
    np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-4)


def test_a_first_convolution_that_keeps_the_size_is_reloaded_so(tmp_path: Path) -> None:
    student = network(SMALL.model_copy(update={"options": {**SMALL.options, "stem_stride": 1}}))
    with torch.no_grad():
        ours = student(pictures()).logits
    assert torch.allclose(timm_logits(student, tmp_path, pictures()), ours, atol=1e-5)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(name="torchvision:shufflenet_v2_x0_5"),
        NetworkSpec(name="torchvision:shufflenet_v2_x0_5", options={"width_mult": 0.5}),
        NetworkSpec(name="torchvision:mnasnet0_5"),
    ],
    ids=lambda spec: f"{spec.name} {spec.options}",
)
def test_torchvisions_networks_load_with_torchvision(
    spec: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, images = network(spec, 64), pictures(64)
    with torch.no_grad():
        ours = student(images).logits
    assert torch.allclose(timm_logits(student, tmp_path, images), ours, atol=1e-5)
    classes = [ClassInfo(str(at), f"class {at}") for at in range(5)]
    save_tensors(tmp_path / "model.safetensors", plain_weights(student).tensors)
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(loading_code(library_config(student, classes, Framing(64))), made)
    with torch.no_grad():
        found = made["model"]((images - student.mean) / student.std)
    assert torch.allclose(found, ours, atol=1e-5)


def test_class_activation_maps_are_offered_where_they_are_exact() -> None:
    student = network()
    assert cam_weights(student) is not None
    student.mix = mixes(student.pooled_width)["mixed"]
    assert cam_weights(student) is None
    # A layer stands between its mean and its head.
    assert cam_weights(network(NetworkSpec(name="mobilenetv3_small_050"), 64)) is None


class Bessel(nn.Module):
    """An operator that ONNX has no name for."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.special.bessel_j0(x)


@pytest.mark.slow
def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    student = network()
    student.model.bn1 = nn.Sequential(student.model.bn1, Bessel())
    with pytest.raises(UserError, match=r"resnet10t cannot be written as ONNX.*bessel_j0"):
        export_onnx(student, tmp_path / "m.onnx", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "torchvision:shufflenet_v2_x0_5", "edgenext_xx_small"]
)
def test_curated_students_answer_alike_in_onnx_and_nearly_so_in_int8(
    name: str, tmp_path: Path
) -> None:
    student, images = network(NetworkSpec(name=name), 96), pictures(96, 8)
    export_onnx(student, tmp_path / "m.onnx", {"labels": ["a"]})
    with torch.no_grad():
        ours = student(images).logits.numpy()
    found = logits_of(open_graph(tmp_path / "m.onnx"), images.numpy())
    np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-3 * float(abs(ours).max()))
    said = quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", images.numpy())
    assert said["setting"] in said["tried"] and len(said["tried"]) <= 3
    assert (tmp_path / "q.onnx").stat().st_size < 0.7 * (tmp_path / "m.onnx").stat().st_size
    assert logits_of(open_graph(tmp_path / "q.onnx"), images.numpy()).shape == ours.shape
    assert {file.name for file in tmp_path.iterdir()} == {"m.onnx", "q.onnx"}
