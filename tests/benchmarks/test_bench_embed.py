"""The bare loop of ``bench embed``: the same forward passes as ours, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.embed import bare_loop, measure_embedding
from dait.models.network import NetworkSpec, build_network
from dait.teachers.base import FrozenTeacher
from dait.teachers.embedding import embed_split
from dait.teachers.registry import load_teacher
from dait.teachers.vision_only import VisionOnlyTeacher

Seen = list[tuple[tuple[int, ...], tuple[int, ...]]]
IMAGES, BATCH = 10, 4


def seen_by(module: nn.Module, work: Callable[[], object]) -> Seen:
    """Shape and strides of every batch that ``module`` meets while ``work`` runs."""
    seen: Seen = []

    def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append((tuple(given[0].shape), given[0].stride()))

    hook = module.register_forward_pre_hook(note)
    work()
    hook.remove()
    return seen


def noise(side: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [32, 48])
def test_the_model_meets_batches_of_the_same_size_and_layout(clip_folder: Path, side: int) -> None:
    teacher = load_teacher(f"openclip-local:{clip_folder}")
    images = noise(side)
    tower = teacher.model.visual  # type: ignore[attr-defined]
    ours = seen_by(tower, lambda: embed_split(teacher, images, BATCH))
    assert [shape for shape, _ in ours] == [(4, 3, 32, 32), (4, 3, 32, 32), (2, 3, 32, 32)]
    assert seen_by(tower, bare_loop(teacher, images, BATCH)) == ours


def test_a_network_without_text_meets_the_same() -> None:
    spec = NetworkSpec(name="resnet10t", options={"channels": [8, 8, 8, 8], "stem_width": 8})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(spec, 2, 32)
    teacher: FrozenTeacher = VisionOnlyTeacher("tiny", network)
    images = noise(32)
    ours = seen_by(network.model.conv1, lambda: embed_split(teacher, images, BATCH))
    assert len(ours) == 3 and ours[0][1][1] == 1  # channels last
    assert seen_by(network.model.conv1, bare_loop(teacher, images, BATCH)) == ours


def test_what_is_told(clip_folder: Path) -> None:
    found = measure_embedding(f"openclip-local:{clip_folder}", images=6, batch=4, repeats=1)
    assert found["ratio"] > 0 and found["images_per_second"] > 0
    assert (found["images"], found["batch"], found["size"]) == (6, 4, 32)
