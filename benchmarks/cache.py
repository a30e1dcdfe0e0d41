"""What DAIT's two stages cost with the frozen teacher's views kept, and with it in every step."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.output import add_json_option, print_end, print_figures, require_positive
from benchmarks.stand_ins import SIZED, TEACHERS, Noise, teacher_for_bench, untrained_task
from dait.config.recipe import Recipe, load_recipe
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import ViewKind
from dait.distributed import device, synchronize
from dait.events import EpochDone, Event
from dait.models.cost import count_macs
from dait.models.network import build_network
from dait.tasks.base import Batch, Role, Task
from dait.teachers.base import FrozenTeacher
from dait.teachers.cache.views import TeacherViews
from dait.training.loop import train_stage
from dait.training.views import StagePosition

_EPOCHS = 3

MEASURED, MEASURED_LARGE = (16, 4, 3), (8, 2, 2)
"""Images of a batch, steps of an epoch, rounds. A ViT-L/14 takes a CPU most of a second an image: a
few of them keep its benchmark to minutes."""

VAL_SHARE = 10
"""One validation image for this many training images, evaluated after every epoch."""


@dataclass(frozen=True)
class Times:
    """Seconds of the clock and of this process's processors, per training image."""

    wall: float
    processor: float


@dataclass(frozen=True)
class _Parts:
    teacher: FrozenTeacher
    data: Noise
    recipe: Recipe
    size: int
    steps: int


CLOCKS = ("wall", "processor")


def measure_cache(
    teacher_name: str = "fieldguide-clip",
    *,
    views: int = 8,
    epochs: int = 100,
    images: int = 1200,
    batch: int = 16,
    steps: int = 4,
    repeats: int = 3,
) -> dict[str, Any]:
    """The whole pipeline's seconds with and without the cache, and how far that is from the limit.

    Measured: in ``repeats`` rounds, an epoch of ``steps`` steps of each stage by the real training
    loop, with validation and augmentation, and building a view; the fastest of each counts, by the
    clock and (``..._cpu``) in processor time, which other work disturbs less. ``load`` is the
    machine's: above its cores, believe the latter. Extrapolated from that: stages 1 and 2 of
    ``epochs`` epochs over ``images`` images each, and building ``views`` views; not starting,
    loading, the test split. ``limit`` is the same quotient in multiply-adds, the backward pass
    counted. Raises ``UserError`` for a teacher that is not available.
    """
    parts = _parts(teacher_name, batch, steps)
    rounds = [_round(parts) for _ in range(repeats)]
    build, cached, live, distil = (_fastest(times) for times in zip(*rounds, strict=True))
    asked = {
        clock: images * epochs * (getattr(live, clock) + getattr(distil, clock)) for clock in CLOCKS
    }
    kept = {
        clock: images * views * getattr(build, clock)
        + images * epochs * (getattr(cached, clock) + getattr(distil, clock))
        for clock in CLOCKS
    }
    always = (macs := _macs(parts))["stage1"] + macs["stage2"]
    limit = epochs * (macs["teacher"] + always) / (views * macs["teacher"] + epochs * always)
    by_wall, by_processor = (asked[clock] / kept[clock] for clock in CLOCKS)
    return {
        "speedup": by_wall,
        "bytes": views * images * parts.teacher.dim * 2,
        "seconds_cached": kept["wall"],
        "seconds_live": asked["wall"],
        "speedup_cpu": by_processor,
        "limit": limit,
        "fraction_of_limit": by_wall / limit,
        "fraction_of_limit_cpu": by_processor / limit,
        "measured_steps": steps * repeats,
        "teacher": teacher_name,
        "epochs": epochs,
        "views": views,
        "images": images,
        "batch": batch,
        "size": parts.size,
        "macs": macs,
        "seconds_per_image": {
            "build": build.wall,
            "stage1_live": live.wall,
            "stage1_cached": cached.wall,
            "stage2": distil.wall,
        },
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }


