"""What can be known to go wrong before anything is trained."""

from __future__ import annotations

from dait.config.train import TrainConfig
from dait.errors import UserError


def check_training(config: TrainConfig, needs_vlm: bool, cached: bool) -> None:
    """Raises ``UserError`` where images are to be mixed that a frozen teacher saw unmixed.

    needs_vlm: whether the task learns from the frozen teacher's embeddings; cached: whether these
    are kept, and so of single images.
    """
    if config.mixes and needs_vlm and cached:
        names = [name for name in ("mixup", "cutmix") if getattr(config, name)]
        raise UserError(
            f"train.{names[0]} mixes images, and the frozen teacher's kept embeddings are of "
            "unmixed ones. Set views.cache to false, so that it looks at the mixed images itself, "
            f"or {' and '.join(f'train.{name}' for name in names)} to 0."
        )


def check_validation(config: TrainConfig, images: int) -> None:
    """Raises ``UserError`` where the best epoch is to be chosen on ``images`` that are none."""
    if config.patience and not images:
        raise UserError(
            "train.patience chooses the best epoch on the validation split, and the data has none. "
            "Set train.patience to 0, or add validation images."
        )
