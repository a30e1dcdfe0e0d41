"""How much of a frozen teacher's speed is left when it embeds a data set."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.output import add_json_option, print_end, print_figures, require_positive
from benchmarks.stand_ins import TEACHERS, Noise, teacher_for_bench
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.stored import Images
from dait.distributed import device, synchronize
from dait.teachers.base import FrozenTeacher
from dait.teachers.embedding import Embedder, device_of, embed_split
from dait.teachers.openclip.teacher import resized


def measure_embedding(
    teacher_name: str = "fieldguide-clip",
    images: int = 512,
    batch: int = 128,
    size: int | None = None,
    repeats: int = 5,
) -> dict[str, Any]:
    """``ratio``: the throughput of ``embed_split`` over a bare loop's, of the same batches.

    The bare loop has float tensors of the teacher's size in memory, laid out as ``embed_split``
    lays them out, and calls nothing but the model. The data set is uint8 images of ``size`` pixels
    a side (by default the teacher's), in a memory-mapped file. Both run in turn; the ratio is the
    median of ``repeats`` pairs, ``ratio_cpu`` the same of processor time, which other work on the
    machine disturbs less.
    Raises ``UserError`` for a teacher that is not available.
    """
    teacher = teacher_for_bench(teacher_name)
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    side = size or teacher.image_size
    with tempfile.TemporaryDirectory() as folder:
        data = Noise(images, 1, side, Path(folder)).split("train").images
        bare = bare_loop(teacher, data, batch)

        def embedded() -> None:
            embed_split(teacher, data, batch)

        for warm_up in (bare, embedded):
            warm_up()
        pairs = [(_timed(bare), _timed(embedded)) for _ in range(repeats)]
    wall = [one[0] / other[0] for one, other in pairs]
    processor = [one[1] / other[1] for one, other in pairs]
    return {
        "ratio": statistics.median(wall),
        "ratio_cpu": statistics.median(processor),
        "teacher": teacher_name,
        "images_per_second": images / statistics.median(other[0] for _, other in pairs),
        "images": images,
        "batch": batch,
        "size": side,
        "precision": Embedder(teacher).precision,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }


def bare_loop(teacher: FrozenTeacher, images: Images, batch: int) -> Callable[[], None]:
    """The teacher's model over as many batches as ``images`` ``(N, S, S, 3)`` uint8 make.

    Every batch is the first one's pixels, in memory before the clock starts.
    """
    model: Any = getattr(teacher, "model", None)
    forward = getattr(model, "encode_image", teacher.embed)
    pixels = _as_seen(teacher, images[:batch])
    parts = [pixels[: min(batch, len(images) - k)] for k in range(0, len(images), batch)]
    half = Embedder(teacher).precision == "float16"

    @torch.no_grad()
    def run() -> None:
        with torch.autocast(pixels.device.type, torch.float16) if half else nullcontext():
            for part in parts:
                forward(part)
        synchronize()

    return run


def _as_seen(teacher: FrozenTeacher, images: np.ndarray) -> Tensor:
    """``(B, 3, H, W)`` as the model meets them: its size, its device, its views' memory layout.

    A convolution's speed depends on the layout, and views of ``(B, S, S, 3)`` pixels are channels
    last.
    """
    stored = torch.from_numpy(np.array(images)).to(device_of(teacher))
    views = view_batch(stored, np.arange(len(stored)), 0, ViewPolicy("original"))
    return resized(views, teacher.image_size, getattr(teacher, "interpolation", "bilinear"))


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of this process's processors."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench embed`` and its options."""
    parser.description = (
        "Embed a memory-mapped data set of noise, and run the teacher's model over "
        "tensors in memory, in turn; print the ratio of their throughputs."
    )
    parser.add_argument(
        "--teacher", default="fieldguide-clip", metavar="NAME", help=f"{TEACHERS} (default: first)"
    )
    parser.add_argument("--images", type=int, default=512, metavar="N", help="default: 512")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="default: 128")
    parser.add_argument(
        "--size", type=int, metavar="N", help="side of the data's images (default: the teacher's)"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default: 5")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the ratio and what it was measured with."""
    require_positive(args, "images", "batch", "repeats")
    figures = measure_embedding(args.teacher, args.images, args.batch, args.size, args.repeats)
    print_figures(figures)
    return print_end(figures, args.json)
