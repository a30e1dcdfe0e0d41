from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dait.errors import NewerFile, UserError
from dait.runs.folder import RunFolder, RunsRoot, StudyFolder, effective_state, is_alive, runs_root
from dait.storage.files import write_atomically

PROJECT = Path(__file__).resolve().parents[3]


def test_write_replaces_whole_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    write_atomically(target, "first")
    write_atomically(target, b"second")
    assert target.read_bytes() == b"second"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_full_disk_is_a_sentence_and_keeps_the_old_files(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: a real write fails half way."""
    script = """
import resource, sys
from pathlib import Path
from dait.errors import UserError
from dait.storage.files import write_atomically
from dait.runs.folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
write_atomically(run.path / "a.bin", b"old")
run.append_metrics({"stage": "s", "epoch": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
for attempt in (
    lambda: write_atomically(run.path / "a.bin", b"x" * 1000),
    lambda: run.append_metrics({"stage": "s", "epoch": 2, "text": "y" * 1000}),
):
    try:
        attempt()
    except UserError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    assert done.stdout.count("Could not write") == 2
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert RunFolder(tmp_path).metrics() == [{"stage": "s", "epoch": 1}]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "metrics.jsonl"]
    RunFolder(tmp_path).append_metrics({"stage": "s", "epoch": 2})
    assert [row["epoch"] for row in RunFolder(tmp_path).metrics()] == [1, 2]


def test_unwritable_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Could not write"):
        write_atomically(tmp_path / "file" / "status.json", "{}")
    with pytest.raises(UserError, match="Could not write"):
        RunFolder(tmp_path / "file").log("hello")


def test_status_merges_and_stamps(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert run.status() == {}
    run.start_work(state="preparing", arm="dait")
    before = run.status()["updated"]
    run.write_status(state="training", progress=np.float32(0.5), eta_seconds=float("nan"))
    status = run.status()
    assert status["arm"] == "dait" and status["state"] == "training"
    assert status["progress"] == 0.5 and status["eta_seconds"] is None
    assert status["pid"] == os.getpid() and status["updated"] >= before
    with pytest.raises(ValueError, match="unknown state"):
        run.write_status(state="sleeping")


def test_damaged_status_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "trai')
    with pytest.raises(UserError, match="damaged"):
        RunFolder(tmp_path).status()
    assert RunFolder(tmp_path).state() == "damaged"


def test_config_survives_and_is_not_overwritten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    config = {"name": "Prüfung", "arm": "dait", "student": {"name": "resnet10t", "sizes": (1, 2)}}
    run.create(config)
    assert run.config() == {**config, "student": {"name": "resnet10t", "sizes": [1, 2]}}
    with pytest.raises(UserError, match="already holds a run"):
        run.create({})
    (run.path / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match="damaged"):
        run.config()


def test_metrics_drop_a_torn_last_line_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.metrics() == []
    run.append_metrics({"stage": "s", "epoch": 1, "val_top1": float("nan")})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert run.metrics() == [{"stage": "s", "epoch": 1, "val_top1": None}]
    run.append_metrics({"stage": "s", "epoch": 2})
    assert [row["epoch"] for row in run.metrics()] == [1, 2]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("not json\n")
    with pytest.raises(UserError, match="damaged"):
        run.metrics()


def test_result_and_log(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.result() is None and run.log_text() == ""
    run.write_result({"arm": "kd", "seed": 0, "top1": np.float64(0.25), "map": np.array([8, 4, 4])})
    assert run.result() == {"arm": "kd", "seed": 0, "top1": 0.25, "map": [8, 4, 4]}
    run.log("first")
    run.log("second")
    assert [line.split("  ", 1)[1] for line in run.log_text().splitlines()] == ["first", "second"]


def test_study_lists_its_runs_and_none_outside(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "study")
    run = study.run("dait", 0)
    assert run.path == tmp_path / "study" / "dait-s0"
    study.create({"name": "demo", "runs": [{"arm": "dait", "seed": 0, "dir": "dait-s0"}]})
    assert [r.path for r in study.runs()] == [run.path]
    assert study.problem() is None
    study.write_description({"runs": [{"dir": "../../elsewhere"}]})
    with pytest.raises(UserError):
        study.runs()
    study.write_description({"runs": [{"arm": "dait"}]})
    assert "damaged" in str(study.problem())
    with pytest.raises(UserError, match="already holds a study"):
        study.create({})


def test_new_ids_are_plain_and_differ(tmp_path: Path) -> None:
    root = RunsRoot(tmp_path)
    ids = {root.new_id("demo-study") for _ in range(20)}
    assert len(ids) == 20
    for name in ids:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert root.resolve(name) == tmp_path / name
    with pytest.raises(ValueError, match="prefix"):
        root.new_id("../x")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../b", "/etc", "a//b", "a/b/c", "a\\b", "a b", "a\n", ".hidden"],
)
def test_resolve_refuses_what_looks_odd(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="not the name of a run"):
        RunsRoot(tmp_path).resolve(name)


@pytest.mark.parametrize(
    "name",
    ["a\0b", "~", "é", "x" * 200, "link", "link/run"],
)
def test_resolve_refuses_links_that_lead_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="not the name of a run"):
        RunsRoot(tmp_path / "runs").resolve(name)


def test_resolve_accepts_a_study_and_its_run(tmp_path: Path) -> None:
    assert RunsRoot(tmp_path).resolve("My_study.2/dait-s0") == tmp_path / "My_study.2/dait-s0"


def test_studies_newest_first_with_the_damaged_ones(tmp_path: Path) -> None:
    root = RunsRoot(tmp_path)
    for age, name in enumerate(["newest", "middle", "oldest"]):
        study = StudyFolder(root.resolve(name))
        study.create({"name": name})
        study.write_status(state="finished", started=time.time() + 1000 - age)
    (tmp_path / "middle" / "study.json").write_text('{"name": ')
    (tmp_path / "notes").mkdir()
    (tmp_path / "stray.txt").write_text("x")
    studies = root.studies()
    assert [study.path.name for study in studies] == ["newest", "middle", "oldest"]
    assert [study.problem() is None for study in studies] == [True, False, True]
    assert RunsRoot(tmp_path / "nowhere").studies() == []


def test_runs_root_follows_the_variable_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "mine"))
    assert runs_root().path == tmp_path / "mine"
    assert list((tmp_path / "mine").iterdir()) == []
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "file" / "runs"))
    with pytest.raises(UserError, match="Set DAIT_RUNS"):
        runs_root()


