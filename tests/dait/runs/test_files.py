"""The files of runs and studies: read as they are, or refused with the file and the reason."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.evaluation.results.localisation import read_localisation
from dait.evaluation.results.probes import read_probe_results
from dait.runs.files import read_arrays
from dait.runs.folder import RunFolder, RunsRoot, StudyFolder
from dait.storage.files import DEEPEST

DEMO = Path(__file__).resolve().parents[3] / "assets" / "runs" / "demo"
DAMAGES = {
    "empty": b"",
    "cut": b'{"state": "trai',
    "a list": b"[1, 2]",
    "not a number": b'{"started": NaN, "progress": Infinity}',
    "too long a number": b'{"pid": ' + b"9" * 5000 + b"}",
    "no such year": b'{"started": 1e300}',
    "no process": b'{"pid": 1e3, "state": "training"}',
    "arms are a number": b'{"state": "queued", "arms": 5}',
    "a number in words": b'{"progress": "half"}',
    "too deep": b'{"a": ' * 5000 + b"1" + b"}" * 5000,
    "half a character": b'{"message": "\\ud800"}',
    "no UTF-8": b'{"message": "\xff"}',
}


def test_the_shipped_study_reads_as_it_is_written() -> None:
    study = StudyFolder(DEMO)
    assert study.description() == json.loads((DEMO / "study.json").read_bytes())
    assert study.status() == json.loads((DEMO / "status.json").read_bytes())
    assert len(study.runs()) == 9
    for run in study.runs():
        assert run.status() == json.loads((run.path / "status.json").read_bytes())
        assert run.result() == json.loads((run.path / "result.json").read_bytes())
        assert run.config() == yaml.safe_load((run.path / "config.yaml").read_text())
        lines = (run.path / "metrics.jsonl").read_bytes().splitlines()
        assert run.metrics() == [json.loads(line) for line in lines]
    knowledge, measurements = read_probe_results(DEMO / "knowledge.json"), read_localisation(DEMO)
    assert knowledge is not None and len(measurements) > 0
    written = knowledge.model_dump(mode="json", exclude_unset=True)
    assert written == json.loads((DEMO / "knowledge.json").read_bytes())


def test_keys_of_newer_versions_are_kept_and_older_ones_may_lack_some(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_status(state="training", mood={"of the day": [1, None]})
    run.write_status(message="at work")
    assert run.status()["mood"] == {"of the day": [1, None]}
    (tmp_path / "result.json").write_text('{"arm": "kd", "seed": 3, "top1": 0.5, "new": 1}')
    assert run.result() == {"arm": "kd", "seed": 3, "top1": 0.5, "new": 1}
    StudyFolder(tmp_path).create({"runs": [{"arm": "kd", "seed": 3}]})
    assert [found.path.name for found in StudyFolder(tmp_path).runs()] == ["kd-s3"]


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_status_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(UserError, match=r"status\.json is damaged \(.+\)") as said:
        StudyFolder(tmp_path).status()
    assert len(str(said.value)) < 600
    assert StudyFolder(tmp_path).state() == "damaged"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runs", 5),
        ("runs", [{"arm": "dait", "seed": "0"}]),
        ("runs", [[]]),
        ("recipe", ["demo"]),
        ("arms", 5),
        ("seeds", [0.5]),
        ("classes", [{"key": 1, "name": "a"}]),
        ("teacher", "fieldguide-clip"),
        ("data", {"problems": 3}),
    ],
)
def test_a_study_of_the_wrong_shape_says_what_is_wrong(
    name: str, value: Any, tmp_path: Path
) -> None:
    text = json.dumps({"runs": [], name: value})
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(UserError, match=rf"study\.json is damaged \({name}"):
        StudyFolder(tmp_path).description()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path)
    path = tmp_path / "status.json"
    path.mkdir()
    assert study.state() == "damaged"
    path.rmdir()
    path.symlink_to(path)
    assert study.state() == "damaged"
    path.unlink()
    os.mkfifo(path)
    os.mkfifo(tmp_path / "log.txt")
    assert study.state() == "damaged" and study.log_text() == ""
    with pytest.raises(UserError, match="not a file"):
        study.write_status(state="stopped")
    os.mkfifo(tmp_path / "teacher.npz")
    with pytest.raises(UserError, match="damaged"):
        read_arrays(tmp_path / "teacher.npz")


def test_gigabytes_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "status.json").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(UserError, match="at most"):
        StudyFolder(tmp_path).status()


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 3000,
        "a: " + "9" * 5000,
        "a: !!int ''",
        "a: &a [1]\nb: *a",
        'a: "\\ud800"',
        "- 1",
        "seed: zero",
        "a: 2026-02-31",
        "",
    ],
)
def test_a_damaged_configuration_is_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml is damaged"):
        RunFolder(tmp_path).config()


def test_a_recipe_may_repeat_parts_but_not_nest_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: demo\ntrain: &t {epochs: 3}\n")
    assert load_recipe(str(file)).train.epochs == 3
    file.write_text("train: " + "{a: " * 2000)
    with pytest.raises(UserError, match=f"more than {DEEPEST} levels"):
        load_recipe(str(file))


def test_damaged_figures_and_arrays_are_sentences(tmp_path: Path) -> None:
    for content in (*DAMAGES.values(), b'{"version": 0}', b'{"version": 1, "measurements": 5}'):
        (tmp_path / "knowledge.json").write_bytes(content)
        (tmp_path / "localisation.json").write_bytes(content)
        for read in (
            lambda: read_probe_results(tmp_path / "knowledge.json"),
            lambda: read_localisation(tmp_path),
        ):
            try:
                assert not read()  # of an older version
            except UserError as error:
                assert "damaged" in str(error) and "measure again" in str(error)
    array = tmp_path / "teacher.npz"
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    for content in (
        b"",
        b"PK",
        b"PK\x05\x06" + b"\0" * 18,
        b"\x93NUMPY\x01\x00" + b"(" * 300,
        (tmp_path / "one.npy").read_bytes(),
        (tmp_path / "objects.npz").read_bytes(),
    ):
        array.write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            read_arrays(array, ("prototypes",))


def test_a_folder_that_links_go_round_in_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    StudyFolder(tmp_path / "fine").write_status(state="stopped")
    assert [study.path.name for study in RunsRoot(tmp_path).studies()] == ["fine"]
    with pytest.raises(UserError):
        StudyFolder(RunsRoot(tmp_path).resolve("round")).description()
