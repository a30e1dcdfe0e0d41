"""A first guess of how long a study takes, from one pass of each of its networks: about a second.

``dait.study.estimate`` measures the real steps, in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from dait.arms.catalogue import plan_of
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import build_network
from dait.models.spec import NetworkSpec
from dait.study.estimate import DataCounts, counts_of, without_weights

BATCH = 32
STEP_PASSES = 3
"""A training step is a pass forward and one backward, which costs two (Kaplan et al., "Scaling Laws
for Neural Language Models", 2020, section 2.1)."""


def rough_seconds(recipe: Recipe, arms: Sequence[Arm], seeds: Sequence[int]) -> float:
    """Seconds of all arms and seeds on this machine's processors, without the frozen teacher.

    Raises ``UserError`` for data that is not on this machine and networks that cannot be built.
    """
    counts, bare = counts_of(recipe), without_weights(recipe)
    passes: dict[str, float] = {}
    seconds = 0.0
    for arm in arms:
        taught = 0.0  # a pass of the networks that teach by then
        for stage in plan_of(arm).stages(bare):
            key = stage.network.model_dump_json()
            if key not in passes:
                passes[key] = _pass_seconds(stage.network, counts, recipe.data.size)
            own = passes[key]
            seconds += stage.epochs * counts.pool * (STEP_PASSES * own + taught)
            seconds += (stage.epochs * counts.val + counts.test) * own
            taught = own
    return len(seeds) * seconds


@torch.no_grad()
def _pass_seconds(spec: NetworkSpec, counts: DataCounts, size: int) -> float:
    """Of one image; the first pass warms up."""
    network = build_network(spec, counts.classes, size).eval()
    images = torch.rand(BATCH, 3, size, size)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        network(images)
        times.append(time.perf_counter() - start)
    return min(times[1:]) / BATCH
