"""Any layer by its name: which there are, how their outputs lie, and the error that lists them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.evaluation.networks import TeacherScores
from dait.evidence.heatmaps.cam import explain
from dait.evidence.heatmaps.layers import OutputLayout, layer_names, layout_of
from dait.models.network import Network, NetworkSpec, build_network
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import load_teacher

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
GRID = (4, 4, 1)


def network(name: str) -> Network:
    torch.manual_seed(0)
    return build_network(NetworkSpec(name=name), num_classes=4, image_size=64).eval()


@pytest.mark.parametrize(
    ("shape", "patches", "layout"),
    [
        ((2, 32, 8, 8), None, OutputLayout()),
        ((2, 8, 8, 32), None, OutputLayout(channels_last=True)),
        ((2, 17, 32), GRID, OutputLayout(GRID)),
        ((2, 16, 32), GRID, OutputLayout((4, 4, 0))),
        ((2, 18, 32), GRID, OutputLayout((4, 4, 2))),
        ((2, 64, 32), GRID, OutputLayout((8, 8, 0))),  # an earlier stage, of more patches
        ((2, 32, 1, 1), None, None),
        ((2, 32, 8, 4), None, None),
        ((2, 40, 32), GRID, None),
        ((2, 32), None, None),
        ((8, 32, 8, 8), None, None),  # windows, not images
    ],
)
def test_how_an_output_lies_is_told_from_its_shape(
    shape: tuple[int, ...], patches: tuple[int, int, int] | None, layout: OutputLayout | None
) -> None:
    assert layout_of(torch.zeros(shape), 2, patches) == layout
    assert layout_of((torch.zeros(shape),), 2, patches) is None


def test_channels_last_and_tokens_become_maps() -> None:
    values = torch.arange(2 * 5 * 3.0).view(1, 2, 5, 3)
    assert torch.equal(OutputLayout(channels_last=True).as_map(values)[0, 2], values[0, :, :, 2])
    tokens = torch.arange(7 * 3.0).view(1, 7, 3)
    found = OutputLayout((2, 3, 1)).as_map(tokens)
    assert found.shape == (1, 3, 2, 3)
    assert torch.equal(found[0, :, 1, 0], tokens[0, 4])


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("resnet10t", "layer2", (8, 8)),
        ("resnet10t", "layer3.0", (4, 4)),
        ("test_vit", "blocks.0", (4, 4)),
        ("test_vit", "blocks.0.norm1", (4, 4)),
    ],
)
def test_a_layer_is_explained_by_its_name(name: str, layer: str, shape: tuple[int, int]) -> None:
    found = explain(network(name), IMAGES, method="layercam", layer=layer)
    assert found.raw.shape == (2, *shape)
    assert found.raw.max() > 0


def test_the_networks_own_layer_by_its_name_gives_the_same_map() -> None:
    for name, layer in (("resnet10t", "layer4"), ("test_vit", "blocks.5.norm1")):
        same = network(name)
        torch.testing.assert_close(
            explain(same, IMAGES, layer=layer).raw, explain(same, IMAGES).raw
        )


def test_the_layers_of_a_teacher_are_those_of_its_image_tower(clip_folder: object) -> None:
    teacher: FrozenTeacher = load_teacher(f"openclip-local:{clip_folder}")
    prototypes = nn.functional.normalize(torch.eye(3, teacher.dim), dim=1)
    scores = TeacherScores(teacher, prototypes)
    assert "transformer.resblocks.0.ln_1" in layer_names(scores, IMAGES)
    named = explain(scores, IMAGES, method="layercam", layer="transformer.resblocks.0.ln_1")
    torch.testing.assert_close(named.raw, explain(scores, IMAGES, method="layercam").raw)


def test_names_are_those_that_give_one_map_an_image() -> None:
    names = layer_names(network("resnet10t"), IMAGES)
    assert {"layer1", "layer2", "layer3", "layer4", "maxpool", "layer1.0.conv1"} <= set(names)
    assert not {"fc", "global_pool", ""} & set(names)
    tokens = layer_names(network("test_vit"), IMAGES)
    assert {"blocks.0", "blocks.0.norm1", "patch_embed"} <= set(tokens)
    assert not any(".attn." in name or name.startswith("head") for name in tokens)


@pytest.mark.parametrize("layer", ["layer9", "fc", "global_pool", ""])
def test_a_layer_that_cannot_be_explained_is_answered_with_those_that_can(layer: str) -> None:
    same = network("resnet10t")
    with pytest.raises(UserError, match=rf"‘{layer}’ is no layer of this ResNet") as caught:
        explain(same, IMAGES, layer=layer)
    assert "layer1, layer2, layer3, layer4" in str(caught.value)
    assert not any(module._forward_hooks for module in same.modules())
    torch.testing.assert_close(explain(same, IMAGES).raw.shape, torch.Size((2, 2, 2)))


def test_a_slip_of_the_pen_is_recognised() -> None:
    with pytest.raises(UserError, match=r"Did you mean layer4"):
        explain(network("resnet10t"), IMAGES, layer="layr4")


class Looped(nn.Module):
    """Runs one layer twice, and another whose result nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict(
            {"twice": nn.Conv2d(3, 3, 3, padding=1), "unused": nn.Conv2d(3, 3, 1)}
        )
        self.last = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        once = self.model["twice"](images).relu()
        self.model["unused"](once)
        return self.last(self.model["twice"](once)).mean(dim=(2, 3))

    def heatmap_layer(self) -> nn.Module:
        return self.last

    def heatmap_grid(self) -> None:
        return None


def test_a_layer_that_runs_twice_has_no_one_map() -> None:
    torch.manual_seed(0)
    with pytest.raises(UserError, match=r"‘twice’ is no layer .* Choose one of unused"):
        explain(Looped().eval(), IMAGES, layer="twice")


def test_a_layer_that_the_answer_does_not_hang_on_has_an_empty_map() -> None:
    torch.manual_seed(0)
    looped = Looped().eval()
    assert explain(looped, IMAGES, layer="unused").empty.all()
    assert explain(looped.requires_grad_(False), IMAGES, layer="unused").empty.all()
