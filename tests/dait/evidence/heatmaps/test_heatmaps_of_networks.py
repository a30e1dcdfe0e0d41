"""Heatmaps of the project's own networks and teachers, convolutional and of tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dait.evaluation.networks import TeacherScores
from dait.evidence.heatmaps.cam import (
    METHODS,
    default_method,
    explain,
    explainable_copy,
)
from dait.models.network import NetworkSpec, build_network
from dait.teachers.base import FrozenTeacher
from dait.teachers.openclip.teacher import OpenClipTeacher
from dait.teachers.vision_only import VisionOnlyTeacher

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "test_vit"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_every_kind_of_network(name: str, method: str) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name=name), num_classes=4, image_size=64)
    copied = explainable_copy(network)
    found = explain(copied, IMAGES, torch.tensor([1, 3]), method)
    grid = network.heatmap_grid()
    assert found.raw.shape == (2, *(network.map_size if grid is None else grid[:2]))
    assert torch.isfinite(found.raw).all()
    torch.testing.assert_close(found.logits, copied(IMAGES).logits, rtol=1e-4, atol=1e-5)
    assert default_method(network) == ("gradcam" if grid is None else "layercam")


def test_hirescam_of_a_linear_head_adds_up_to_the_logit() -> None:
    # With average pooling and a linear head, the map sums to the logit less the bias
    # (Draelos and Carin 2020): the layer that is explained is really the last one.
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name="resnet10t"), num_classes=4, image_size=64)
    head = network.model.get_classifier()
    with torch.no_grad():
        head.weight.abs_()  # features are ReLU'd, so nothing is lost to the map's own ReLU
    found = explain(explainable_copy(network), IMAGES, torch.tensor([0, 2]), "hirescam")
    picked = found.logits[torch.arange(2), found.target] - head.bias.detach()[found.target]
    torch.testing.assert_close(found.raw.sum(dim=(1, 2)), picked, rtol=1e-4, atol=1e-5)


def tiny_openclip() -> OpenClipTeacher:
    import open_clip

    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        text_cfg={"context_length": 8, "vocab_size": 32, "width": 32, "heads": 2, "layers": 1},
    )
    tokens = torch.ones(1, 8, dtype=torch.long)
    model.eval().requires_grad_(False)
    return OpenClipTeacher("tiny", model, lambda texts: tokens, (0.5,) * 3, (0.5,) * 3)


def tiny_vision_only() -> VisionOnlyTeacher:
    torch.manual_seed(0)
    return VisionOnlyTeacher("tiny", build_network(NetworkSpec(name="resnet10t"), 4, 64))


@pytest.mark.parametrize(
    ("make", "shape"),
    [(tiny_openclip, (4, 4)), (tiny_vision_only, (2, 2))],
    ids=["openclip", "vision-only"],
)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_every_kind_of_teacher(
    make: Callable[[], FrozenTeacher], shape: tuple[int, int], method: str
) -> None:
    teacher = make()
    generator = torch.Generator().manual_seed(1)
    prototypes = torch.nn.functional.normalize(
        torch.randn(5, teacher.dim, generator=generator), dim=1
    )
    found = explain(TeacherScores(teacher, prototypes), IMAGES, torch.tensor([4, 0]), method)
    assert found.raw.shape == (2, *shape)
    assert torch.isfinite(found.raw).all()
    torch.testing.assert_close(
        found.logits,
        teacher.logit_scale * teacher.embed(IMAGES) @ prototypes.T,
        rtol=1e-4,
        atol=1e-4,
    )
    if method in ("layercam", "eigencam"):
        assert not found.empty.any()
