"""Commands that are killed on the way, and a recipe with time for that."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cut_off import PRELOADED, command

from dait.cli import main
from dait.recipe import Recipe

Kill = Callable[..., int]
Tell = Callable[..., str]


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Kill]:
    """Starts ``python -m dait``, sends SIGKILL as soon as ``when()`` holds, gives its number.

    Its process is forked off one that has imported everything and done nothing, for the time that
    this saves.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    says = tmp_path / "stderr"

    def start(when: Callable[[], bool], *arguments: object) -> int:
        process = context.Process(target=command, args=([str(word) for word in arguments], says))
        process.start()
        try:
            deadline = time.monotonic() + 250
            while not when():
                assert process.is_alive(), says.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.002)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            assert process.exitcode == -signal.SIGKILL
        finally:
            process.kill()
            process.join()
        return process.pid

    yield start


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Iterator[Tell]:
    """``python -m dait`` in this process: the last line that it prints, or what it complains."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> str:
        code = main([str(word) for word in arguments])
        said = capsys.readouterr()
        return said.out.splitlines()[-1] if code == 0 else said.err

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def longer_recipe(small_recipe: Recipe) -> Recipe:
    """The small recipe with enough steps to be killed between two of them."""
    return small_recipe.changed({"train.epochs": 6, "dait.stage1_epochs": 4})


@pytest.fixture(scope="session")
def longer_recipe_file(longer_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The longer recipe as a file."""
    path = tmp_path_factory.mktemp("recipes") / "longer.yaml"
    path.write_text(longer_recipe.to_yaml())
    return path


@pytest.fixture(scope="session")
def recipe_path(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recipe as a file."""
    path = tmp_path_factory.mktemp("recipes") / "small.yaml"
    path.write_text(small_recipe.to_yaml())
    return path
