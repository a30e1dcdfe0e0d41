"""Raw heatmaps: the package's methods, without its side effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explainable_networks import SIZE, TinyNetwork, TinyTeacher, TinyVit
from torch import Tensor, nn

from dait.errors import UserError
from dait.evaluation.networks import TeacherScores
from dait.evidence.heatmaps.cam import (
    METHODS,
    default_method,
    empty_maps,
    explain,
    explainable_copy,
    upsample_and_scale,
)


@pytest.fixture
def network() -> TinyNetwork:
    torch.manual_seed(0)
    return TinyNetwork().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def package_map(network: TinyNetwork, images: Tensor, method: str, target: list[int]) -> Tensor:
    """The same map by the package's own hooks and backward pass, before it scales anything."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            return self.network.head(torch.relu(self.network.features(x * 2 - 1)).mean(dim=(2, 3)))

    cam = getattr(pytorch_grad_cam, METHODS[method])(Logits(), [network.heatmap_layer()])
    targets = [ClassifierOutputTarget(index) for index in target]
    cam(images, targets)
    hooks = cam.activations_and_grads
    activations, gradients = hooks.activations[0].numpy(), hooks.gradients[0].numpy()
    image = cam.get_cam_image(images, None, targets, activations, gradients, False)
    hooks.release()
    network.zero_grad(set_to_none=True)
    return torch.from_numpy(np.maximum(image, 0)).float()


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "hirescam", "layercam"])
def test_raw_maps_are_the_packages_before_scaling(
    network: TinyNetwork, images: Tensor, method: str
) -> None:
    target = [4, 0, 2, 2]
    expected = package_map(network, images, method, target)
    found = explain(network, images, torch.tensor(target), method)
    assert found.raw.shape == (4, 6, 6)
    assert expected.max() > 0
    torch.testing.assert_close(found.raw, expected)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_raw_maps_at_the_layers_resolution(
    network: TinyNetwork, images: Tensor, method: str
) -> None:
    found = explain(network, images, method=method)
    assert found.raw.shape == (4, 6, 6)
    assert found.raw.dtype == torch.float32
    assert torch.isfinite(found.raw).all() and (found.raw >= 0).all()
    assert found.method == method


def test_magnitude_is_kept(network: TinyNetwork, images: Tensor) -> None:
    before = explain(network, images).raw
    with torch.no_grad():
        network.head.weight.mul_(3)
        network.head.bias.mul_(3)
    torch.testing.assert_close(explain(network, images).raw, 3 * before)


def test_no_target_means_the_predicted_class(network: TinyNetwork, images: Tensor) -> None:
    found = explain(network, images)
    logits = network(images).logits
    torch.testing.assert_close(found.logits, logits.detach())
    assert found.predicted.tolist() == found.target.tolist() == logits.argmax(1).tolist()
    named = explain(network, images, logits.argmax(1))
    torch.testing.assert_close(named.raw, found.raw)


def test_the_target_changes_the_map(network: TinyNetwork, images: Tensor) -> None:
    zero = explain(network, images, torch.zeros(4, dtype=torch.long))
    one = explain(network, images, torch.ones(4, dtype=torch.long))
    assert not torch.allclose(zero.raw, one.raw)
    assert zero.predicted.tolist() == one.predicted.tolist()


def test_finercam_contrasts_with_the_most_similar_class(
    network: TinyNetwork, images: Tensor
) -> None:
    with torch.no_grad():
        # Class 1 is class 0's twin but for one channel; the others are far away.
        network.head.weight[1] = network.head.weight[0]
        network.head.weight[1, 3] -= 0.5
        network.head.bias.copy_(torch.tensor([0.0, 0.0, -50.0, -60.0, -70.0]))
    target = torch.zeros(4, dtype=torch.long)
    finer = explain(network, images, target, "finercam").raw
    features = {}
    hook = network.heatmap_layer().register_forward_hook(lambda m, a, out: features.update(x=out))
    network(images)
    hook.remove()
    channel = features["x"][:, 3].detach().relu()
    assert finer.amax(dim=(1, 2)).min() > 0
    for found, only in zip(finer.flatten(1), channel.flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([found, only]))[0, 1] > 0.99


