"""The product, as ``python -m dait study`` runs one arm of a study from an empty cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.peers.setting import (
    AREA,
    FEATURE_WEIGHT,
    GRADIENT_CLIP,
    LEARNING_RATE,
    STUDENT,
    TEACHER,
    WEIGHT_DECAY,
    EpochDone,
    Setting,
)
from benchmarks.stand_ins import empty_cache
from dait.config.arms import Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.events import EpochDone as Epoch
from dait.events import Event, StageStarted
from dait.study.train import run_study

assert AREA == (0.7, 1.0), "what ViewPolicy calls light"


def recipe_of(setting: Setting) -> Recipe:
    """The setting as a recipe."""
    recipe = {
        "name": "peers",
        "data": {"source": setting.folder, "size": setting.size, "crop_pct": 1.0},
        "teacher": {"name": TEACHER, "image_size": setting.size},
        "student": STUDENT,
        "views": {"kind": "light", "distinct": setting.views},
        "direct": {"feature_weight": FEATURE_WEIGHT, "logit_weight": 0},
        "train": {
            "epochs": setting.epochs,
            "batch_size": setting.batch,
            "learning_rate": LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "gradient_clip": GRADIENT_CLIP,
            "warmup_epochs": 0,
        },
    }
    return parse_recipe(recipe, "the setting of the peers")


def train(setting: Setting, epoch_done: EpochDone) -> None:
    """All that a study does: the store of images, prototypes, kept views, files of the run.

    The part before the first step, in which the class means of a teacher that reads no text are
    taken, is told as an epoch of no images.
    """
    arm: Arm = "direct" if setting.distil else "independent"
    images = sum(1 for _ in setting.train_folder.rglob("*.jpg"))

    def emit(event: Event) -> None:
        if isinstance(event, StageStarted):
            epoch_done(0)
        if isinstance(event, Epoch):
            epoch_done(images // setting.batch * setting.batch)

    with empty_cache(), tempfile.TemporaryDirectory() as folder:
        run_study(recipe_of(setting), [arm], [0], Path(folder) / "study", emit)
