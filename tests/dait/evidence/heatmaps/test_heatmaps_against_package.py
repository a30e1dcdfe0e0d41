"""Our heatmaps beside what the ``grad-cam`` package itself shows, on a plain ResNet."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from dait.evidence.heatmaps.cam import METHODS, explain, explainable_copy
from dait.models.network import Network, NetworkSpec, build_network

SIDE, TARGET = 64, [4, 0, 2]


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("resnet18", pretrained=False, num_classes=5).eval()
    with torch.no_grad():  # else the answers of a new network hardly differ between images
        for parameter in model.layer4.parameters():
            parameter.mul_(1.5)
    return model


@pytest.fixture(scope="module")
def ours(plain: nn.Module) -> Network:
    network = build_network(NetworkSpec(name="resnet18"), num_classes=5, image_size=SIDE).eval()
    network.model.load_state_dict(plain.state_dict())
    network.mean.zero_()
    network.std.fill_(1.0)
    return network


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["layer2", "layer4"])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_shown_is_what_the_package_shows(
    plain: nn.Module, ours: Network, images: Tensor, method: str, layer: str
) -> None:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction

    target = TARGET
    if method == "finercam":  # the package picks its rivals for one class of all images, or none
        target = ours(images).logits.argmax(dim=1).tolist()
    targets = None if method == "finercam" else [ClassifierOutputTarget(k) for k in target]
    cam = getattr(pytorch_grad_cam, METHODS[method])(plain, [plain.get_submodule(layer)])
    expected = cam(images, targets)
    if method == "eigencam":
        # A principal component has no sign; the package has a rule for it that EigenCAM leaves out.
        seen = cam.activations_and_grads.activations[0].numpy()
        projected = get_2d_projection_with_sign_correction(seen)
        expected = scale_cam_image(scale_cam_image(np.maximum(projected, 0), (SIDE, SIDE)))
    raw = explain(explainable_copy(ours), images, torch.tensor(target), method, layer).raw.numpy()
    # The package scales each map to [0, 1], resizes it, and scales it again.
    shown = scale_cam_image(scale_cam_image(raw, (SIDE, SIDE)))
    assert expected.max() > 0.99
    np.testing.assert_allclose(shown, expected, atol=1e-4)
