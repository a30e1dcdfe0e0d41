"""What an export has measured stays beside the run, and is of its present weights."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest

from dait.bundle.deployment import deployed_forms, deployment_of, keep_deployment
from dait.bundle.export import Bundle
from dait.events import Event, Note
from dait.runs.folder import StudyFolder
from dait.study.export import export_study

pytestmark = pytest.mark.slow


@pytest.fixture
def exported(bundle: Bundle, tiny_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))


def test_every_form_has_a_row(exported: Path, bundle: Bundle) -> None:
    rows = deployed_forms(StudyFolder(exported).runs())
    own = {row.form: row for row in rows if row.run == "dait-s0"}
    assert list(own) == ["torch", "fp16", "onnx", "int8"]
    assert own["torch"].arm == "dait" and own["torch"].seed == 0
    for form, row in own.items():
        assert row.size == bundle.deployment["bytes"][form]
        assert row.top1 == bundle.top1[form] and row.interval[0] <= row.top1 <= row.interval[1]
    assert own["fp16"].median is None
    assert own["onnx"].median is not None and own["onnx"].p95 is not None


def test_an_architecture_has_one_latency_the_least(exported: Path) -> None:
    study = StudyFolder(exported)
    figures = deployment_of(study.run("dait", 0))
    assert figures is not None
    slower = copy.deepcopy(figures)
    slower["latency_ms"]["onnx"] = {"median": 5000.0, "p95": 6000.0}
    keep_deployment(study.run("direct", 0), slower)
    found = {
        (row.run, row.median, row.p95)
        for row in deployed_forms(study.runs())
        if row.form == "onnx" and row.run in ("dait-s0", "direct-s0")
    }
    own = figures["latency_ms"]["onnx"]
    assert found == {(run, own["median"], own["p95"]) for run in ("dait-s0", "direct-s0")}


def test_figures_of_other_weights_and_damaged_ones_are_not_shown(exported: Path) -> None:
    run = StudyFolder(exported).run("dait", 0)
    shutil.copyfile(StudyFolder(exported).run("direct", 1).student, run.student)
    assert deployment_of(run) is None
    (run.path / "deployment.json").write_text("{}")
    assert deployment_of(run) is None


def test_fewer_forms_do_not_replace_more(exported: Path) -> None:
    run = StudyFolder(exported).run("dait", 0)
    figures = deployment_of(run)
    assert figures is not None
    keep_deployment(run, {**figures, "bytes": {"torch": 1, "fp16": 1}})
    assert deployment_of(run) == figures


def test_a_run_that_cannot_be_written_is_left_with_a_note(exported: Path) -> None:
    run = StudyFolder(exported).run("dait", 0)
    figures = json.loads((run.path / "deployment.json").read_text())
    (run.path / "deployment.json").unlink()
    (run.path / "deployment.json").mkdir()
    said: list[Event] = []
    keep_deployment(run, figures, said.append)
    assert [note for note in said if isinstance(note, Note) and "not kept" in note.text]


def test_a_small_copy_of_the_study_keeps_them(exported: Path, tmp_path: Path) -> None:
    small = export_study(StudyFolder(exported), tmp_path / "small")
    assert deployment_of(small.run("dait", 0)) == deployment_of(
        StudyFolder(exported).run("dait", 0)
    )
