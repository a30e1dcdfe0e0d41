"""The benchmark of the page needs a real browser, and says so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.app import measure_app
from benchmarks.serving import serve
from dait.errors import UserError


def elsewhere(measure: Callable[..., dict[str, float]], **settings: Any) -> dict[str, float]:
    """In a thread of its own: another test's browser may have left its loop to this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(measure, **settings).result()


def test_no_browser_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"Install Playwright .* and Chromium"):
        elsewhere(measure_app, starts=1)
    assert not list(tmp_path.iterdir())


def test_a_server_that_ends_is_said(tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("raise SystemExit(3)")
    with pytest.raises(UserError, match=r"hello\.py` ended with code 3"), serve(script, tmp_path):
        pytest.fail("it does not answer")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_figure_is_measured() -> None:
    told: dict[str, float] = {}
    found = elsewhere(measure_app, starts=1, changes=2, uploads=1, tell=told.__setitem__)
    assert told.keys() == {"server_up_ratio", "first_paint_s", "cached_view_ms", "heatmap_row_s"}
    assert all(found[name] == value > 0 for name, value in told.items())
    assert found["networks"] == 6
