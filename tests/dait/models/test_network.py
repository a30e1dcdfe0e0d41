from __future__ import annotations

import pytest
import torch

from dait.errors import UserError
from dait.models.network import NetworkSpec, build_network, recalibrate_batchnorm

FAMILIES = [
    "resnet10t",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_050",
    "efficientnet_lite0",
    "ghostnetv3_050",
    "regnetx_002",
    "lcnet_050",
    "tinynet_e",
    "fastvit_t8",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "repvit_m0_9",  # its head is a module of norms and linear layers
    "repghostnet_050",
    "edgenext_xx_small",
    "convnext_atto",
    "efficientformerv2_s0",  # two heads
    "levit_128s",  # two heads, tokens
    "tiny_vit_5m_224",
    "xcit_nano_12_p16_224",
    "swin_tiny_patch4_window7_224",  # channels last
    "coat_lite_tiny",  # a class token that it does not mention
    "dla46_c",  # a convolution for a head
    "deit_tiny_distilled_patch16_224",  # two heads, each with a token of its own
    "pit_ti_distilled_224",  # its features are the tokens of its heads alone
    "volo_d1_224",  # a second head looks at every patch
    "coat_tiny",  # several maps, of which the head reads the class tokens
    "starnet_s1",
    "test_vit",
    "test_mambaout",
]
TRANSFORMERS = [
    *("test_vit", "xcit_nano_12_p16_224", "levit_128s", "deit_tiny_distilled_patch16_224"),
    *("pit_ti_224", "volo_d1_224", "coat_tiny"),
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
        for head in network.heads():
            for parameter in head.parameters():
                torch.nn.init.normal_(parameter)  # some start at zero, which would fit anything
        output = network(images)
        whole = network.model((images - network.mean) / network.std)
    torch.testing.assert_close(output.logits, whole)
    assert output.map.shape == (2, network.map_channels, *network.map_size)
    assert output.pooled.shape == (2, network.pooled_width)
    assert output.logits.shape == (2, 5)


@pytest.mark.parametrize(
    "name", ["resnet10t", "mobilenetv2_035", "test_mambaout", "repvit_m0_9", *TRANSFORMERS]
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


@pytest.mark.parametrize("name", ["regnetx_002", "mobilenetv2_035", "convnext_atto"])
def test_more_families_take_a_stride(name: str) -> None:
    assert build_network(NetworkSpec(name=name, output_stride=16), 3, 64).map_size == (4, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv3_small_050", "lcnet_050", "ghostnet_100", "test_vit", "fastvit_t8"),
        "torchvision:shufflenet_v2_x0_5",
    ],
)
def test_refused_stride_says_who_accepts_it(name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be dilated.*ResNet.*larger images.*stem_stride"):
        build_network(NetworkSpec(name=name, output_stride=16), 3, 64)


@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "fastvit_t8", "torchvision:shufflenet_v2_x0_5"]
)
def test_a_stem_that_keeps_its_size_doubles_the_map(name: str) -> None:
    usual = build_network(NetworkSpec(name=name), 3, 64)
    large = build_network(NetworkSpec(name=name, options={"stem_stride": 1}), 3, 64)
    assert (usual.map_size, large.map_size) == ((2, 2), (4, 4))
    # The same weights fit both.
    large.load_state_dict(usual.state_dict())


def test_a_stem_stride_that_means_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"convnext_atto has no first .*patch_size"):
        build_network(NetworkSpec(name="convnext_atto", options={"stem_stride": 1}), 3, 64)
    with pytest.raises(UserError, match="stem_stride is 4; 1 lets"):
        build_network(NetworkSpec(name="resnet10t", options={"stem_stride": 4}), 3, 64)


@pytest.mark.parametrize(
    ("spec", "size", "sentence"),
    [
        (NetworkSpec(name="resnet10t", options={"window_size": 7}), 64, "option window_size"),
        (NetworkSpec(name="resnet10t", options={"channels": [8]}), 64, "leave out or change"),
        (NetworkSpec(name="test_vit", options={"img_size": 32}), 64, "leave img_size out"),
        (NetworkSpec(name="resnet10t"), 8, "16 to 1024"),
    ],
)
def test_networks_that_cannot_be_built_say_why(spec: NetworkSpec, size: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_network(spec, 3, size)


def test_a_network_of_two_branches_has_the_map_of_one_and_a_heatmap() -> None:
    network = build_network(NetworkSpec(name="crossvit_9_240"), 5, 120).eval()
    images = torch.rand(1, 3, 120, 120)
    output = network(images)
    whole = network.model((images - network.mean) / network.std)
    torch.testing.assert_close(output.logits, whole)
    assert network.heatmap_grid() == (*network.map_size, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "works"),
    [
        ("xcit_nano_12_p16_224", 100, 96),
        ("crossvit_9_240", 128, 120),
        ("efficientformer_l1", 192, 224),
        ("torchvision:maxvit_t", 192, 224),
    ],
)
def test_a_size_that_does_not_fit_is_answered_with_one_that_does(
    name: str, size: int, works: int
) -> None:
    spec = NetworkSpec(name=name)
    with pytest.raises(UserError, match=rf"not take images of {size} px.* works is {works} px"):
        build_network(spec, 3, size)
    with torch.device("meta"):
        assert build_network(spec, 3, works).map_size[0] > 1


def test_missing_pretrained_weights_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"resnet10t are not on this machine.*pretrained: false"):
        build_network(NetworkSpec(name="resnet10t", pretrained=True), 3, 64)


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
