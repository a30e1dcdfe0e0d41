"""What a visitor waits for: the server, the first view, another view, a row of heatmaps."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import measure_load
from benchmarks.output import add_json_option, print_end, print_figure, require_positive
from benchmarks.serving import PROJECT, Served, draw_photo, serve
from dait.errors import UserError

HELLO = """\
import gradio as gr

gr.Interface(lambda name: f"Hello, {name}!", "text", "text").launch(quiet=True)
"""
"""The least that Gradio serves: what any app of it has to wait for."""

BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
NO_BROWSER = (
    "This benchmark looks at the page through a real browser and finds none. Install Playwright "
    "(pip install -r requirements-dev.txt) and Chromium (apt install chromium, or "
    "python -m playwright install chromium)."
)
PATIENCE_MS = 180_000
MOST_CLIENTS, LONGEST_SECONDS = 128, 600
"""A load test stays one: of this machine alone, and for minutes."""

_VIEW_CHANGE = """
button => new Promise((resolve, reject) => {
  const row = document.querySelector('#row');
  const name = () => row.querySelector('p')?.innerText;
  const before = name(), start = performance.now();
  const watching = new MutationObserver(() => {
    if (!name() || name() === before || !row.querySelector('.ds-cell')) return;
    watching.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  });
  watching.observe(row, { childList: true, subtree: true, characterData: true });
  button.click();
  setTimeout(() => reject(new Error('the row did not change')), 30000);
})
"""
"""Milliseconds from a press on a sample image to the frame with its row; in the page itself."""


def measure_app(
    starts: int = 5, changes: int = 9, uploads: int = 5, tell: Callable[[str, float], None] = print
) -> dict[str, Any]:
    """Medians, each given to ``tell`` as soon as it is known.

    server_up_ratio: seconds from ``python app.py`` to the first answer, over those of a bare Gradio
    page, in pairs that take turns; first_paint_s: from that answer until a browser with an empty
    cache shows the table of the shipped comparison; cached_view_ms: from a press on a sample image
    to its row of heatmaps, computed before; heatmap_row_s: from giving a photograph of
    ``PHOTO_PIXELS`` to its row under every network. Also ``server_up_s``, ``bare_up_s``, how many
    ``networks`` are in the row, the ``size`` of their images and the machine's ``load``.

    Raises ``UserError`` without a browser, and where the app does not start.
    """
    figures: dict[str, Any] = {}

    def found(name: str, value: float) -> None:
        figures[name] = value
        tell(name, value)

    with _browser() as browser, tempfile.TemporaryDirectory() as root:
        pairs, paints = _starts(browser, Path(root), starts)
        found("server_up_ratio", median(ours / bare for ours, bare in pairs))
        found("first_paint_s", median(paints))
        folder = Path(root)
        with serve(PROJECT / "app.py", folder) as served:
            page = _open(browser, served)
            page.wait_for_function(
                "document.querySelectorAll('#row .ds-cell').length > 1", timeout=PATIENCE_MS
            )
            page.wait_for_selector("#representation table", timeout=PATIENCE_MS)
            found("cached_view_ms", _cached_view(page, changes))
            found("heatmap_row_s", _heatmap_row(page, folder, uploads))
            figures["networks"] = page.locator("#row .ds-cell").count()
    return figures | {
        "server_up_s": median(ours for ours, _ in pairs),
        "bare_up_s": median(bare for _, bare in pairs),
        "starts": starts,
        "load": os.getloadavg()[0],
    }


def _starts(browser: Any, root: Path, starts: int) -> tuple[list[tuple[float, float]], list[float]]:
    """(the app's, the bare page's) seconds to answer in pairs, and the app's first paints."""
    bare = root / "hello.py"
    bare.write_text(HELLO)
    pairs, paints = [], []
    for turn in range(starts):
        folder = root / str(turn)
        folder.mkdir()
        with serve(PROJECT / "app.py", folder) as served:
            paints.append(_first_paint(browser, served))
            ours = served.seconds
        with serve(bare, folder) as served:
            pairs.append((ours, served.seconds))
    return pairs, paints


def _first_paint(browser: Any, served: Served) -> float:
    answered = time.perf_counter()
    page = _open(browser, served)
    seconds = time.perf_counter() - answered
    page.context.close()
    return seconds


def _open(browser: Any, served: Served) -> Any:
    """The page in a tab with a cache of its own, once the comparison's table can be seen."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(served.address, wait_until="commit")
    page.wait_for_selector("#table table", timeout=PATIENCE_MS)
    return page


def _cached_view(page: Any, changes: int) -> float:
    first, second = page.locator("#gallery button").all()[:2]
    for button in (second, first, second):  # whichever is shown: both are computed now
        if button.get_attribute("aria-pressed") != "true":
            button.evaluate(_VIEW_CHANGE)
    order = [first, second] * changes
    return median(float(button.evaluate(_VIEW_CHANGE)) for button in order[:changes])


def _heatmap_row(page: Any, folder: Path, uploads: int) -> float:
    """Every photograph is another one, so nothing of its row is known; the first is not counted."""
    times = []
    for turn in range(uploads + 1):
        photo = draw_photo(folder / f"{turn}.jpg", seed=turn)
        before = page.locator("#row img").first.get_attribute("src")
        start = time.perf_counter()
        page.locator("#upload input[type=file]").set_input_files(photo)
        page.wait_for_function(
            "before => { const row = document.querySelector('#row [data-kind=\"upload\"]');"
            " return row && document.querySelector('#row img').src !== before }",
            arg=before,
            timeout=PATIENCE_MS,
        )
        times.append(time.perf_counter() - start)
        page.locator("#upload").get_by_label("Clear").or_(
            page.locator("#upload").get_by_label("Remove this file")
        ).first.click()
        page.wait_for_selector("#upload input[type=file]", state="attached")
    return median(times[1:])


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError(NO_BROWSER) from error
    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        executable = system or playwright.chromium.executable_path
        if not Path(executable).exists():
            raise UserError(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=executable, args=list(BROWSER_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench app`` and its options."""
    parser.description = (
        "Start the app and a bare Gradio page in turn, open the app in Chromium, and "
        "time what a visitor waits for. Needs Playwright and Chromium."
    )
    parser.add_argument(
        "--starts", type=int, default=5, metavar="N", help="of each server (default: %(default)s)"
    )
    parser.add_argument(
        "--clients",
        type=int,
        metavar="N",
        help="instead, without a browser: what N programs that ask /predict at once wait for",
    )
    parser.add_argument(
        "--seconds", type=float, default=60, metavar="S", help="of --clients (default: 60)"
    )
    parser.add_argument(
        "--looking",
        type=int,
        default=3,
        metavar="N",
        help="visitors beside --clients who only look (default: 3)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each figure as it is measured."""
    require_positive(args, "starts")
    if args.clients is not None and not 0 < args.clients <= MOST_CLIENTS:
        raise UserError(f"--clients is a number from 1 to {MOST_CLIENTS}, not {args.clients}.")
    if not 0 < args.seconds <= LONGEST_SECONDS:
        raise UserError(f"--seconds is at most {LONGEST_SECONDS}, not {args.seconds:g}.")
    if not 0 <= args.looking <= MOST_CLIENTS:
        raise UserError(f"--looking is a number from 0 to {MOST_CLIENTS}, not {args.looking}.")
    if args.clients is None:
        figures = measure_app(args.starts, tell=print_figure)
    else:
        figures = measure_load(args.clients, args.seconds, print_figure, args.looking)
    return print_end(figures, args.json, "rely on the ratio")
