"""The image tower learns to see parts from what the drawing knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

import dait.teachers.openclip.hybrid_vit  # noqa: F401  (registers the tower)
from dait.data.fieldguide.world import load_world
from dait.errors import UserError
from dait.events import Event, Progress, ignore
from pretraining.recipe import PretrainRecipe
from pretraining.tower import Heads, train_tower

RECIPE = PretrainRecipe(
    architecture={"vision_cfg": {"image_size": 32}},
    steps=1,
    tower_steps=4,
    pool=32,
    family=4,
    batch_size=8,
    warmup_steps=2,
    evaluate_every=2,
)


class Tiny(nn.Module):
    """Colours only: the mean of each channel over a 4 × 4 grid."""

    num_features = 24

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(48, 24)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mix(nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)).relu()


@pytest.fixture
def pool() -> dict[str, np.ndarray]:
    """Pictures whose upper left corner tells the colour of the crown, and nothing else."""
    rng = np.random.default_rng(0)
    world = load_world()
    sizes = [len(attribute.values) for attribute in world.attributes.values()]
    tables = np.stack([rng.integers(size, size=32) for size in sizes], axis=1).astype(np.uint8)
    images = rng.integers(100, 120, (32, 32, 32, 3)).astype(np.uint8)
    crown = list(world.attributes).index("crown")
    images[:, :16, :16] = (tables[:, crown, None, None, None] * 40).astype(np.uint8)
    return {
        "images": images,
        "tables": tables,
        "habitats": rng.integers(6, size=32).astype(np.uint8),
        "marks": np.zeros((32, 3), np.uint8),
    }


@pytest.mark.slow
def test_what_is_in_the_pictures_is_learned(pool: dict[str, np.ndarray], tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, tower_steps=300, batch_size=32, learning_rate=3e-2, views="original")
    right = train_tower(Tiny(), recipe, pool, tmp_path, ignore)
    assert set(right) == {*load_world().attributes, "habitat"}
    assert right["crown"] > 0.9


def test_an_interrupted_tower_goes_on_where_it_was(
    pool: dict[str, np.ndarray], tmp_path: Path
) -> None:
    def trained(folder: Path, emit: object = ignore) -> nn.Module:
        torch.manual_seed(0)
        tower = Tiny()
        train_tower(tower, RECIPE, pool, folder, emit)  # type: ignore[arg-type]
        return tower

    def stop_at_3(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 3:
            raise KeyboardInterrupt

    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    straight = trained(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", stop_at_3)
    resumed = trained(tmp_path / "stopped")
    for one, other in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(UserError, match="another training"):
        train_tower(Tiny(), replace(RECIPE, seed=1), pool, tmp_path / "stopped", ignore)


def test_the_heads_cover_every_attribute_and_the_habitat() -> None:
    heads = Heads(5)
    world = load_world()
    labels = torch.zeros(3, len(heads.names), dtype=torch.long)
    loss, right = heads(torch.zeros(3, 5), labels)
    assert loss.isfinite() and right.shape == (len(world.attributes) + 1,)
    assert [head.out_features for head in heads.heads] == [
        *(len(attribute.values) for attribute in world.attributes.values()),
        len(world.habitats),
    ]


def test_a_loss_that_is_not_finite_is_a_sentence(
    pool: dict[str, np.ndarray], tmp_path: Path
) -> None:
    tower = Tiny()
    with torch.no_grad():
        tower.mix.weight.fill_(float("inf"))
    with pytest.raises(UserError, match=r"loss of the stage .* at step 1"):
        train_tower(tower, RECIPE, pool, tmp_path, ignore)


def test_the_shipped_towers_grid() -> None:
    tower = timm.create_model("fieldguide_vit16")
    assert tower.patch_embed.grid_size == (6, 6)
    assert tower(torch.zeros(1, 3, 96, 96)).shape == (1, 192)
