"""torchvision's classifiers behind the same wrapper."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dait.errors import UserError
from dait.models.checkpoint import load_network, save_network
from dait.models.network import NetworkSpec, build_network


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("shufflenet_v2_x0_5", 1024),
        ("mobilenet_v2", 1280),
        ("mobilenet_v3_small", 1024),
        ("mnasnet0_5", 1280),
        ("resnet18", 512),
        ("regnet_y_400mf", 440),
        ("efficientnet_b0", 1280),
        ("convnext_tiny", 768),
        ("swin_t", 768),
    ],
)
def test_parts_add_up_to_torchvisions_network(name: str, width: int) -> None:
    network = build_network(NetworkSpec(name=f"torchvision:{name}"), 5, 64).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        output = network(images)
        whole = network.model.body((images - network.mean) / network.std)
    torch.testing.assert_close(output.logits, whole)
    assert output.map.shape == (2, network.map_channels, 2, 2)
    assert output.pooled.shape == (2, width)
    (head,) = network.heads()
    torch.testing.assert_close(head(output.pooled), whole)


def test_the_logits_hang_on_the_map() -> None:
    network = build_network(NetworkSpec(name="torchvision:mnasnet0_5"), 5, 64).eval()
    seen: list[torch.Tensor] = []
    network.heatmap_layer().register_forward_hook(lambda m, a, out: seen.append(out))
    output = network(torch.rand(1, 3, 64, 64))
    assert torch.equal(seen[0], output.map)
    (gradient,) = torch.autograd.grad(output.logits[0, 1], seen[0])
    assert gradient.abs().sum() > 0


def test_width_mult_narrows_shufflenet() -> None:
    name = "torchvision:shufflenet_v2_x1_0"
    full = build_network(NetworkSpec(name=name), 3, 64)
    narrow = build_network(NetworkSpec(name=name, options={"width_mult": 0.25}), 3, 64)
    assert narrow.model.body.stage4[0].branch2[0].in_channels < 64
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in full.parameters())


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    # torchvision's MNASNet looks for a version in what it loads, which no safetensors file has.
    network = build_network(NetworkSpec(name="torchvision:mnasnet0_5"), 3, 64).eval()
    save_network(tmp_path / "student.safetensors", network, list("abc"), arm="dait")
    loaded = load_network(tmp_path / "student.safetensors").network
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(images).logits, network(images).logits)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("shufflenet_v2_x0_5", {"depth": 2}, "only the options width_mult"),
        ("shufflenet_v2_x0_5", {"width_mult": 9}, r"between 0\.1 and 4"),
        ("resnet18", {"depth": 2}, "cannot be built with the option depth"),
    ],
)
def test_options_that_do_not_fit(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_network(NetworkSpec(name=f"torchvision:{name}", options=options), 3, 64)


def test_pretrained_weights_load_but_for_the_head(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torchvision.models import MNASNet0_5_Weights, get_model

    torch.manual_seed(1)
    theirs = get_model("mnasnet0_5").state_dict()
    weights = MNASNet0_5_Weights.DEFAULT
    file = tmp_path / "checkpoints" / weights.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save(theirs, file)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    spec = NetworkSpec(name="torchvision:mnasnet0_5", pretrained=True)
    network = build_network(spec, 3, 64)
    own = network.model.body.state_dict()
    assert torch.equal(own["layers.0.weight"], theirs["layers.0.weight"])
    assert own["classifier.1.weight"].shape == (3, 1280)
    assert "torchvision:mnasnet0_5" in network.started_from
    whole = build_network(spec, 1000, 64).model.body.state_dict()
    assert torch.equal(whole["classifier.1.weight"], theirs["classifier.1.weight"])


def test_weights_that_cannot_be_had_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    # The library remembers its first opener with its proxies: this one is for this test alone.
    monkeypatch.setattr("urllib.request._opener", None)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # where nothing listens
    spec = NetworkSpec(name="torchvision:mnasnet0_5", pretrained=True)
    with pytest.raises(UserError, match=r"could not be downloaded.*pretrained: false"):
        build_network(spec, 3, 64)
