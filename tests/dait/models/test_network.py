from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from dait.errors import UserError
from dait.models.network import NetworkSpec, build_network, recalibrate_batchnorm
from dait.models.spec import SUGGESTED_NETWORKS, TORCHVISION_NETWORKS

FAMILIES = [
    "resnet10t",
    "mobilenetv3_small_050",
    "mobilenetv2_035",
    "regnetx_002",
    "lcnet_050",
    "ghostnet_100",
    "vit_tiny_patch16_224",
    "test_vit",
    "test_resnet",
    "test_byobnet",
    "test_efficientnet",
    "test_convnext",
    "test_mambaout",
    "swin_tiny_patch4_window7_224",
    "xcit_nano_12_p16_224",
    "torchvision:shufflenet_v2_x0_5",
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def tiny(**changes: object) -> NetworkSpec:
    options = {"channels": [8, 8, 16, 16], "stem_width": 8}
    return NetworkSpec.model_validate({"name": "resnet10t", "options": options, **changes})


@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_to_the_library_network(name: str) -> None:
    network = build_network(NetworkSpec(name=name), 5, 96).eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        output = network(images)
        whole = network.model((images - network.mean) / network.std)
    torch.testing.assert_close(output.logits, whole)
    assert output.map.shape == (2, network.map_channels, *network.map_size)
    assert output.pooled.shape == (2, network.pooled_width)
    assert output.logits.shape == (2, 5)


@pytest.mark.parametrize(
    "name", ["resnet10t", "mobilenetv2_035", "test_mambaout", "test_vit", "xcit_nano_12_p16_224"]
)
def test_logits_have_a_gradient_at_the_heatmap_layer(name: str) -> None:
    network = build_network(NetworkSpec(name=name), 5, 96).eval()
    seen: list[torch.Tensor] = []
    handle = network.heatmap_layer().register_forward_hook(lambda m, a, out: seen.append(out))
    output = network(torch.rand(1, 3, 96, 96))
    handle.remove()
    (gradient,) = torch.autograd.grad(output.logits[0, 1], seen[0])
    assert gradient.abs().sum() > 0
    grid = network.heatmap_grid()
    if grid is None:
        assert torch.equal(seen[0], output.map)
    else:
        rows, columns, prefix = grid
        assert seen[0].shape[1] == rows * columns + prefix
        assert gradient[:, prefix:].abs().sum() > 0


def test_tokens_become_a_map_in_reading_order() -> None:
    network = build_network(NetworkSpec(name="test_vit"), 5, 64).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        tokens = network.model.forward_features((images - network.mean) / network.std)
        output = network(images)
    assert network.map_size == (4, 4)
    assert torch.equal(output.map[0, :, 1, 2], tokens[0, 1 + 4 * 1 + 2])


@pytest.mark.parametrize(("stride", "side"), [(32, 2), (16, 4), (8, 8)])
def test_output_stride_sets_the_map(stride: int, side: int) -> None:
    assert build_network(tiny(output_stride=stride), 3, 64).map_size == (side, side)


@pytest.mark.parametrize(
    "name",
    ["mobilenetv3_small_050", "lcnet_050", "ghostnet_100", "test_vit", *TORCHVISION_NETWORKS],
)
def test_refused_stride_says_who_accepts_it(name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be dilated.*ResNet.*larger images"):
        build_network(NetworkSpec(name=name, output_stride=16), 3, 64)


def test_suggested_networks_exist() -> None:
    import timm

    assert [name for name in SUGGESTED_NETWORKS if not timm.is_model(name)] == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet19", "Did you mean .*resnet18"),
        ("hf-hub:timm/resnet18.a1_in1k", "not a network name"),
        ("local-dir:/tmp/model", "not a network name"),
        ("../resnet18", "not a network name"),
        ("resnet18.nonsense", "has no weights “nonsense”.*a1_in1k"),
        ("torchvision:resnet18", "shufflenet_v2_x1_0"),
    ],
)
def test_unknown_or_unsafe_names(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        NetworkSpec(name=name)


@pytest.mark.parametrize("key", ["checkpoint_path", "pretrained_cfg", "features_only", "in_chans"])
def test_unsafe_options_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"“{key}”"):
        NetworkSpec(name="resnet18", options={key: "x"})


