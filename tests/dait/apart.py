"""Functions in processes of their own, forked off one that has imported what takes long."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

IMPORTED = ["dait.study.train", "dait.cli.train", "accelerate", "timm", "open_clip", "sklearn"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(IMPORTED)


@dataclass(frozen=True)
class Apart:
    """A process, and the files that hold what it prints."""

    process: ForkServerProcess
    stdout: Path
    stderr: Path

    def ended(self, seconds: float = 250) -> int:
        """The exit status; whoever needs longer is killed."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    @property
    def said(self) -> str:
        """What stands on its stderr."""
        return self.stderr.read_text()


def start(
    folder: Path, work: Callable[..., Any], *arguments: Any, name: str = "apart", **more: str
) -> Apart:
    """Call a function of a module in another process, which exits with what it returns.

    folder: for what it prints; more: of its environment, which is else this process's: the server
    that forks has that of the first test which needed one.
    """
    files = [folder / f"{name}.{stream}" for stream in ("stdout", "stderr")]
    process = CONTEXT.Process(target=_call, args=(files, {**os.environ, **more}, work, arguments))
    process.start()
    return Apart(process, *files)


def start_together(
    folder: Path, count: int, work: Callable[..., Any], *arguments: Any
) -> list[Apart]:
    """``count`` processes of one training, as a scheduler starts them that ends none of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "ACCELERATE_USE_CPU": "true",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    return [
        start(
            folder, work, *arguments, name=str(rank),
            **shared, RANK=str(rank), LOCAL_RANK=str(rank),
        )
        for rank in range(count)
    ]  # fmt: skip


def _call(
    files: list[Path],
    environment: dict[str, str],
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    for number, file in enumerate(files, start=1):
        with file.open("wb") as stream:
            os.dup2(stream.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        code = work(*arguments) or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: multiprocessing would wait minutes for a pool of processes that the work left.
    os._exit(code)
