"""The page as it is built: light, private, with nothing of a machine in it."""

from __future__ import annotations

import inspect
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app import launch
from app.api.endpoints import NAMES
from app.config import PROJECT, SPACE_LIMITS, AppConfig, read_config
from app.page import build_page
from app.queue.training_queue import TrainingQueue
from app.ui.plot import panel_columns, plotly_script
from dait.errors import UserError

HEAVY = ("torch", "timm", "pytorch_grad_cam", "open_clip", "sklearn", "matplotlib")


@pytest.mark.slow
def test_building_the_page_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from app.queue.training_queue import TrainingQueue\n"
        "from app.page import build_page\n"
        "from app.config import AppConfig\n"
        "from app.ui.theme import studio_css, studio_theme\n"
        "from dait.runs.folder import RunsRoot\n"
        f"config = AppConfig(RunsRoot({str(tmp_path)!r}))\n"
        "build_page(config, TrainingQueue(config.runs))\n"
        "studio_css(), studio_theme()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_exactly_these_are_public(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    handlers = page.config["dependencies"]
    public = [handler for handler in handlers if handler["api_visibility"] == "public"]
    assert sorted(handler["api_name"] for handler in public) == sorted(NAMES)
    assert {handler["api_visibility"] for handler in handlers} == {"public", "private"}
    told = page.get_api_info()["named_endpoints"]
    assert sorted(told) == sorted(f"/{name}" for name in NAMES)
    assert all(endpoint["description"] for endpoint in told.values())


def test_the_page_comes_with_the_first_table(config: AppConfig) -> None:
    page = build_page(config, TrainingQueue(config.runs))
    (table,) = [block for block in page.blocks.values() if block.elem_id == "table"]
    assert isinstance(table, gr.HTML) and "<table" in str(table.value)


def test_polls_wait_for_nobody(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    ticks = [fn for fn in page.fns.values() if fn.targets and fn.targets[0][1] == "tick"]
    assert ticks
    for tick in ticks:
        assert tick.concurrency_limit is None and tick.show_progress == "hidden"
    # They run only while a tab is open, or something is read, measured or written.
    timers = [block for block in page.blocks.values() if isinstance(block, gr.Timer)]
    assert timers and not any(timer.active for timer in timers)


def test_only_what_is_seen_to_wait_shows_progress(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    for handler in page.config["dependencies"]:
        shown = [page.blocks[number] for number in handler["show_progress_on"]]
        assert all(isinstance(block, gr.HTML) for block in shown)
        assert not (shown and handler["show_progress"] == "hidden")


def test_no_choice_is_dropped_while_an_earlier_one_is_answered(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    for handler in page.fns.values():
        if not handler.fn or handler.api_visibility == "public":
            continue
        events = {event for _, event in handler.targets}
        name = getattr(handler.fn, "__qualname__", str(handler.fn))
        if any("EventData" in str(hint) for hint in _hints(handler.fn)):
            # One that is put off loses its event's data.
            assert handler.trigger_mode == "multiple", name
        elif handler.trigger_after is not None or events & {"input", "change", "release"}:
            assert handler.trigger_mode == "always_last", name


def _hints(function: Any) -> list[Any]:
    return list(getattr(inspect.unwrap(function), "__annotations__", {}).values())


def test_the_plotting_library_is_the_installed_one() -> None:
    assert plotly_script().is_file()


@pytest.mark.parametrize(
    ("width", "columns"), [(390, 1), (800, 2), (1280, 3), (None, 3), ("wide", 3)]
)
def test_panels_stack_on_narrow_windows(width: object, columns: int) -> None:
    assert panel_columns(width) == columns


def test_a_space_is_served_to_everybody_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "runs"))
    at_home = read_config({})
    assert (at_home.host, at_home.port, at_home.limits.note) == ("127.0.0.1", None, "")
    assert (at_home.at_once, read_config({"DAIT_JOBS": "3"}).at_once) == (1, 3)
    space = read_config({"SPACE_ID": "someone/studio", "GRADIO_SERVER_PORT": "7861"})
    assert (space.host, space.port, space.limits) == ("0.0.0.0", 7861, SPACE_LIMITS)


def test_data_folders_are_those_below_the_named_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "runs"))
    for name in ("fruit", "birds", ".hidden"):
        (tmp_path / "data" / name).mkdir(parents=True)
    config = read_config({"DAIT_DATA": str(tmp_path / "data")})
    assert list(config.data) == ["birds", "fruit"]


@pytest.mark.parametrize(
    "environment",
    [
        {"GRADIO_SERVER_PORT": "door"},
        {"DAIT_DATA": "/nonexistent/folder"},
        {"DAIT_JOBS": "0"},
        {"DAIT_JOBS": "many"},
        {"DAIT_JOBS": "-1"},
        {"GRADIO_SERVER_PORT": "0"},
        {"GRADIO_SERVER_PORT": "9" * 5000},
        {"DAIT_DATA": "~nobody-of-this-name/photos"},
        {"DAIT_DATA": __file__},
        {"DAIT_RUNS": f"{__file__}/runs"},
        {"DAIT_CACHE": f"{__file__}/cache"},
        {"DAIT_DOWNLOADS": "/dev/null/data"},
        {"DAIT_DOWNLOADS": "~nobody-of-this-name/data"},
    ],
)
def test_a_setting_that_will_not_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "runs"))
    with pytest.raises(UserError, match=next(iter(environment))):
        read_config(environment)


def started_with(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """``python app.py`` that is expected to end by itself."""
    environment = {**os.environ, "DAIT_RUNS": str(tmp_path / "runs"), **variables}
    command = [sys.executable, str(PROJECT / "app.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRADIO_SERVER_PORT", "auto"),
        ("GRADIO_SERVER_NAME", "no.such.host.invalid"),
        pytest.param("GRADIO_NUM_PORTS", "some", marks=pytest.mark.slow),
        pytest.param("HF_HUB_DOWNLOAD_TIMEOUT", "soon", marks=pytest.mark.slow),
    ],
)
def test_a_variable_that_gradio_reads_first_ends_the_start_with_a_sentence(
    tmp_path: Path, variable: str, value: str
) -> None:
    ended = started_with(tmp_path, **{variable: value})
    assert ended.returncode == 2
    assert re.search(rf"^DAIT Studio cannot start: .*{variable}.*", ended.stderr, re.MULTILINE)
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_gradio_is_imported_without_a_look_at_its_type_stubs(tmp_path: Path) -> None:
    code = (
        "import ast, inspect, json\n"
        "from app.launch import start\n"
        "known, parsed, find = inspect.getfile, [], ast.get_source_segment\n"
        "ast.get_source_segment = lambda text, node: parsed.append(node.name) or find(text, node)\n"
        "start(block=False)\n"
        "print(json.dumps([parsed, inspect.getfile is known]))"
    )
    environment = {**os.environ, "DAIT_RUNS": str(tmp_path / "runs"), "GRADIO_SERVER_PORT": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    parsed, restored = json.loads(done.stdout.strip().splitlines()[-1])
    assert restored and not {"Textbox", "HTML", "Dropdown"} & set(parsed)


def test_a_port_in_use_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = started_with(tmp_path, GRADIO_SERVER_PORT=port)
    assert ended.returncode == 2
    assert f"Port {port} is in use" in ended.stderr and "Traceback" not in ended.stderr


def test_windows_is_told_where_the_app_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        launch.main()
    assert ended.value.code == 2 and "WSL 2" in capsys.readouterr().err


def test_a_space_can_be_duplicated(empty_config: AppConfig) -> None:
    assert read_config({"SPACE_ID": "somebody/birds"}).space == "somebody/birds"
    assert read_config({"SPACE_ID": "<b>"}).space == read_config({}).space == ""
    space = replace(empty_config, limits=SPACE_LIMITS, space="somebody/birds")
    links = [
        [str(block.link) for block in page.blocks.values() if block.elem_id == "duplicate"]
        for page in (build_page(c, TrainingQueue(c.runs)) for c in (space, empty_config))
    ]
    assert links == [["https://huggingface.co/spaces/somebody/birds?duplicate=true"], []]


def test_no_tab_holds_a_connection_by_itself(empty_config: AppConfig) -> None:
    page = build_page(empty_config, TrainingQueue(empty_config.runs))
    assert page.config["connect_heartbeat"] is False


def test_what_a_space_limits_is_not_quoted_from_the_recipe(empty_config: AppConfig) -> None:
    for limits, words in ((SPACE_LIMITS, "at most 5"), (empty_config.limits, "<code>")):
        config = replace(empty_config, limits=limits)
        page = build_page(config, TrainingQueue(config.runs))
        (expected,) = [block for block in page.blocks.values() if block.elem_id == "expected"]
        assert isinstance(expected, gr.HTML)
        assert words in str(expected.value) and "`" not in str(expected.value)
