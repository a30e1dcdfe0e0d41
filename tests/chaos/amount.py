"""How much of each fault is tried, and the seed of what is random: docs/reliability.md."""

from __future__ import annotations

import os
import random

FULL = os.environ.get("DAIT_CHAOS") == "full"
SEED = int(os.environ.get("DAIT_CHAOS_SEED", "0"))


def amount(few: int, full: int) -> int:
    """``few`` with the other tests, ``full`` where ``DAIT_CHAOS=full`` asks for the whole."""
    return full if FULL else few


def chance(name: str) -> random.Random:
    """The random numbers of one test, the same in every run with the same ``DAIT_CHAOS_SEED``."""
    print(f"DAIT_CHAOS_SEED={SEED} ({name})")  # pytest shows it where the test fails
    return random.Random(f"{SEED} {name}")
