"""How the C library hands out memory on the CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of ``mallopt``'s settings, from glibc's ``malloc.h``."""

_GIB, _MIB = 2**30, 2**20


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees; whether its C library can.

    glibc gives large blocks back to the system as they are freed and asks for them again a moment
    later. The activations of a network come and go in every step, and the system fills each page
    with zeros each time: some 15 % of a small network's training time. For processes that do one
    thing and end, not for a server. Other C libraries (musl, macOS, Windows) are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: _GIB, _TRIM_THRESHOLD: 2 * _GIB - 1, _TOP_PAD: 64 * _MIB}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
