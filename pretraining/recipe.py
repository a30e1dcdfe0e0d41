"""How the demo teacher is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import ViewKind
from dait.data.fieldguide.invented import InventedBirds
from dait.errors import UserError


@dataclass(frozen=True)
class PretrainRecipe:
    """How the demo teacher is trained; ``architecture`` is OpenCLIP's own ``model_cfg``.

    Birds come in invented families of ``family`` members that differ in ``marks`` attributes. A
    family stays together in a batch: a contrastive loss learns only what its negatives make it
    tell apart, and birds drawn at random differ so much that a glance would do. ``marks_chance``:
    how often a caption names all the marks of its family, as a field guide's text does.
    ``caption_detail``: the share of captions that name attributes of single parts at all; the
    others are those of the web (``web_caption``): 1 makes a specialist, little a generalist.
    ``tower_steps``: of the image tower alone, before (see ``pretraining.tower``).
    """

    architecture: dict[str, Any]
    steps: int
    tower_steps: int = 0
    pool: int = 32_000
    family: int = 8
    marks: int = 3
    marks_chance: float = 0.8
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warmup_steps: int = 200
    habitat_chance: float = 0.5
    least_attributes: int = 3
    most_attributes: int = 8
    caption_detail: float = 1.0
    views: ViewKind = "light"
    seed: int = 0
    evaluate_every: int = 200
    bf16: bool = False
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @property
    def birds(self) -> InventedBirds:
        """What the training shows."""
        size = self.architecture["vision_cfg"]["image_size"]
        return InventedBirds(self.pool, self.family, self.marks, size, self.seed)

    @property
    def policy(self) -> ViewPolicy:
        """The augmentation of its views."""
        return ViewPolicy(self.views, self.seed)

    @property
    def train(self) -> TrainConfig:
        """What the engine's optimiser step has to know."""
        return TrainConfig(
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            gradient_clip=1.0,
        )

    def __post_init__(self) -> None:
        if self.batch_size % self.family or self.pool % self.family:
            raise UserError(
                f"A batch of {self.batch_size} and a pool of {self.pool} birds cannot be cut into "
                f"families of {self.family}; change `family`, `batch_size` or `pool`."
            )
        if self.pool < self.batch_size:
            raise UserError(f"A pool of {self.pool} birds gives no batch of {self.batch_size}.")
        if not 0 <= self.caption_detail <= 1:
            raise UserError(f"caption_detail is a share, 0 to 1, not {self.caption_detail}.")


def load_pretrain_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe from YAML. Raises UserError when it cannot be read or has unknown keys."""
    try:
        return PretrainRecipe(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"The recipe {path} cannot be used: {error}.") from None
