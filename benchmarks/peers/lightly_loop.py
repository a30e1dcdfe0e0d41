"""lightly-train's distillation of features, which takes no labels and clips gradients at 1."""

from __future__ import annotations

import tempfile
from pathlib import Path

import lightly_train
from lightly_train._methods.distillationv3.distillationv3 import DistillationV3

from benchmarks.peers.setting import (
    AREA,
    LEARNING_RATE,
    WEIGHT_DECAY,
    EpochDone,
    Setting,
    student,
    teacher,
)
from dait.errors import UserError


def train(setting: Setting, epoch_done: EpochDone) -> None:
    """Raises ``UserError`` for a training from labels alone, which it has not."""
    if not setting.distil:
        raise UserError("lightly-train's pretraining learns from a teacher, and never from labels.")

    def on_train_epoch_end(method: DistillationV3) -> None:
        epoch_done(int(method.trainer.num_training_batches) * setting.batch)

    # It takes no callbacks but its own by name; the version is pinned.
    DistillationV3.on_train_epoch_end = on_train_epoch_end
    model, frozen = student(setting.classes), teacher(setting.size).network.model
    # It reads the map before the last convolution of an EfficientNet, and asks for the width of
    # what comes after.
    frozen.num_features = frozen.feature_info[-1]["num_chs"]
    with tempfile.TemporaryDirectory() as folder:
        lightly_train.pretrain(
            out=Path(folder) / "run",
            data=str(setting.train_folder),
            model=model,
            method="distillation",
            method_args={"teacher": frozen},
            epochs=setting.epochs,
            batch_size=setting.batch,
            num_workers=setting.workers,
            accelerator="cpu",
            devices=1,
            precision="32-true",
            optim="adamw",
            optim_args={"lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY},
            transform_args={
                "image_size": (setting.size, setting.size),
                "random_resize": {"min_scale": AREA[0], "max_scale": AREA[1]},
                "color_jitter": None,
                "random_gray_scale": None,
                "gaussian_blur": None,
                "solarize": None,
            },
            loader_args={"persistent_workers": setting.workers > 0},
        )