def test_near_option_is_named_and_nested_values_are_refused() -> None:
    with pytest.raises(UserError, match="Did you mean channels"):
        NetworkSpec(name="resnet18", options={"chanels": [8]})
    with pytest.raises(UserError, match="give a number"):
        NetworkSpec(name="resnet18", options={"act_layer": {"file": "x"}})


def test_unknown_field_and_stride_are_validation_errors() -> None:
    with pytest.raises(ValidationError, match="weights"):
        NetworkSpec.model_validate({"name": "resnet18", "weights": "x"})
    with pytest.raises(ValidationError, match="output_stride"):
        NetworkSpec.model_validate({"name": "resnet18", "output_stride": 4})


@pytest.mark.parametrize(
    ("spec", "size", "sentence"),
    [
        (NetworkSpec(name="resnet10t", options={"window_size": 7}), 64, "option window_size"),
        (NetworkSpec(name="resnet10t", options={"channels": [8]}), 64, "Check the options"),
        (NetworkSpec(name="test_vit", options={"img_size": 32}), 64, "leave img_size out"),
        (NetworkSpec(name="levit_128s"), 64, "one linear head"),
        (NetworkSpec(name="resnet10t"), 8, "16 to 1024"),
        (NetworkSpec(name="torchvision:shufflenet_v2_x0_5", options={"depth": 2}), 64, "only"),
    ],
)
def test_networks_that_cannot_be_built_say_why(spec: NetworkSpec, size: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_network(spec, 3, size)


def test_missing_pretrained_weights_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"resnet10t are not on this machine.*pretrained: false"):
        build_network(NetworkSpec(name="resnet10t", pretrained=True), 3, 64)


def test_width_mult_narrows_shufflenet() -> None:
    name = "torchvision:shufflenet_v2_x1_0"
    full = build_network(NetworkSpec(name=name), 3, 64)
    narrow = build_network(NetworkSpec(name=name, options={"width_mult": 0.25}), 3, 64)
    assert narrow.model.body.stage4[0].branch2[0].in_channels < 64
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in full.parameters())


def test_building_depends_on_the_seed_alone() -> None:
    torch.manual_seed(7)
    first = build_network(tiny(), 3, 64)
    after_first = torch.rand(1)
    torch.manual_seed(7)
    second = build_network(tiny(), 3, 64)
    assert torch.equal(after_first, torch.rand(1))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert first.training
    assert first.model.bn1.num_batches_tracked == 0


def test_recalibration_gives_the_batches_own_statistics() -> None:
    network = build_network(tiny(options={"channels": [8] * 4, "drop_path_rate": 0.5}), 3, 64)
    batches = [torch.rand(4, 3, 64, 64) for _ in range(3)]
    stem, norm = network.model.conv1, network.model.bn1
    with torch.no_grad():
        means = [stem((b - network.mean) / network.std).mean(dim=(0, 2, 3)) for b in batches]
    before = torch.random.get_rng_state()
    assert recalibrate_batchnorm(network, batches) == 3
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(dim=0))
    assert torch.equal(before, torch.random.get_rng_state())
    assert network.training and norm.training and norm.momentum == 0.1


def test_recalibration_without_batches_touches_nothing() -> None:
    network = build_network(tiny(), 3, 64).eval()
    network.model.bn1.running_mean.fill_(3)
    with pytest.raises(ValueError, match="no batches"):
        recalibrate_batchnorm(network, [])
    assert network.model.bn1.running_mean.eq(3).all()
    assert not network.training
