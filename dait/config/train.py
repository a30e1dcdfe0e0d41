"""How every network is trained, the same for all arms."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dait.config.section import Section


class TrainConfig(Section):
    """How every network is trained, the same for all arms."""

    epochs: int = Field(30, ge=1, le=2000, description="Passes over the training images")
    batch_size: int = Field(64, ge=2, le=4096, description="Images per optimiser step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="Optimiser")
    learning_rate: float = Field(2e-3, gt=0, le=10, description="Peak learning rate")
    weight_decay: float = Field(0.05, ge=0, le=1, description="Weight decay of matrices")
    warmup_epochs: float = Field(2, ge=0, le=100, description="Epochs of linear warm-up")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing")
    gradient_clip: float = Field(5.0, gt=0, le=1e6, description="Largest gradient norm")
