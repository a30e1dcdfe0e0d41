"""Things measured in turn, again and again, and their ratios: a busy machine disturbs all alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from dait.storage.processors import processors


@dataclass(frozen=True)
class Seconds:
    """Of the clock, and of processors."""

    wall: float
    processor: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.processor + other.processor)


@dataclass(frozen=True)
class Ratio:
    """``theirs / ours`` of each round: median, least, most. Above 1, ours is faster."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, theirs: list[float], ours: list[float]) -> Ratio:
        found = sorted(other / own for other, own in zip(theirs, ours, strict=True))
        return cls(median(found), found[0], found[-1])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}–{self.most:.2f})"


def timed(work: Callable[[], Any]) -> Seconds:
    """Of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def in_turn(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Seconds]]:
    """Each once to warm up, then all of them one after another, ``rounds`` times."""
    for work in works.values():
        work()
    found: dict[str, list[Seconds]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(timed(work))
    return found


def print_pairs(found: Mapping[str, list[Seconds]], ours: str) -> dict[str, Any]:
    """A line for each: median seconds, and how many times as long as ``ours`` it takes."""
    figures: dict[str, Any] = {}
    for name, seconds in found.items():
        wall = Ratio.of([s.wall for s in seconds], [s.wall for s in found[ours]])
        processor = Ratio.of([s.processor for s in seconds], [s.processor for s in found[ours]])
        used = median(s.processor for s in seconds)
        figures[name] = {
            "wall_s": median(s.wall for s in seconds),
            "processor_s": used,
            "wall_ratio": vars(wall),
            "processor_ratio": vars(processor),
        }
        print(
            f"{name:<28}{figures[name]['wall_s']:>9.3f} s{used:>9.3f} cpu s"
            f"   wall × {wall}   cpu × {processor}",
            flush=True,
        )
    return figures


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    return {
        "processors": processors(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
