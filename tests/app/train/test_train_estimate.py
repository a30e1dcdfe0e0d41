"""The process that estimates: its answer, its sentence, and its end when nobody wants it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from trainers import wait_for

from app.studies.order import Order
from app.train.estimate import PageEstimate, Probe, estimate_html
from dait.config.recipe import load_recipe
from dait.errors import UserError

ORDER = Order(load_recipe("tiny"), ("independent", "dait"), (0, 1))
FOUND = {
    "seconds": 4000.0,
    "arm_seconds": {"independent": 500.0, "dait": 1400.0},
    "teacher_seconds": 12.4,
    "study_bytes": 12_000_000,
    "working_bytes": 3_000_000,
    "cache_bytes": 40_000_000,
    "memory_bytes": 900_000_000,
    "device": "cpu",
    "threads": 1,
    "load": 0.5,
    "steps": 10,
    "batch": 16,
    "size": 48,
    "images": 1200,
}
SLEEPS = "import time; time.sleep(60)"
REFUSES = "import sys; sys.exit('dait: There is no such data.')"


@pytest.fixture
def estimate() -> Iterator[PageEstimate]:
    """What a page has asked, ended with the test."""
    page = PageEstimate()
    yield page
    probe = page.probe
    page.cancel()
    assert probe is None or probe.wait(30)


def begin(estimate: PageEstimate, code: str) -> Probe:
    estimate.probe = Probe(ORDER, lambda folder, order: [sys.executable, "-c", code, str(folder)])
    return estimate.probe


@pytest.mark.slow
def test_a_study_is_estimated_by_a_real_process(estimate: PageEstimate) -> None:
    estimate.probe = Probe(ORDER)
    assert estimate.probe.wait(170)
    assert estimate.probe.error == ""
    found = estimate.probe.figures
    assert found is not None
    assert list(found["arm_seconds"]) == ["independent", "dait"]
    assert (found["images"], found["size"], found["batch"]) == (48, 48, 16)
    page = estimate_html(found, estimate.probe.seeds)
    assert "for 2 seeds" in page and "An estimate" in page


def test_a_change_of_the_form_ends_the_process(estimate: PageEstimate) -> None:
    probe = begin(estimate, SLEEPS)
    child = psutil.Process(probe._process.pid)
    assert probe.running and estimate.cancel()
    assert probe.wait(30) and probe.figures is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert not estimate.cancel()


def test_what_cannot_be_estimated_is_said(estimate: PageEstimate) -> None:
    probe = begin(estimate, REFUSES)
    assert probe.wait(60)
    assert (probe.error, probe.figures) == ("There is no such data.", None)


def test_two_do_not_measure_one_another(estimate: PageEstimate) -> None:
    first = begin(estimate, SLEEPS)
    with pytest.raises(UserError, match="Another estimate"):
        Probe(ORDER)
    first.cancel()
    assert first.wait(30)
    other = begin(estimate, REFUSES)
    assert other.wait(60)


def test_a_rough_figure_comes_before_the_measured_one(estimate: PageEstimate) -> None:
    probe = begin(estimate, SLEEPS)
    wait_for(lambda: probe.rough is not None)
    assert probe.running and probe.rough is not None and probe.rough > 0


def test_its_folder_goes_with_it(estimate: PageEstimate) -> None:
    code = "import sys, time; print(sys.argv[1], file=sys.stderr, flush=True); time.sleep(60)"
    probe = begin(estimate, code)
    wait_for(lambda: probe.progress.startswith("/"))
    folder = Path(probe.progress)
    assert (folder / "recipe.yaml").read_text() == ORDER.recipe.to_yaml()
    estimate.cancel()
    assert probe.wait(30) and not folder.exists()


def test_the_answer_says_what_it_is_and_is_not() -> None:
    page = estimate_html(FOUND, 2, beside=1)
    for words in (
        "about an hour",
        "for 2 seeds",
        "DAIT 23 minutes",
        "900 MB",
        "48 px",
        "1 thread,",
    ):
        assert words in page
    assert "1 training ran meanwhile" in page and "t-SNE" in page
    assert "not on this machine yet" in estimate_html({**FOUND, "teacher_seconds": None}, 1)
