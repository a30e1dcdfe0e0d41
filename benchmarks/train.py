"""How much of a bare loop's speed is left in the training loop, and the memory that each takes."""

from __future__ import annotations

import argparse
import copy
import math
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.output import add_json_option, print_end, print_figure, require_positive
from benchmarks.stand_ins import LOGIT_SCALE, Noise, untrained_task
from dait.config.arms import Arm
from dait.config.recipe import Recipe, load_recipe, recipe_names
from dait.data.augmentation.views import ViewPolicy, pinned, view_batch
from dait.distributed import ALONE, device, synchronize
from dait.errors import UserError
from dait.events import EpochDone, Event, StepDone
from dait.runs.folder import RunFolder
from dait.runs.progress import StagePlan
from dait.runs.sinks import RunSink
from dait.storage.processors import processors
from dait.study.memory import MEBIBYTE, peak_memory_bytes
from dait.tasks.base import Role
from dait.teachers.cache.views import TeacherViews
from dait.training.batches import Batches
from dait.training.loop import train_stage
from dait.training.optimizer import build_optimizer
from dait.training.precision import autocast
from dait.training.views import StagePosition

STAGES: dict[str, tuple[Arm, Role]] = {
    "independent": ("independent", "student"),
    "direct": ("direct", "student"),
    "dait_stage1": ("dait", "intermediate"),
    "dait_stage2": ("dait", "student"),
}


def measure_train(
    recipe_name: str = "demo",
    batch: int | None = None,
    steps: int = 12,
    rounds: int = 9,
    tell: Callable[[str, float], None] = lambda name, value: None,
) -> dict[str, Any]:
    """For each of ``STAGES`` the throughput of the training loop over a bare loop's.

    The loop is the one that trains a run: images from a memory-mapped file, augmentation, the
    frozen teacher's kept embeddings, the run folder's events. The bare one does forward, loss,
    backward and step of the same task, on one batch that lies in memory, with as many threads.
    After every epoch of ``steps`` steps the bare loop takes as many. Of ``rounds`` such pairs as
    large a part makes its views as of the recipe's epochs, the rest is shown them again; the ratio
    is that of their medians, so weighted. Validation and checkpoints are no part of it.

    ``views_per_second`` is what the device makes of the recipe's views, from batches in the
    processor's memory. ``..._making`` is the ratio of the epochs alone that make their views.
    ``..._cpu`` is the first one of processor time, which other work disturbs less, and in which
    nothing is won by a second thread; ``..._mib`` is the most memory that a process takes that does
    nothing but the stage (on a GPU, of the GPU's), without the views that it holds to show them
    again: these grow with the data, and ``dait estimate`` counts them. tell: gets each of these as
    soon as it is known.
    Raises ``UserError`` for an unknown recipe.
    """
    recipe = load_recipe(recipe_name)
    if batch is not None:
        recipe = recipe.changed({"train.batch_size": batch})
    figures: dict[str, Any] = {"views_per_second": _views_per_second(recipe, steps * rounds)}
    tell("views_per_second", figures["views_per_second"])
    for name in STAGES:
        found = _ratios(name, recipe, steps, rounds)
        found[f"{name}_mib"] = _peak_of_its_own(name, recipe)
        for figure, value in found.items():
            tell(figure, value)
        figures |= found
    return {
        **figures,
        "recipe": recipe_name,
        "batch": recipe.train.batch_size,
        "steps": steps,
        "rounds": rounds,
        "size": recipe.data.size,
        "views": recipe.views.kind,
        "views_stage2": recipe.dait.views,
        "device": device().type,
        "threads": torch.get_num_threads(),
        "processors": processors(),
        "load": os.getloadavg()[0],
    }


@dataclass(frozen=True)
class _Seconds:
    """Of the clock, and of this process's processors."""

    wall: float
    processor: float


class _Glance:
    """A frozen teacher that takes no time: what it says is kept before the clock starts."""

    name, image_size, dim, reads_text, weights_hash = "glance", 32, 192, False, "none"
    logit_scale = LOGIT_SCALE

    def embed(self, images: Tensor) -> Tensor:
        return F.normalize(F.adaptive_avg_pool2d(images, 8).flatten(1), dim=1)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        return self.embed(images)

    def embed_text(self, sentences: list[str]) -> Tensor:
        raise UserError("This stand-in reads no text.")

    def heatmap_layer(self) -> nn.Module:
        return nn.Identity()

    def heatmap_grid(self) -> None:
        return None


