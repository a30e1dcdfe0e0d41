"""Commands that are killed on the way, and a recipe with time for that."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apart import start
from cut_off import limited

from dait.cli import main
from dait.config.recipe import Recipe

Kill = Callable[..., int]
Tell = Callable[..., str]


@pytest.fixture
def killed(tmp_path: Path) -> Kill:
    """Starts ``python -m dait``, sends SIGKILL as soon as ``when()`` holds, gives its number."""

    def begin(when: Callable[[], bool], *arguments: object) -> int:
        begun = start(tmp_path, main, [str(word) for word in arguments])
        process = begun.process
        try:
            deadline = time.monotonic() + 250
            while not when():
                assert process.is_alive(), begun.said
                assert time.monotonic() < deadline
                time.sleep(0.002)
            process.kill()
            assert begun.ended() == -signal.SIGKILL
        finally:
            process.kill()
            process.join()
        assert process.pid is not None
        return process.pid

    return begin


@pytest.fixture
def on_a_full_disk(tmp_path: Path) -> Tell:
    """``python -m dait`` that can write no file larger than so many bytes: what it complains."""

    def run(largest: int, *arguments: object) -> str:
        ended = start(tmp_path, limited, [str(word) for word in arguments], largest)
        assert ended.ended() == 2, ended.said
        return ended.said

    return run


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
