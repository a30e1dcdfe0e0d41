"""Students as files to download: which runs, made once, by a process that ends."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from app.config import AppConfig
from app.export.bundles import PAGE, Bundles
from app.export.deployment import NONE_YET, deployment_table
from dait.errors import UserError
from dait.runs.folder import RunFolder, RunsRoot

STUDY = "birds-20260101-120000-00000001"


@pytest.fixture
def root(tiny_study: Path, tmp_path: Path) -> RunsRoot:
    shutil.copytree(tiny_study, tmp_path / "runs" / STUDY)
    return RunsRoot(tmp_path / "runs")


def test_finished_runs_with_weights_are_offered(root: RunsRoot) -> None:
    study = root.path / STUDY
    RunFolder(study / "direct-s0").write_status(state="stopped")
    (study / "dait-s1" / "student.safetensors").unlink()
    bundles = Bundles(AppConfig(root))
    assert NONE_YET in deployment_table(bundles.deployed(STUDY))
    offered = bundles.runs(STUDY)
    assert ("DAIT, seed 0", "dait-s0") in offered
    assert {name for _, name in offered} & {"direct-s0", "dait-s1"} == set()
    for study_id, name in (
        (STUDY, "direct-s0"),
        (STUDY, "../" + STUDY + "/dait-s0"),
        (STUDY, None),
        ("../runs", "dait-s0"),
        ("absent", "dait-s0"),
        (None, "dait-s0"),
    ):
        with pytest.raises(UserError):
            bundles.task(study_id, name)


@pytest.mark.slow
def test_a_student_is_packed_once(root: RunsRoot) -> None:
    bundles = Bundles(AppConfig(root))
    job = bundles.jobs.start(*bundles.task(STUDY, "dait-s0"))
    assert job.wait(200) and job.error is None and job.result is not None
    with zipfile.ZipFile(job.result.file) as archive:
        names = {Path(name).name for name in archive.namelist() if not name.endswith("/")}
        folder = f"{STUDY}-dait-s0"
        figures = json.loads(archive.read(f"{folder}/deployment.json"))
        assert all(name.startswith(f"{folder}/") for name in archive.namelist())
    assert {"model.safetensors", "model.onnx", "predict.py", "README.md"} <= names
    assert figures["agreement"]["onnx"] == 1
    assert {form.run for form in bundles.deployed(STUDY)} == {"dait-s0"}
    assert deployment_table(bundles.deployed(STUDY)).count('<th scope="row">') == 4
    assert bundles.jobs.start(*bundles.task(STUDY, "dait-s0")) is job
    assert list(job.result.file.parent.iterdir()) == [job.result.file]


@pytest.mark.slow
def test_what_goes_wrong_is_a_sentence_and_leaves_no_file(root: RunsRoot) -> None:
    (root.path / STUDY / "dait-s0" / "student.safetensors").write_bytes(b"no weights")
    bundles = Bundles(AppConfig(root))
    job = bundles.jobs.start(*bundles.task(STUDY, "dait-s0"))
    assert job.wait(200) and job.result is None
    assert job.error is not None and "damaged" in job.error and "Traceback" not in job.error


def test_a_page_is_made_where_its_runtime_may_be_had(
    root: RunsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="not got for visitors"):
        Bundles(AppConfig(root, paths=False)).task(STUDY, "dait-s0", PAGE)
    with pytest.raises(UserError, match="Choose the model files or the page"):
        Bundles(AppConfig(root)).task(STUDY, "dait-s0", "index")


@pytest.mark.slow
def test_a_page_is_one_file(root: RunsRoot) -> None:
    if shutil.which("npm") is None:
        pytest.skip("no npm, which gets the runtime")
    bundles = Bundles(AppConfig(root, paths=True))
    job = bundles.jobs.start(*bundles.task(STUDY, "dait-s0", PAGE))
    assert job.wait(300)
    if job.error is not None and "npm could not get" in job.error:
        pytest.skip(job.error)
    assert job.error is None and job.result is not None
    page = job.result.file
    assert page.suffix == ".html" and list(page.parent.iterdir()) == [page]
    assert "</html>" in page.read_text(encoding="utf-8")[-20:]
