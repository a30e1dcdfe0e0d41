"""Folders that are damaged in any way cost themselves alone: lists, queue, Compare, Train go on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainers import DONE, ORDER, jobs_of, wait_for

from app.background import ERRORS
from app.catalogue.teacher_figures import others_html
from app.comparisons.cache import Comparisons
from app.config import PROJECT, AppConfig
from app.pipeline.facts import pipeline_of_study
from app.queue.runs_panel import PageState, RunsPanel
from app.queue.trainer import write_exit_state
from app.queue.training_queue import TrainingQueue
from app.studies.entries import finished_studies, own_studies
from app.studies.order import Order, order_of
from app.studies.ticket import write_ticket
from app.train.again import form_or_recipe_for
from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.evaluation.results.localisation import read_localisation
from dait.evaluation.results.probes import read_probe_results
from dait.runs.folder import RunsRoot, StudyFolder

STUDY = "tiny-20260101-120000-0a1b2c3d"
BAD = "bad-20260101-120000-0a1b2c3d"
DEMO = PROJECT / "assets" / "runs" / "demo"
FILES = (
    "study.json",
    "status.json",
    "ticket.json",
    "teacher.npz",
    "knowledge.json",
    "localisation.json",
    "log.txt",
    "output.txt",
    "recipe.yaml",
    "dait-s0/status.json",
    "dait-s0/result.json",
    "dait-s0/metrics.jsonl",
    "dait-s0/config.yaml",
    "dait-s0/predictions.npz",
    "direct-s0/student.safetensors",
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**30, -1, "queued", "training", "finished", "dait", "dait-s0", "../.."]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def changed_json(draw: st.DrawFn, content: bytes) -> bytes:
    """The same JSON with one of its values, at any depth, gone or another one."""
    whole = [json.loads(content.split(b"\n")[0] if content[:1] != b"{" else content)]
    here: Any = whole
    key: Any = 0
    while isinstance(here[key], (dict, list)) and here[key] and draw(st.booleans()):
        here = here[key]
        key = draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
    if isinstance(here, dict) and draw(st.booleans()):
        del here[key]
    else:
        here[key] = draw(values)
    return json.dumps(whole[0]).encode() + b"\n"


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, Callable[[Path], None]]:
    """A file of the study, and what happens to it."""
    name = draw(st.sampled_from(FILES))
    kind = draw(
        st.sampled_from(["json"] * 6 + ["cut", "bytes", "deep", "long", "gone", "folder", "pipe"])
    )
    share, noise = draw(st.floats(0, 0.99)), draw(st.binary(max_size=40))
    seed = draw(st.data())

    def damage(file: Path) -> None:
        content = file.read_bytes() if file.is_file() else b""
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        if kind == "json" and content[:1] == b"{" and file.suffix == ".json":
            file.write_bytes(seed.draw(changed_json(content)))
        elif kind == "cut":
            file.write_bytes(content[: int(share * len(content))])
        elif kind in ("bytes", "json"):
            file.write_bytes(noise)
        elif kind == "deep":
            file.write_bytes(b'{"a": [' * 3000)
        elif kind == "long":
            file.write_bytes(b'{"pid": ' + b"7" * 5000 + b', "seeds": [' + b"7" * 5000 + b"]}")
        elif kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file)

    return name, damage


def opened(config: AppConfig, panel: RunsPanel, study_id: str) -> None:
    """What the page does with one study, of which it may say a ``UserError``."""
    study = StudyFolder(config.runs.resolve(study_id))
    comparisons = Comparisons(config)
    for attempt in (
        lambda: form_or_recipe_for(config, order_of(study), study_id),
        lambda: pipeline_of_study(study),
        lambda: panel.queue.resume(study_id),
        lambda: comparisons.get(study_id).comparison.table(),
        lambda: comparisons.get(study_id, 1).comparison.similarity(),
        lambda: read_probe_results(study.path / "knowledge.json"),
        lambda: read_localisation(study.path),
        lambda: write_exit_state(study, 1),
    ):
        try:
            attempt()
        except UserError as error:
            str(error).encode()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Path:
    """A runs folder with one healthy study, and the study that is damaged."""
    root = tmp_path_factory.mktemp("healthy")
    shutil.copytree(tiny_study, root / STUDY)
    bad = StudyFolder(root / BAD)
    shutil.copytree(tiny_study, bad.path)
    (bad.path / "recipe.yaml").write_text(ORDER.recipe.to_yaml())
    write_ticket(bad, name="The one that breaks")
    for name, file in (("knowledge.json", "knowledge.json"), ("localisation.json",) * 2):
        shutil.copyfile(DEMO / file, bad.path / name)
    (bad.path / "log.txt").write_text("a word\n")
    (bad.path / "output.txt").write_text("another\n")
    return root


@pytest.mark.slow
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(what=damages(), state=st.sampled_from(["finished", "queued", "stopped", "training"]))
def test_a_damaged_study_costs_itself_alone(
    runs: Path, what: tuple[str, Callable[[Path], None]], state: str
) -> None:
    name, damage = what
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        shutil.copytree(runs, root)
        bad = StudyFolder(root / BAD)
        bad.write_status(state=state, stage_count=2, stage="student", pid=1, started=1.0)
        if state == "queued":
            write_ticket(bad, waiting_since=5.0)
        damage(bad.path / name)
        config = AppConfig(runs=RunsRoot(root), shipped=RunsRoot(Path(folder) / "none"), paths=True)
        panel = RunsPanel(config, jobs_of(root, "", at_once=0))
        with gr.Blocks():
            panel.lay_out_card()
            panel.lay_out_list()
        visitor = PageState()
        for study_id in (BAD, STUDY):
            visitor.study = study_id
            look = panel.poll(visitor, 1280)
            assert STUDY in look.get(panel.list, STUDY)
        assert STUDY in {entry.id for entry in own_studies(config)}
        assert STUDY in {entry.id for entry in finished_studies(config)}
        panel.queue.start_next()
        assert [study.path.name for study in panel.queue.working()] in ([], [BAD])
        assert isinstance(others_html(config, load_recipe("demo").model_dump()), str)
        opened(config, panel, BAD)
        assert Comparisons(config).get(STUDY).comparison.table()


@pytest.mark.slow
def test_the_queue_goes_on_after_anything_and_the_page_says_so(tmp_path: Path) -> None:
    runs = RunsRoot(tmp_path / "runs")

    def command(folder: Path, order: Order) -> list[str]:
        if folder.name == "first":
            raise RuntimeError("a thing that nobody thought of")
        return [sys.executable, "-c", DONE, str(folder)]

    def wait_in_line(name: str, since: float) -> StudyFolder:
        study = StudyFolder(runs.path / name)
        study.write_status(state="queued", arms=["dait"], seeds=[0])
        (study.path / "recipe.yaml").write_text(ORDER.recipe.to_yaml())
        write_ticket(study, waiting_since=since)
        return study

    queue = TrainingQueue(runs, command=command)
    first = wait_in_line("first", 1.0)
    queue.keep_going()
    wait_for(lambda: any("nobody thought of" in said for said in ERRORS.sentences()))
    second = wait_in_line("second", 2.0)
    wait_for(lambda: second.state() == "finished")
    panel = RunsPanel(AppConfig(runs=runs, shipped=RunsRoot(tmp_path / "none")), queue)
    with gr.Blocks():
        panel.lay_out_card()
        panel.lay_out_list()
    assert "nobody thought of" in panel.poll(PageState(), 1280)[panel.errors]
    shutil.rmtree(first.path)
    with ERRORS.noted("Starting first"):
        pass
