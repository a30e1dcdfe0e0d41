"""How much memory this process has had."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

if sys.platform != "win32":
    import resource

MEBIBYTE = 1 << 20


def peak_memory_bytes() -> int:
    """The most memory that this process alone has had, in bytes.

    Linux counts the memory of the process that started this one in ``ru_maxrss``, not in
    ``VmHWM``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest
