"""How much memory this process has had."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

if sys.platform != "win32":
    import resource

MEBIBYTE = 1 << 20


def peak_mib() -> float:
    """The largest resident memory that this process has had, in MiB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / MEBIBYTE
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(largest) / (MEBIBYTE if sys.platform == "darwin" else 1024)


def high_water_mib() -> float:
    """The most memory that this process alone has had, in MiB.

    Linux counts the memory of whoever started a process in its ``ru_maxrss``, not in this.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return peak_mib()
