"""The tests of faults: all of them are slow, and use what the tests of the app and engine use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
for folder in ("app", "dait", "dait/study"):
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder as slow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(3600))