def _parts(teacher_name: str, batch: int, steps: int) -> _Parts:
    teacher = teacher_for_bench(teacher_name)
    recipe = load_recipe("demo").changed({"train.batch_size": batch, "views.kind": "full"})
    size = recipe.data.size
    if teacher_name in SIZED:
        size = teacher.image_size
        network = {"output_stride": 32, "options": recipe.intermediate.options}
        middle = {"name": "resnet10t", **network}
        recipe = recipe.changed({"student": {"name": "resnet18"}, "intermediate": middle})
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    count = batch * steps
    data = Noise(count, max(1, count // VAL_SHARE), size)
    return _Parts(teacher, data, recipe, size, steps)


def _views(parts: _Parts, root: Path | None = None) -> TeacherViews:
    """Kept below ``root``, or live."""
    policy = ViewPolicy(parts.recipe.views.kind)
    return TeacherViews(parts.teacher, parts.data, policy, live=root is None, root=root)


def _round(parts: _Parts) -> tuple[Times, Times, Times, Times]:
    """Building a view, stage 1 on what was built, stage 1 live, and stage 2."""
    kind = parts.recipe.views.kind
    with tempfile.TemporaryDirectory() as folder:
        views, ends = _views(parts, root=Path(folder)), list[Times]()
        for view in range(_EPOCHS):
            views.build([view])
            ends.append(_now())
        build = _between(parts, ends)
        cached = _epoch(parts, _adapt(parts), kind, views)
    live = _epoch(parts, _adapt(parts), kind, _views(parts))
    return build, cached, live, _epoch(parts, _distil(parts), parts.recipe.dait.views, None)


def _epoch(parts: _Parts, task: Task, kind: ViewKind, views: TeacherViews | None) -> Times:
    """An epoch with its validation, per training image.

    The first one warms up, and after the last one of a short stage BatchNorm is estimated again.
    """
    task.views = kind
    ends: list[Times] = []

    def emit(event: Event) -> None:
        if isinstance(event, EpochDone):
            ends.append(_now())

    train_stage(
        task, parts.data, parts.recipe.train, StagePosition(0, 1, _EPOCHS, seed=0), views, emit
    )
    return _between(parts, ends)


def _now() -> Times:
    synchronize()
    return Times(time.perf_counter(), time.process_time())


def _between(parts: _Parts, ends: list[Times]) -> Times:
    """From the first end to the second, per image."""
    count = len(parts.data.split("train"))
    first, second = ends[0], ends[1]
    wall, processor = second.wall - first.wall, second.processor - first.processor
    return Times(wall / count, processor / count)


def _fastest(times: Sequence[Times]) -> Times:
    """Whatever else the machine does can only make things slower."""
    return Times(min(t.wall for t in times), min(t.processor for t in times))


def _adapt(parts: _Parts) -> Task:
    return _stage(parts, "intermediate")


def _distil(parts: _Parts) -> Task:
    return _stage(parts, "student")


def _stage(parts: _Parts, role: Role) -> Task:
    classes = len(parts.data.classes)
    return untrained_task("dait", role, parts.recipe, classes, parts.size, parts.teacher.dim)


def _macs(parts: _Parts) -> dict[str, float]:
    """Multiply-adds for a training image: the teacher's look at a view, and a step of each stage
    without the teacher, backward pass and the image's share of validation included."""
    images = torch.zeros(2, 3, parts.size, parts.size)
    labels, answers = torch.zeros(2, dtype=torch.long), torch.ones(2, parts.teacher.dim)
    middle, student = (
        count_macs(build_network(spec, len(parts.data.classes), parts.size)) / VAL_SHARE
        for spec in (parts.recipe.intermediate, parts.recipe.student)
    )
    device = next(_adapt(parts).parameters()).device

    def step(task: Task) -> Callable[[], None]:
        batch = Batch(images.to(device), labels.to(device), answers.to(device))
        return lambda: task(batch).loss.backward()

    return {
        "teacher": _counted(lambda: parts.teacher.embed(images.to(device)), 2),
        "stage1": _counted(step(_adapt(parts)), 2) + middle,
        "stage2": _counted(step(_distil(parts)), 2) + student,
    }


def _counted(work: Callable[[], Tensor | None], images: int) -> float:
    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        # The fused kernels are unknown to the counter.
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(counter)
        work()
    return counter.get_total_flops() / 2 / images


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench cache`` and its options."""
    parser.description = (
        "Time some steps of both stages of DAIT with kept views and with the frozen "
        "teacher in every step, extrapolate to the whole training, and compare with what the "
        "multiply-adds allow."
    )
    parser.add_argument(
        "--teacher", default="fieldguide-clip", metavar="NAME", help=f"{TEACHERS} (default: first)"
    )
    parser.add_argument("--views", type=int, default=8, metavar="K", help="default: 8")
    parser.add_argument("--epochs", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument(
        "--images", type=int, default=1200, metavar="N", help="of the whole training (1200)"
    )
    batch, steps, repeats = MEASURED
    parser.add_argument(
        "--batch", type=int, metavar="N", help=f"default: {batch}, less for vit-l-14"
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help=f"measured in an epoch (default: {steps}, or less)"
    )
    parser.add_argument(
        "--repeats", type=int, metavar="N", help=f"rounds (default: {repeats}, or less)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the speedup, its limit, and what they were extrapolated from."""
    names = ("views", "epochs", "images", "batch", "steps", "repeats")
    usual = MEASURED_LARGE if args.teacher == "vit-l-14" else MEASURED
    for name, value in zip(("batch", "steps", "repeats"), usual, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    require_positive(args, *names)
    figures = measure_cache(args.teacher, **{name: getattr(args, name) for name in names})
    print(
        f"extrapolated from {figures['measured_steps']} steps of each kind to {args.epochs} epochs "
        f"of two stages over {args.images:,} images"
    )
    print_figures(figures)
    return print_end(figures, args.json, "rely on the figures that end in _cpu")
