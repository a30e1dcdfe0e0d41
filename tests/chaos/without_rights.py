"""What a plain user may not do, for a process that is root's: the rights of a file count again.

Root without ``CAP_DAC_OVERRIDE`` is an owner like any other. Another user would not do: the tests'
own environment may lie in a folder that only root reads.
"""

from __future__ import annotations

import ctypes
import os

_VERSION = 0x20080522  # of the structures of capset(2): 64 bits in two words
_OVERRIDE, _READ_SEARCH = 1, 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become_plain() -> None:
    """From now on this thread, and what it starts, respects the rights of files."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, words = _Header(_VERSION, 0), (_Words * 2)()
    if libc.capget(ctypes.byref(header), words) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for field in ("effective", "permitted", "inheritable"):
        kept = getattr(words[0], field) & ~(1 << _OVERRIDE | 1 << _READ_SEARCH)
        setattr(words[0], field, kept)
    if libc.capset(ctypes.byref(header), words) != 0:
        raise OSError(ctypes.get_errno(), "capset")
