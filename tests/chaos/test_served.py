"""A served app under attack: raw requests, hostile uploads, many visitors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from amount import FULL, amount, chance
from browsing import served, watched_tabs
from hostile_archives import hostile_archives
from hostile_images import good_image, hostile_images
from markup import HARM, MARK, study_of_markup
from PIL import Image
from served_app import EVENTS, HOSTILE, Asked, secrets_of
from visitor import Visitor, file_named

from app.config import PROJECT
from app.studies.ticket import write_ticket
from benchmarks.load import measure_load
from dait.bundle.web.build import web_page
from dait.bundle.web.runtime import Runtime
from dait.evidence.report.build import make_report
from dait.runs.folder import StudyFolder

STUDY, BUSY, MARKED = (f"{name}-20260101-120000-0a1b2c3d" for name in ("tiny", "busy", "marked"))
AT_ONCE = 100
"""Photographs that are predicted by one request."""


@dataclass
class Served:
    """The app over a runs folder with one finished study, and one that seems to be at work."""

    address: str
    folder: Path

    def log(self) -> str:
        return (self.folder / "app.txt").read_text(errors="replace")

    def process(self) -> psutil.Process:
        """The server: the only one of this address."""
        port = int(self.address.rpartition(":")[2])
        found = (
            one for one in psutil.Process().children(recursive=True)
            if any(c.laddr.port == port and c.status == "LISTEN" for c in one.net_connections())
        )  # fmt: skip
        return next(found)

    def mib(self) -> float:
        return self.process().memory_info().rss / 2**20

    def require_calm(self) -> None:
        """It still answers, and its log is free of tracebacks."""
        answered, found = Visitor(self.address).calls("status", STUDY)
        assert answered and found[0]["state"] == "finished", found
        assert "Traceback" not in self.log(), self.log()[-4000:]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    runs = folder / "runs"
    shutil.copytree(tiny_study, runs / STUDY)
    study_of_markup(tiny_study, runs / MARKED)
    # Something is at work: what a hostile request should manage to start only waits.
    words = [sys.executable, "-c", "import time; time.sleep(3000)"]
    process = subprocess.Popen(words, start_new_session=True)
    busy, now = StudyFolder(runs / BUSY), time.time() + 1
    busy.write_status(state="training", arms=["direct"], seeds=[0], pid=process.pid, started=now)
    write_ticket(busy, name="at work")
    try:
        with served(runs, GRADIO_TEMP_DIR=str(folder / "uploads")) as address:
            yield Served(address, folder)
    finally:
        process.kill()
        process.wait()


def test_nothing_that_is_posted_raw_does_harm(app: Served) -> None:
    rng, asked = chance("endpoints"), Asked(Visitor(app.address))
    forbidden = secrets_of([app.folder / "runs", PROJECT, Path(sys.prefix), Path.home()])
    handlers = asked.handlers()
    values = list(HOSTILE.values())
    for handler in handlers:
        count = len(handler["inputs"])
        chosen = rng.sample(values, amount(2, 8))
        bodies = [[value] * count for value in chosen] if count else [[]]
        bodies += [[], ["x"] * (count + 3)]
        for text in asked.all_of(handler, bodies, rng.choice(EVENTS)):
            told = [word for word in forbidden if word in text]
            if told:
                asked.faults.append(f"{handler['id']} {told}: {text[:600]}")
    for path, body in (
        ("/gradio_api/queue/join", "no object"),
        ("/gradio_api/queue/join", {"data": "no list", "fn_index": 0, "session_hash": "a"}),
        ("/gradio_api/queue/join", {"data": [], "fn_index": "../x", "session_hash": ["a"]}),
        ("/gradio_api/call/start", {"data": {}}),
        ("/gradio_api/call/nothing", {"data": []}),
        ("/gradio_api/run/predict", {"data": []}),
        ("/gradio_api/component_server", {"component_id": -1, "fn_name": "x", "data": 1}),
        ("/gradio_api/reset", {"event_id": "../x"}),
        ("/gradio_api/cancel", {"session_hash": "a", "fn_index": 1, "event_id": {}}),
    ):
        answer = asked.post(path, body)
        if answer.status_code >= 500 or any(word in answer.text for word in forbidden):
            asked.faults.append(f"{path} {answer.status_code} {answer.text[:300]}")
    print(json.dumps({"handlers": len(handlers), "answered": asked.answered}))
    assert asked.faults == []
    assert asked.answered > len(handlers)
    app.require_calm()
    found = {path.name for path in (app.folder / "runs").iterdir() if path.name[0] != "."}
    assert found <= {STUDY, BUSY, MARKED, "data"}


def test_no_address_gives_a_file_that_was_not_given_out(app: Served) -> None:
    one, other = Visitor(app.address), Visitor(app.address)
    photo = app.folder / "mine.jpg"
    photo.write_bytes(good_image())
    mine = one.uploads(photo)["path"]
    # It is kept under a name that only who sent it was told: 64 hexadecimal digits of a secret.
    assert re.fullmatch(r"[0-9a-f]{64}", Path(mine).parent.name)
    folder = Path(mine).parents[1]
    for path in (
        folder, f"{folder}/", Path(mine).parent, f"{folder}/{'0' * 64}/mine.jpg",
        "/etc/passwd", app.folder / "runs" / STUDY / "study.json", app.folder / "app.txt",
        PROJECT / "app.py", f"{mine}/../../../runs/{STUDY}/study.json", f"{folder}/../app.txt",
        "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "//etc/passwd", ".", "~/.bashrc",
    ):  # fmt: skip
        for way in ("file=", "file/", "download="):
            answer = other.http.get(f"/gradio_api/{way}{path}")
            assert answer.status_code in (307, 400, 403, 404), (path, way, answer.status_code)
            assert "root:x" not in answer.text
    # Nobody is told of it: neither lists, nor pages, nor other sessions.
    said = [other.http.get(path).text for path in ("/", "/config", "/gradio_api/info")]
    said += [json.dumps(other.calls("status", "")), other.presses("studies", "click", {"study": 1})]
    said.append(other.http.get("/gradio_api/upload_progress?upload_id=1").text[:2000])
    assert not any("mine.jpg" in text or Path(mine).parent.name in text for text in said)
    for value in ("/etc/passwd", str(app.folder / "runs" / STUDY / "study.json")):
        answered, found = other.calls("predict", STUDY, [file_named(value)])
        assert not answered and value not in str(found)
    app.require_calm()


def test_hostile_uploads_cost_a_sentence_each(app: Served) -> None:
    visitor, rng = Visitor(app.address), chance("served images")
    visitor.calls("predict", STUDY, [])  # the engine is loaded, before memory is measured
    (app.folder / "good.jpg").write_bytes(good_image())
    good = visitor.uploads(app.folder / "good.jpg")
    answered, _ = visitor.calls("predict", STUDY, [good])
    assert answered
    before, read, refused = app.mib(), 0, 0
    sent: list[dict[str, Any]] = []
    count = amount(60, 1000)
    for number, (name, data) in enumerate(hostile_images(rng, count), start=1):
        file = app.folder / name
        file.write_bytes(data)
        sent.append(visitor.uploads(file))
        file.unlink()
        if len(sent) == AT_ONCE or number == count:
            answered, found = visitor.calls("predict", STUDY, [*sent, good])
            assert answered, found
            assert any(image["image"] == "good.jpg" for image in found["images"])
            assert len(found["images"]) + len(found["problems"]) == len(sent) + 1
            read, refused = read + len(found["images"]) - 1, refused + len(found["problems"])
            assert not any("/" in problem.split(" ")[0] for problem in found["problems"])
            sent = []
    grown = app.mib() - before
    print(json.dumps({"uploads": count, "read": read, "refused": refused, "MiB more": grown}))
    assert read + refused == count and grown < 1500
    app.require_calm()


def test_hostile_archives_cost_a_sentence_each(app: Served) -> None:
    visitor, rng = Visitor(app.address), chance("served archives")
    outside = {path.name for path in app.folder.iterdir()}
    before = app.mib()
    for name, data in hostile_archives(rng, amount(6, 40)):
        file = app.folder / name
        file.write_bytes(data)
        sent = {"data_upload": visitor.uploads(file)}
        file.unlink()
        said = visitor.presses("data-upload", "upload", **sent)
        assert "Traceback" not in said and str(app.folder / "runs") not in said
        for kept in (app.folder / "runs" / "data").glob("*"):
            visitor.presses("read-data", "click", source=f"upload:{kept.name}")
            kept.unlink()
    assert {path.name for path in app.folder.iterdir()} == outside
    assert not list(app.folder.rglob("evil*")) and not list(app.folder.rglob("*.part"))
    print(json.dumps({"MiB more": app.mib() - before}))
    app.require_calm()


@pytest.mark.browser
def test_names_of_markup_are_only_names(app: Served, browser: Any, tmp_path: Path) -> None:
    photo = tmp_path / f"photo {MARK.replace('/', '')}.png"
    Image.new("RGB", (60, 40), (12, 200, 34)).save(photo)
    with watched_tabs(browser, app.address) as open_tab:
        page = open_tab(f"?study={MARKED}")
        page.locator("#table tbody tr").nth(2).wait_for()
        page.locator("#row .ds-cell").first.wait_for()
        page.locator("#upload input[type=file]").set_input_files(photo)
        page.locator("#row", has_text="Your photograph").wait_for()
        assert "onerror" in page.locator("#opening").inner_text()
        assert page.evaluate(HARM) == []
        for tab in ("Paper", "Predict", "Explore", "Data", "Train"):
            page.get_by_role("tab", name=tab, exact=True).click()
            if tab == "Predict":
                page.locator("#photos input[type=file]").set_input_files(photo)
                page.locator("#predicted", has_text="onerror").wait_for()
            if tab == "Train":
                page.locator("#studies", has_text="onerror").wait_for()
            page.wait_for_load_state("networkidle")
            assert page.evaluate(HARM) == [], tab
    marked = app.folder / "runs" / MARKED
    (tmp_path / "report.html").write_text(make_report([marked], images=1).html)
    labels = [info["name"] for info in StudyFolder(marked).description()["classes"]]
    how = {"size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}
    html = web_page(b"", labels, how, None, Runtime(b"", b""), title=MARK, top1=0.3)
    (tmp_path / "index.html").write_text(html)
    context = browser.new_context(offline=True)
    for name in ("report.html", "index.html"):
        page = context.new_page()
        page.goto((tmp_path / name).as_uri())
        page.wait_for_timeout(1000)
        assert page.evaluate(HARM) == [], name
        assert "onerror" in page.locator("body").inner_text() + page.title(), name
    context.close()


@pytest.mark.skipif(not FULL, reason="another server, for figures: DAIT_CHAOS=full")
def test_many_visitors_at_once_are_all_answered() -> None:
    told: dict[str, float] = {}
    clients = 16
    found = measure_load(clients, 60, told.__setitem__, looking=clients)
    print(json.dumps(found, indent=1))
    assert found["predict_count"] >= clients and found["table_count"] > 0
    assert found["memory_last_mib"] < found["memory_first_mib"] + 300
