"""Memory that is freed and taken again, counted in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

TAKE_AGAIN = """
import resource, sys
from dait.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("cannot")
def take():
    bytearray(48 * 2**20)
take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_asked_for(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", TAKE_AGAIN, how], capture_output=True, text=True)
    if "cannot" in done.stderr:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_large_blocks_are_not_given_back_and_asked_for_again() -> None:
    assert _pages_asked_for("keep") < _pages_asked_for("give") / 10
