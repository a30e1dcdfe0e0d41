"""How every network is trained, the same for all arms."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dait.config.section import Section

Precision = Literal["fp32", "bf16", "fp16"]


class TrainConfig(Section):
    """How every network is trained, the same for all arms."""

    epochs: int = Field(30, ge=1, le=2000, description="Passes over the training images")
    batch_size: int = Field(
        64, ge=2, le=4096, description="Images per optimiser step, over all processes"
    )
    accumulation: int = Field(
        1, ge=1, le=1024, description="Pieces in which a batch is computed, to take less memory"
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="Optimiser")
    momentum: float = Field(0.9, ge=0, lt=1, description="Optimiser sgd: momentum")
    nesterov: bool = Field(True, description="Optimiser sgd: Nesterov's momentum")
    learning_rate: float = Field(2e-3, gt=0, le=10, description="Peak learning rate")
    backbone_lr_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the learning rate for a network that starts from given weights, its "
        "classifier excepted",
    )
    schedule: Literal["cosine", "step", "one-cycle", "constant"] = Field(
        "cosine", description="How the learning rate falls"
    )
    decay_every: int = Field(
        30, ge=1, le=2000, description="Schedule step: epochs from one fall to the next"
    )
    decay_factor: float = Field(
        0.5, gt=0, le=1, description="Schedule step: what a fall multiplies the rate by"
    )
    weight_decay: float = Field(0.05, ge=0, le=1, description="Weight decay of matrices")
    warmup_epochs: float = Field(2, ge=0, le=100, description="Epochs of linear warm-up")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing")
    mixup: float = Field(
        0.0, ge=0, le=10, description="α of mixup, two images blended into one; 0: none"
    )
    cutmix: float = Field(
        0.0, ge=0, le=10, description="α of CutMix, a piece of another image pasted in; 0: none"
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="An epoch shows every image once, or every class equally often"
    )
    gradient_clip: float | None = Field(
        5.0, ge=0, le=1e6, description="Largest gradient norm; 0 or empty: no limit"
    )
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Moving average of the weights, which is kept; 0: none"
    )
    patience: int = Field(
        0,
        ge=0,
        le=2000,
        description="Epochs without a better validation figure after which a stage ends; the best "
        "epoch is kept. 0: all epochs, and the last is kept",
    )
    precision: Precision = Field(
        "fp32", description="Numbers of the networks; fp16 needs a GPU, bf16 is slow on many CPUs"
    )
    compile: bool = Field(False, description="torch.compile: minutes to start, then faster on GPUs")
    channels_last: bool = Field(True, description="Memory layout in which convolutions are faster")

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with one another."""
        return bool(self.mixup or self.cutmix)