def test_the_network_is_left_as_it_was(network: TinyNetwork, images: Tensor) -> None:
    network.train()
    network.head.eval()
    network.features[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    explain(network, images)
    assert network.training and network.features.training and not network.head.training
    assert not network.features[0].weight.requires_grad
    assert network.head.weight.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.heatmap_layer()._forward_hooks
    assert images.grad is None and not images.requires_grad


def test_frozen_networks_give_the_same_maps(network: TinyNetwork, images: Tensor) -> None:
    expected = explain(network, images).raw
    network.requires_grad_(False)
    torch.testing.assert_close(explain(network, images).raw, expected)


def test_gradients_are_on_whatever_the_caller_turned_off(
    network: TinyNetwork, images: Tensor
) -> None:
    expected = explain(network, images).raw
    with torch.no_grad():
        torch.testing.assert_close(explain(network, images).raw, expected)
    with torch.inference_mode():
        torch.testing.assert_close(explain(network, images.clone()).raw, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(explain(network, images).raw, expected)


def test_the_copy_is_fp32_frozen_and_apart(images: Tensor) -> None:
    original = TinyNetwork().to(torch.bfloat16).train()
    with torch.inference_mode():
        copied = explainable_copy(original)
    assert {p.dtype for p in copied.parameters()} == {torch.float32}
    assert not copied.training and not any(p.requires_grad for p in copied.parameters())
    assert original.training and original.head.weight.dtype == torch.bfloat16
    assert explain(copied, images).raw.max() > 0


def test_half_precision_asks_for_the_copy(network: TinyNetwork, images: Tensor) -> None:
    with pytest.raises(TypeError, match="use explainable_copy"):
        explain(network.to(torch.bfloat16), images)


@pytest.mark.parametrize("index", [-1, 5, 99])
def test_a_class_that_is_not_there_is_refused(
    network: TinyNetwork, images: Tensor, index: int
) -> None:
    with pytest.raises(UserError, match=rf"no class {index}: .* 5 classes, numbered 0 to 4"):
        explain(network, images, torch.tensor([0, 1, index, 2]))
    assert not network.heatmap_layer()._forward_hooks


def test_wrong_targets_and_methods_are_refused(network: TinyNetwork, images: Tensor) -> None:
    with pytest.raises(ValueError, match="4,"):
        explain(network, images, torch.tensor([0]))
    with pytest.raises(ValueError, match="float"):
        explain(network, images, torch.rand(4))
    with pytest.raises(UserError, match=r"'scorecam'; choose one of gradcam, gradcam\+\+"):
        explain(network, images, method="scorecam")
    with pytest.raises(TypeError, match="heatmap_layer"):
        explain(nn.Linear(2, 2), images)


def test_a_diverged_network_is_said(network: TinyNetwork, images: Tensor) -> None:
    with torch.no_grad():
        network.head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        explain(network, images)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "eigencam"])
def test_tokens_become_a_map_of_the_grids_shape(method: str) -> None:
    torch.manual_seed(0)
    vit = explainable_copy(TinyVit())
    images = torch.rand(2, 3, 48, 64)
    found = explain(vit, images, method=method)
    assert found.raw.shape == (2, 3, 4)
    assert found.raw.amax(dim=(1, 2)).min() > 0


def test_tokens_keep_their_place() -> None:
    torch.manual_seed(0)
    vit = explainable_copy(TinyVit())
    with torch.no_grad():  # no attention and no position: a token sees its own patch alone
        vit.body.pos_embed.zero_()
        for block in vit.body.blocks:
            block.attn.proj.weight.zero_()
    images = torch.full((1, 3, 48, 64), 0.5)
    images[:, :, 16:32, 48:64] = torch.rand(3, 16, 16)
    tokens = {}
    handle = vit.heatmap_layer().register_forward_hook(lambda m, a, out: tokens.update(x=out))
    vit(images)
    handle.remove()
    assert tokens["x"].shape[1] == 3 * 4 + vit.heatmap_grid()[2]
    principal = explain(vit, images, method="eigencam").raw[0]
    assert principal.argmax() == 1 * 4 + 3


def test_a_wrong_grid_is_named(network: TinyNetwork, images: Tensor) -> None:
    network.heatmap_grid = lambda: (7, 7, 1)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="1 \\+ 7·7 tokens were promised"):
        explain(network, images)


def test_a_teacher_is_explained_through_its_prototypes(images: Tensor) -> None:
    torch.manual_seed(3)
    teacher = TinyTeacher()
    prototypes = nn.functional.normalize(torch.randn(7, 16), dim=1)
    scores = TeacherScores(teacher, prototypes)
    found = explain(scores, images, torch.tensor([6, 1, 0, 3]), "hirescam")
    assert found.raw.shape == (4, 6, 6) and found.raw.max() > 0
    torch.testing.assert_close(found.logits, 10 * teacher.embed(images) @ prototypes.T)
    copied = explainable_copy(scores)
    again = explain(copied, images, torch.tensor([6, 1, 0, 3]), "hirescam")
    torch.testing.assert_close(again.raw, found.raw)
    assert copied.heatmap_layer() is not scores.heatmap_layer()


def test_the_default_method_goes_by_the_kind_of_output(network: TinyNetwork) -> None:
    assert default_method(network) == "gradcam"
    assert default_method(TinyVit()) == "layercam"


def test_scaling_divides_by_the_maximum_and_keeps_zero() -> None:
    raw = torch.tensor([[[0.0, 1.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    scaled = upsample_and_scale(raw, 2)
    torch.testing.assert_close(scaled[0], raw[0] / 4)
    assert scaled[1].abs().sum() == 0
    assert empty_maps(raw).tolist() == [False, True]
    large = upsample_and_scale(raw * 1e-12, 8)
    assert large.shape == (2, 8, 8)
    assert large[0].max() == pytest.approx(1.0) and large[0].min() == 0.0


def test_an_empty_map_is_reported(network: TinyNetwork, images: Tensor) -> None:
    with torch.no_grad():
        network.head.weight.zero_()
    assert explain(network, images).empty.all()
