from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dait.cli import main
from dait.config.recipe import Recipe

Command = Callable[..., int]


@pytest.fixture
def command() -> Iterator[Command]:
    """``python -m dait`` in this process; the signal handler that it sets is taken back."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *words: main([str(word) for word in words])
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def recipe_file(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recipe as a file, as a user has it."""
    path = tmp_path_factory.mktemp("recipes") / "small.yaml"
    path.write_text(small_recipe.to_yaml())
    return path
