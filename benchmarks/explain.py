"""What heatmaps cost: a row of five networks over bare passes, and many images over one by one."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.output import add_json_option, print_end, print_figures, require_positive
from benchmarks.stand_ins import Noise, teacher_for_bench
from dait.config.recipe import load_recipe
from dait.data.base import ClassInfo
from dait.data.images.frame import Framing
from dait.evaluation.networks import TeacherScores
from dait.evaluation.records import ComparedNetwork
from dait.evidence.heatmaps.cam import default_method
from dait.evidence.heatmaps.row import NetworkRow
from dait.evidence.localisation.evaluate import BATCH, by_masks
from dait.evidence.localisation.sample import Sample
from dait.models.network import build_network
from dait.models.spec import NetworkSpec

SIZE, CLASSES = 224, 40
TEACHER = "vit-b-32"
TRAINED = ("resnet34", "resnet18", "resnet18", "resnet18")
"""With the frozen teacher, the five networks of a study of the paper's size."""


def measure_explain(rounds: int = 9, images: int = 64) -> dict[str, Any]:
    """``ratio``: a heatmap row over the sum of one forward and backward pass of each network.

    All weights are random. The passes are those of the same frozen networks, from the pixels to the
    highest logit and back to the pixels: gradients of weights, which a training also takes, would
    only flatter the ratio. Row and passes take turns; the ratio is the median of ``rounds`` pairs.
    ``ratio_cpu`` is the same of processor time, which other work disturbs less.

    ``batched`` and ``one_by_one`` are images a second of heatmaps with their localisation, by the
    demo's student on ``images`` noise images of its size.
    """
    row, networks = stand_in_row()
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    def explain() -> None:
        row.explain(image)

    def passes() -> None:
        for network in networks:
            _forward_and_backward(network, pixels)

    explain()  # the first of each takes memory and plans
    passes()
    pairs = [(_timed(explain), _timed(passes)) for _ in range(rounds)]
    return {
        "ratio": median(ours.wall / bare.wall for ours, bare in pairs),
        "ratio_cpu": median(ours.processor / bare.processor for ours, bare in pairs),
        "row_s": median(ours.wall for ours, _ in pairs),
        **_throughput(images),
        "networks": [TEACHER, *TRAINED],
        "size": SIZE,
        "rounds": rounds,
        "images": images,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }


@dataclass(frozen=True)
class _Seconds:
    """Of the clock, and of this process's processors."""

    wall: float
    processor: float


def stand_in_row() -> tuple[NetworkRow, list[nn.Module]]:
    """The row, and the same networks in its order, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = teacher_for_bench(TEACHER)
        prototypes = F.normalize(torch.randn(CLASSES, teacher.dim), dim=1)
        scores = TeacherScores(teacher, prototypes)
        networks: list[nn.Module] = [scores, *(_network(name, SIZE) for name in TRAINED)]
    members = [ComparedNetwork(f"{number}", "network", "") for number in range(len(networks))]
    loaders = {m.key: (lambda network=n: network) for m, n in zip(members, networks, strict=True)}
    classes = [ClassInfo(str(number), str(number)) for number in range(CLASSES)]
    return NetworkRow(members, classes, Framing(SIZE), loaders, {}), networks


def _network(name: str, size: int) -> nn.Module:
    return build_network(NetworkSpec(name=name), CLASSES, size).eval().requires_grad_(False)


def _forward_and_backward(network: nn.Module, pixels: Tensor) -> None:
    output = network(pixels.clone().requires_grad_(True))
    getattr(output, "logits", output).amax().backward()


def _throughput(count: int) -> dict[str, float]:
    data = load_recipe("demo")
    noise = Noise(1, count, data.data.size)
    split = noise.split("test")
    objects = np.zeros(split.images.shape[:3], dtype=np.uint8)
    objects[:, 20:60, 20:60] = 1
    whole = Sample(split, np.arange(count), objects)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(data.student, CLASSES, data.data.size).eval().requires_grad_(False)
    method = default_method(network)

    def batched() -> None:
        by_masks(network, method, "true", whole, None)

    def one_by_one() -> None:
        for index in range(count):
            one = Sample(split, whole.indices[index : index + 1], objects[index : index + 1])
            by_masks(network, method, "true", one, None)

    batched()
    return {
        "batched": count / _timed(batched).wall,
        "one_by_one": count / _timed(one_by_one).wall,
        "batch": BATCH,
    }


def _timed(work: Callable[[], None]) -> _Seconds:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return _Seconds(time.perf_counter() - wall, time.process_time() - processor)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench explain`` and its options."""
    parser.description = (
        "Explain one image of 224 pixels by five networks with random weights, and run each "
        "forward and backward once, in turn; print the ratio. Then measure the heatmaps of many "
        "images in batches and one by one."
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="pairs (default: 9)")
    parser.add_argument(
        "--images", type=int, default=64, metavar="N", help="to localise (default: 64)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the figures and what they were measured with."""
    require_positive(args, "rounds", "images")
    figures = measure_explain(args.rounds, args.images)
    print_figures({name: figures[name] for name in ("ratio", "ratio_cpu", "row_s")})
    print_figures({f"{name} images/s": figures[name] for name in ("batched", "one_by_one")})
    print(f"networks {', '.join(figures['networks'])}; {figures['threads']} threads")
    return print_end(figures, args.json, "rely on ratio_cpu")
