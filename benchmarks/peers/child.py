"""One peer's training in a process of its own: ``python -m benchmarks.peers.child PEER FILE``.

The setting comes as JSON on the standard input; a line of JSON is written to FILE for every epoch.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import psutil
import torch

from benchmarks.peers.setting import Setting


def processor_seconds() -> float:
    """Of this process, of its children that are over, and of those that still work for it."""
    seconds = 0.0
    for who in (RUSAGE_SELF, RUSAGE_CHILDREN):
        used = getrusage(who)
        seconds += used.ru_utime + used.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:  # it is over, and was counted above
            continue
        seconds += times.user + times.system
    return seconds


def main(peer: str, file: Path) -> int:
    """Train, with one thread."""
    torch.set_num_threads(1)
    setting = Setting(**json.load(sys.stdin))
    module = import_module(
        f"benchmarks.peers.{peer}"
    )  # its libraries are imported before the start
    with file.open("w", encoding="utf-8") as out:
        wall, processor = time.perf_counter(), processor_seconds()

        def epoch_done(images: int) -> None:
            nonlocal wall, processor
            now, used = time.perf_counter(), processor_seconds()
            line = {"images": images, "wall": now - wall, "processor": used - processor}
            out.write(json.dumps(line) + "\n")
            out.flush()
            wall, processor = time.perf_counter(), processor_seconds()

        module.train(setting, epoch_done)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
