"""What a figure of speed needs in place of real data and weights: it is the same with noise."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dait.arms.catalogue import plan_of
from dait.arms.plan import TaskContext
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.data.base import ClassInfo, Problem, Split, SplitName
from dait.data.images.frame import Framing
from dait.data.stored import Images, StoredImages
from dait.distributed import device
from dait.models.network import Network, NetworkSpec, build_network
from dait.tasks.base import Role, Task
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import load_teacher

SIZED = {"vit-b-32": "ViT-B-32", "vit-l-14": "ViT-L-14"}
"""Teachers by their size alone: OpenCLIP's architectures, with random weights."""

TEACHERS = "fieldguide-clip, vit-b-32 or vit-l-14 (random weights), or any teacher's name"

LOGIT_SCALE = 50.0
"""κ of a stand-in's zero-shot logits."""


@dataclass
class Noise:
    """A data set of random pixels; with ``folder`` they are memory-mapped, as a real one's are.

    framing: of photographs; then their stored images are of two shapes, upright and lying.
    """

    train: int
    val: int
    size: int
    folder: Path | None = None
    class_count: int = 40
    framing: Framing | None = None
    name: str = "noise"
    part_names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    licence: str = "none"
    homepage: str = ""
    notes: tuple[str, ...] = ()
    _splits: dict[SplitName, Split] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        return tuple(ClassInfo(str(k), f"class {k}") for k in range(self.class_count))

    @property
    def fingerprint(self) -> str:
        return f"noise-{self.train}-{self.val}-{self.size}"

    def counts(self) -> dict[SplitName, int]:
        """Images per split."""
        return {"train": self.train, "val": self.val, "test": self.val}

    def split(self, name: SplitName) -> Split:
        """Drawn at first use."""
        if name not in self._splits:
            count = self.counts()[name]
            rng = np.random.default_rng([count, self.size, len(name)])
            framing = self.framing or Framing(self.size)
            pixels = rng.integers(0, 256, (count, *framing.typical_shape, 3), dtype=np.uint8)
            if self.folder is not None:
                np.save(self.folder / f"{name}.npy", pixels)
                pixels = np.load(self.folder / f"{name}.npy", mmap_mode="r")
            images: Images = pixels
            stored = None
            if framing != Framing(self.size):
                shapes = np.tile([framing.typical_shape, framing.typical_shape[::-1]], (count, 1))
                stored = StoredImages(
                    pixels.reshape(-1), shapes[:count].astype(np.int32), self.size
                )
                images = stored.centres()
            labels = np.arange(count) % self.class_count
            ids = tuple(f"{name}/{k}" for k in range(count))
            self._splits[name] = Split(name, images, labels, ids, stored=stored)
        return self._splits[name]


def teacher_for_bench(name: str) -> FrozenTeacher:
    """A teacher by name, or one of ``SIZED`` with random weights. Raises ``UserError``."""
    if name not in SIZED:
        return load_teacher(name)
    import open_clip

    from dait.teachers.openclip.teacher import OpenClipTeacher

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model(SIZED[name], pretrained=None)
    model.eval().requires_grad_(False)
    facts = model.visual.preprocess_cfg
    tokenizer = open_clip.get_tokenizer(SIZED[name])
    return OpenClipTeacher(name, model, tokenizer, facts["mean"], facts["std"], "random")


def untrained_task(arm: Arm, role: Role, recipe: Recipe, classes: int, size: int, dim: int) -> Task:
    """The task of one of the arm's stages, with what stages before would have trained untrained.

    classes: of the labels; size: of the images in pixels; dim: of the frozen teacher's embeddings,
    in which the classes' prototypes lie at random. Raises ``ValueError`` for a stage that the arm
    has not.
    """

    def new(role: Role, spec: NetworkSpec) -> Network:
        return build_network(spec, classes, size).to(device())

    plan, prototypes = plan_of(arm), F.normalize(torch.randn(classes, dim), dim=1)
    before, learned = dict[Role, Network](), dict[Role, dict[str, Any]]()
    for stage in plan.stages(recipe):
        network = new(stage.role, stage.network)
        around = TaskContext(recipe, prototypes, LOGIT_SCALE, before, new, learned)
        task = plan.task(stage.role, network, around).to(device())
        if stage.role == role:
            return task
        before[stage.role], learned[stage.role] = network, task.projections.state_dict()
    raise ValueError(f"{arm} has no stage that trains the {role}")


@contextmanager
def empty_cache() -> Iterator[Path]:
    """A cache folder of its own while the block runs; data that is open already stays open."""
    before = os.environ.get("DAIT_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DAIT_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["DAIT_CACHE"]
            else:
                os.environ["DAIT_CACHE"] = before
