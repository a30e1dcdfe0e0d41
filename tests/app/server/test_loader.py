"""No handler meets a library that another thread has half imported."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.config import AppConfig
from app.page import build_page
from app.queue.training_queue import TrainingQueue
from app.server import loader
from app.server.loader import hold_back, light

MANY_AT_ONCE = """
import sys, threading
from app.server.loader import engine

assert "torch" not in sys.modules and "scipy" not in sys.modules
failed = []
def first_use():
    try:
        engine()
        from scipy.stats import binomtest
        from sklearn.metrics import silhouette_score
        from dait.evidence.comparison import Comparison
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=first_use) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(repr(failed) if failed else 0)
"""


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of what is imported; nothing is there yet."""
    done: list[str] = []

    def import_module(name: str) -> Any:
        done.append(name)
        return SimpleNamespace(Engine=object)

    monkeypatch.setattr(loader, "_engine", None)
    monkeypatch.setattr(loader.importlib, "import_module", import_module)
    yield done


@pytest.mark.slow
def test_sixteen_threads_that_need_it_at_once_find_it_whole() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MANY_AT_ONCE], capture_output=True, text=True, timeout=280
    )
    assert ended.returncode == 0, ended.stderr


def test_a_handler_waits_for_the_engine_unless_it_is_light(imports: list[str]) -> None:
    @light
    def at_once() -> str:
        return "light"

    def heavy(value: str) -> str:
        return value * 2

    def steps(value: str) -> Iterator[str]:
        yield from value

    with gr.Blocks() as page:
        box = gr.Textbox()
        page.load(at_once, None, box)
        box.change(heavy, box, box)
        box.submit(steps, box, box)
    hold_back(page)
    functions: list[Any] = [block_function.fn for block_function in page.fns.values()]
    assert functions[0]() == "light"
    assert imports == []
    assert functions[1]("a") == "aa"
    assert imports == ["app.engine"]
    assert list(functions[2]("ab")) == ["a", "b"]
    assert imports == ["app.engine"]  # once


def test_a_failed_import_is_tried_again_and_not_taken_for_done(
    imports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(loader.importlib, "import_module", broken)
    for _ in range(2):
        with pytest.raises(ImportError):
            loader.engine()


def test_all_handlers_of_the_page_are_held_back_but_a_few(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    handlers = [block_function.fn for block_function in page.fns.values()]
    hold_back(page)
    held = [block_function.fn for block_function in page.fns.values()]
    same = [before for before, after in zip(handlers, held, strict=True) if before is after]
    names = {handler.__name__ for handler in same if handler is not None}
    first_view = {"answers", "apply_link", "features", "fill_gallery", "fold_figures", "overview"}
    choices = {"list_for_link", "refresh_list", "follow", "look", "<lambda>"}  # of a study
    address = {"link", "requested_tab", "restore"}
    assert names == first_view | choices | address


def test_they_give_way_to_the_first_view(
    imports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_may_import", threading.Event())
    answered = threading.Event()
    with gr.Blocks() as page:
        page.load(answered.set, None, None)
    loader.hold_back(page)
    loader.wait_for_first_view()
    loader.load_in_background()
    (handler,) = [block_function.fn for block_function in page.fns.values()]
    assert handler is not None
    waiting = threading.Thread(target=handler)
    waiting.start()
    assert imports == [] and not answered.is_set()
    loader.first_view_is_out()
    waiting.join()
    assert answered.is_set() and imports == ["app.engine"]


@pytest.mark.parametrize(
    ("query", "begins"), [({}, False), ({"tab": "compare"}, False), ({"tab": "train"}, True)]
)
def test_a_link_to_another_tab_has_no_first_view_to_wait_for(
    monkeypatch: pytest.MonkeyPatch, empty_config: AppConfig, query: dict[str, str], begins: bool
) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    monkeypatch.setattr(loader, "_may_import", threading.Event())
    (requested,) = [fn.fn for fn in page.fns.values() if "requested_tab" in str(fn.fn)]
    assert requested is not None
    requested(SimpleNamespace(query_params=query))
    assert loader._may_import.is_set() is begins


def test_nobody_needs_to_come_for_them(imports: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_may_import", threading.Event())
    monkeypatch.setattr(loader, "PATIENCE_SECONDS", 0.01)
    loader.wait_for_first_view()
    loader.load_in_background()
    deadline = time.monotonic() + 60
    while loader._engine is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert imports == ["app.engine"]