class _Measured:
    """One stage in the real loop; after each of its epochs, the bare loop takes as many steps."""

    def __init__(self, name: str, recipe: Recipe, steps: int, rounds: int, folder: Path) -> None:
        self.config, self.steps, self.folder = recipe.train, steps, folder
        # The first epoch warms up; the views that it makes are not shown again in time.
        self.making = _making(recipe, rounds)
        self.stage = StagePosition(0, 1, rounds + 1, seed=0, distinct_views=self.making + 1)
        count, framing = recipe.train.batch_size * steps, recipe.data.framing
        self.data = Noise(count, 8, framing.size, folder, framing=framing)
        torch.manual_seed(0)
        classes, size = len(self.data.classes), recipe.data.size
        self.task = untrained_task(*STAGES[name], recipe, classes, size, _Glance.dim)
        policy = ViewPolicy(self.task.views)
        self.views = TeacherViews(_Glance(), self.data, policy, root=folder / "views")
        if self.task.needs_vlm:
            self.views.build(range(self.stage.epochs))
        self.loop, self.bare = list[_Seconds](), list[_Seconds]()

    def run(self, with_bare: bool = True) -> None:
        """Train; ``loop`` and ``bare`` then have the seconds of every epoch."""
        plan = StagePlan(self.task.stage, self.steps * self.stage.epochs)
        sink = RunSink(RunFolder(self.folder), [plan])
        bare = self._bare() if with_bare else None
        started = stepped = time.process_time()

        def emit(event: Event) -> None:
            nonlocal started, stepped
            sink(event)
            if isinstance(event, StepDone):
                stepped = time.process_time()
            if isinstance(event, EpochDone):
                self.loop.append(_Seconds(event.seconds, stepped - started))
                if bare is not None:
                    self.bare.append(_timed(bare))
                started = time.process_time()

        views = self.views if self.task.needs_vlm else None
        train_stage(self.task, self.data, self.config, self.stage, views, emit)

    def _bare(self) -> Callable[[], None]:
        task = copy.deepcopy(self.task).train()
        if self.config.channels_last:
            task.to(memory_format=torch.channels_last)
        optimizer = build_optimizer(task, self.config)
        train, where = self.data.split("train"), device()
        views = self.views if task.needs_vlm else None
        source = Batches(task, train, self.config, self.stage, views, ALONE, where)
        with closing(source.epoch(0)) as batches:
            batch = replace(next(batches), taught=None)  # a bare loop runs a trained teacher

        def run() -> None:
            for _ in range(self.steps):
                optimizer.zero_grad(set_to_none=True)
                with autocast(self.config.precision, where):
                    output = task(batch)
                output.loss.backward()
                optimizer.step()
            synchronize()

        return run


def _views_per_second(recipe: Recipe, rounds: int) -> float:
    """Of whole images in pinned memory, where the device is a GPU; the copy there counts."""
    batch, place = recipe.train.batch_size, device() if device().type == "cuda" else None
    train = Noise(batch, 1, recipe.data.size, framing=recipe.data.framing).split("train")
    index, policy = np.arange(batch), ViewPolicy(recipe.views.kind)
    stored = train.uncropped[index] if place is None else pinned(train.uncropped[index])
    seconds = []
    for view in range(rounds + 2):
        start = time.perf_counter()
        view_batch(stored, index, view, policy, device=place)
        if place is not None:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return batch / median(seconds[2:])


def _ratios(name: str, recipe: Recipe, steps: int, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        measured = _Measured(name, recipe, steps, rounds, Path(folder))
        measured.run()
    pairs = list(zip(measured.bare, measured.loop, strict=True))[1:]
    wall = [bare.wall / loop.wall for bare, loop in pairs]
    processor = [bare.processor / loop.processor for bare, loop in pairs]
    return {
        name: _weighted(wall, measured.making),
        f"{name}_making": median(wall[: measured.making]),
        f"{name}_cpu": _weighted(processor, measured.making),
    }


def _making(recipe: Recipe, rounds: int) -> int:
    """Of so many epochs, those that make their views: as large a part as in the recipe's run."""
    epochs = recipe.train.epochs
    return math.ceil(rounds * recipe.views.count(epochs) / epochs)


def _weighted(ratios: list[float], making: int) -> float:
    """The ratio over all epochs, of which the first ``making`` have a ratio of their own.

    Times add up, not ratios: the harmonic mean of both medians, by their number of epochs.
    """
    kinds = [kind for kind in (ratios[:making], ratios[making:]) if kind]
    return len(ratios) / sum(len(kind) / median(kind) for kind in kinds)


def _timed(work: Callable[[], None]) -> _Seconds:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return _Seconds(time.perf_counter() - wall, time.process_time() - processor)


def _peak_of_its_own(name: str, recipe: Recipe) -> float:
    """In a process that has done nothing else yet: memory once taken is never given back."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_peak, name, recipe, torch.get_num_threads()).result()


def _peak(name: str, recipe: Recipe, threads: int) -> float:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        _Measured(name, recipe, 2, 1, Path(folder)).run(with_bare=False)
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated() / MEBIBYTE
    return peak_memory_bytes() / MEBIBYTE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench train`` and its options."""
    parser.description = (
        "Train each stage with the real loop, and with a loop that does forward, backward and step "
        "on one batch in memory, in turn; print the ratio of their throughputs and the most memory "
        "that each stage takes."
    )
    parser.add_argument(
        "--recipe",
        default="demo",
        metavar="RECIPE",
        help=f"{', '.join(recipe_names())} or a .yaml file, for its networks and views "
        "(default: demo)",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument(
        "--steps", type=int, default=12, metavar="N", help="of an epoch (default: 12)"
    )
    parser.add_argument(
        "--rounds", type=int, default=9, metavar="N", help="epochs of each loop (default: 9)"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "mps"), help="default: this machine's accelerator"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each ratio as soon as it is measured, and what it was measured with."""
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anything of CUDA is asked
    if args.device not in (None, device().type):
        raise UserError(f"This machine trains on {device().type}, not on {args.device}.")
    require_positive(args, "steps", "rounds")
    figures = measure_train(args.recipe, args.batch, args.steps, args.rounds, print_figure)
    keys = ("recipe", "batch", "size", "views", "views_stage2", "device", "threads", "load")
    print(", ".join(f"{key} {figures[key]}" for key in keys))
    return print_end(figures, args.json, "rely on the figures that end in _cpu")