def test_a_dead_run_does_not_look_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    status = {"state": "training", "pid": child.pid, "started": time.time()}
    assert effective_state(status) == "training"
    child.kill()
    while not _is_zombie(child.pid):
        time.sleep(0.01)
    assert effective_state(status) == "lost"  # killed, not yet waited for by its parent
    child.wait()
    assert effective_state(status) == "lost"
    assert effective_state({**status, "state": "queued"}) == "lost"
    assert effective_state({**status, "state": "finished"}) == "finished"
    child.stdin.close()


def _is_zombie(pid: int) -> bool:
    import psutil

    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_reused_process_number_is_not_the_run() -> None:
    import psutil

    born = psutil.Process().create_time()
    assert is_alive(os.getpid(), born)
    assert is_alive(os.getpid(), born + 3600)
    assert not is_alive(os.getpid(), born - 60)
    assert not is_alive(-1, born) and not is_alive(2**40, born)
    assert effective_state({"state": "training"}) == "lost"
    assert effective_state({"state": "queued"}) == "queued"


def test_status_file_is_strict_json(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_status(state="training", eta_seconds=float("inf"))

    def refuse(token: str) -> None:
        raise AssertionError(token)

    json.loads((tmp_path / "status.json").read_text(), parse_constant=refuse)


def test_a_write_that_is_stopped_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    write_atomically(tmp_path / "status.json", "before")
    monkeypatch.setattr("dait.storage.files.os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "status.json", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
    assert (tmp_path / "status.json").read_text() == "before"


def test_time_spent_adds_up_over_the_processes(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.seconds_spent() == 0
    status = {"state": "training", "pid": 1, "started": 1000.0, "updated": 1050.0}
    (tmp_path / "status.json").write_text(json.dumps(status))
    assert run.seconds_spent() == 50
    run.start_work(state="training")
    assert run.status()["seconds_before"] == 50 and 50 <= run.seconds_spent() < 60
    second = run.status() | {"started": 2000.0, "updated": 2007.0}
    (tmp_path / "status.json").write_text(json.dumps(second))
    assert run.seconds_spent() == 57


def test_what_a_killed_process_half_wrote_is_swept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_status(state="training")
    run.checkpoints.mkdir()
    mine = tmp_path / f".status.json.{os.getpid()}-0a1b2c3d.tmp"
    theirs = [
        tmp_path / ".status.json.1-0a1b2c3d.tmp",
        run.checkpoints / ".steps.pt.1-0a1b2c3d.tmp",
    ]
    for file in (mine, *theirs):
        file.write_text("half")
    run.sweep()
    assert mine.exists() and not any(file.exists() for file in theirs)
    assert run.status()["state"] == "training"


def test_only_what_this_project_left_half_written_is_swept(tmp_path: Path) -> None:
    ours, others = ".result.json.1-0123abcd.tmp", ".my notes.tmp"
    for name in (ours, others):
        (tmp_path / name).write_text("half")
    RunFolder(tmp_path).sweep()
    assert [file.name for file in tmp_path.iterdir()] == [others]


@pytest.mark.parametrize("file", ["study.json", "status.json", "result.json"])
def test_what_a_newer_version_wrote_is_not_called_damaged(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text('{"format": 2, "runs": [], "state": "finished"}')
    study = StudyFolder(tmp_path)
    read = {"study.json": study.description, "status.json": study.status}
    with pytest.raises(NewerFile, match="version 2 of its format; this program reads version 1"):
        read.get(file, RunFolder(tmp_path).result)()
    assert "damaged" not in (study.problem() or "")
