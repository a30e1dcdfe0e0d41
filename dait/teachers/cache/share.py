"""Which part of the work is this process's, where several were started by Accelerate."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch

from dait.errors import UserError


def _alone() -> None:
    return None


@dataclass(frozen=True)
class Share:
    """Process ``index`` (from 0) of ``count``; ``wait`` returns when all have come to it.

    device: this process's accelerator, or the CPU; None: whatever the process would use alone.
    """

    index: int = 0
    count: int = 1
    device: torch.device | None = None
    wait: Callable[[], None] = _alone
    close: Callable[[], None] = _alone

    @property
    def is_main(self) -> bool:
        return self.index == 0


ALONE = Share()


def this_share() -> Share:
    """From the environment that ``accelerate launch`` and ``torchrun`` set; otherwise ``ALONE``.

    Raises ``UserError`` where several processes were started but Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return ALONE
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UserError(
            "Several processes were started, and they need Accelerate: pip install accelerate"
        ) from error
    # A process may come to the end long before another, so nobody gives up waiting for a day.
    cpu = not torch.cuda.is_available() or os.environ.get("DAIT_DEVICE") == "cpu"
    state = PartialState(cpu=cpu, timeout=timedelta(days=1))
    return Share(
        state.process_index,
        state.num_processes,
        state.device,
        state.wait_for_everyone,
        state.destroy_process_group,
    )
