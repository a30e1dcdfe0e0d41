"""Studies in this process: their folders, their ends, and that they can be repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dait.config.arms import Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import Stopped, UserError
from dait.events import EpochDone, Event, StepDone, ignore
from dait.models.checkpoint import file_sha256, weights_digest
from dait.runs.folder import RunFolder, StudyFolder
from dait.study import train as study_module
from dait.study.train import run_study

ARMS: tuple[Arm, ...] = ("independent", "direct", "dait")
RESULT_KEYS = {
    "arm", "seed", "top1", "top5", "mean_per_class", "macro_f1", "ece", "top1_interval",
    "val_top1", "n_test", "parameters", "macs", "map", "latency_ms", "file_bytes", "slices",
    "teacher", "intermediate", "seconds", "versions",
}  # fmt: skip
METRICS_KEYS = {
    "stage", "epoch", "epochs", "loss", "parts", "val_top1", "val_loss", "learning_rate",
    "images_per_second", "seconds",
}  # fmt: skip
STATUS_KEYS = {
    "state", "arm", "seed", "stage", "stage_index", "stage_count", "epoch", "epochs", "progress",
    "eta_seconds", "message", "pid", "started", "updated",
}  # fmt: skip
RUN_FILES = {
    "config.yaml", "status.json", "metrics.jsonl", "log.txt", "student.safetensors",
    "predictions.npz", "familiarity.npz", "result.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(
    small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StudyFolder, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("runs") / "study"
    return StudyFolder(out), run_study(small_recipe, ARMS, [0, 1], out, ignore)


def test_results_come_seed_by_seed(finished: tuple[StudyFolder, list[dict[str, Any]]]) -> None:
    folder, results = finished
    order = [(arm, seed) for seed in (0, 1) for arm in ARMS]
    assert [(row["arm"], row["seed"]) for row in results] == order
    assert [folder.run(arm, seed).result() for arm, seed in order] == json.loads(
        json.dumps(results)
    )


def test_a_run_folder_holds_what_the_contract_says(
    finished: tuple[StudyFolder, list[dict[str, Any]]], small_recipe: Recipe
) -> None:
    folder, _ = finished
    for arm in ARMS:
        run = folder.run(arm, 0)
        names = {path.name for path in run.path.iterdir() if path.is_file()}
        assert names == RUN_FILES | ({"intermediate.safetensors"} if arm == "dait" else set())
        assert {path.name for path in run.checkpoints.glob("*")} == {
            "independent": set(),
            "direct": {"projections-student.safetensors"},
            "dait": {"projections-intermediate.safetensors", "projections-student.safetensors"},
        }[arm]
        config = run.config()
        assert (config.pop("arm"), config.pop("seed")) == (arm, 0)
        assert parse_recipe(config, "config") == small_recipe
        status = run.status()
        assert status.keys() >= STATUS_KEYS
        assert (status["state"], status["progress"], run.state()) == ("finished", 1.0, "finished")
        rows = run.metrics()
        stages = ["student"] if arm != "dait" else ["intermediate teacher", "student"]
        assert [(row["stage"], row["epoch"]) for row in rows] == [
            (stage, epoch) for stage in stages for epoch in (1, 2)
        ]
        assert all(row.keys() == METRICS_KEYS for row in rows)
        log = run.log_text()
        assert "finished: test top-1" in log and "student, epoch 2 of 2" in log


def test_a_result_is_made_of_fractions_of_the_test_split(
    finished: tuple[StudyFolder, list[dict[str, Any]]],
) -> None:
    folder, results = finished
    for row in results:
        assert row.keys() >= RESULT_KEYS
        shares = [row[key] for key in ("top1", "top5", "mean_per_class", "macro_f1", "ece")]
        shares += [*row["top1_interval"], row["val_top1"]]
        assert all(0 <= share <= 1 for share in shares)
        assert row["n_test"] == 18 and row["top1"] * 18 == pytest.approx(round(row["top1"] * 18))
        assert row["top1_interval"][0] <= row["top1"] <= row["top1_interval"][1]
        assert set(row["slices"]) >= {"background", "habitat", "pose"}
        assert row["map"] == [8, 4, 4] and row["parameters"] > 0 and row["latency_ms"] > 0
        student = folder.run(row["arm"], row["seed"]).student
        assert row["file_bytes"] == student.stat().st_size
        assert row["teacher"].keys() == {"name", "zero_shot_top1", "zero_shot_top5"}
        middle = row["intermediate"]
        assert (middle is not None) == (row["arm"] == "dait")
        if middle:
            assert middle.keys() >= {"top1", "val_top1", "parameters", "network"}
        assert row["versions"].keys() >= {"torch", "timm", "python"}


def test_the_study_describes_itself(
    finished: tuple[StudyFolder, list[dict[str, Any]]], small_recipe: Recipe
) -> None:
    folder, results = finished
    study = folder.description()
    assert study["arms"] == list(ARMS) and study["seeds"] == [0, 1]
    assert [run["dir"] for run in study["runs"]] == [f"{r['arm']}-s{r['seed']}" for r in results]
    assert parse_recipe(study["recipe"], "study") == small_recipe
    assert [info.keys() for info in study["classes"]] == [{"key", "name", "group"}] * 6
    assert study["teacher"]["reads_text"] is True
    assert study["teacher"]["zero_shot_top1"] == results[0]["teacher"]["zero_shot_top1"]
    status = folder.status()
    assert (status["state"], status["progress"], status["run_count"]) == ("finished", 1.0, 6)
    assert status["run_index"] == 5 and folder.problem() is None
    with np.load(folder.path / "teacher.npz", allow_pickle=False) as teacher:
        assert teacher["prototypes"].shape == (6, 12)
        assert teacher["embeddings"].shape == (18, 12) and teacher["embeddings"].dtype == np.float16
        assert float(teacher["logit_scale"]) > 1
    with np.load(folder.path / "tsne.npz", allow_pickle=False) as plane:
        count = len(plane["indices"])
        members = set(plane.files) - {"indices", "made_of"}
        assert members >= {"vlm", *(run["dir"] for run in study["runs"])}
        assert all(plane[name].shape == (count, 2) for name in members)


def test_what_was_measured_says_of_what(finished: tuple[StudyFolder, list[dict[str, Any]]]) -> None:
    folder, results = finished
    for run, result in zip(folder.runs(), results, strict=True):
        with np.load(run.predictions, allow_pickle=False) as arrays:
            assert arrays["data"] == folder.description()["data"]["fingerprint"]
            digests = json.loads(str(arrays["weights"]))
        assert digests["student"] == weights_digest(run.student)
        assert digests.keys() == result["made_of"].keys()
        facts = result["made_of"]["student"]
        assert facts.keys() >= {"data", "start", "start_from", "teacher", "prompts", "code"}
        assert facts["versions"] == result["versions"] and facts["runtime"] == result["runtime"]


def test_a_repeated_run_gives_the_same_numbers(
    finished: tuple[StudyFolder, list[dict[str, Any]]], small_recipe: Recipe, tmp_path: Path
) -> None:
    """Alone, in other company, in another folder: the seed and the recipe decide."""
    folder, results = finished
    (again,) = run_study(small_recipe, ["dait"], [1], tmp_path / "again", ignore)
    first = next(row for row in results if (row["arm"], row["seed"]) == ("dait", 1))
    measured = {"seconds", "latency_ms", "intermediate", "between"}
    assert {k: v for k, v in again.items() if k not in measured} == {
        k: v for k, v in first.items() if k not in measured
    }
    mine, theirs = StudyFolder(tmp_path / "again").run("dait", 1), folder.run("dait", 1)
    assert file_sha256(mine.student) == file_sha256(theirs.student)
    assert file_sha256(mine.intermediate) == file_sha256(theirs.intermediate)
    assert file_sha256(mine.student) != file_sha256(folder.run("dait", 0).student)


def test_an_existing_study_is_not_overwritten(
    finished: tuple[StudyFolder, list[dict[str, Any]]], small_recipe: Recipe
) -> None:
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    with pytest.raises(UserError, match="already holds a study; choose another"):
        run_study(small_recipe, ["direct"], [0], folder.path, ignore)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


def test_a_study_needs_an_arm_and_a_seed(small_recipe: Recipe, tmp_path: Path) -> None:
    for arms, seeds in (([], [0]), (["dait"], [])):
        with pytest.raises(UserError, match="at least one arm and one seed"):
            run_study(small_recipe, arms, seeds, tmp_path / "x", ignore)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def states(out: Path) -> dict[str, tuple[str, str]]:
    folders = {"study": StudyFolder(out), **{f.path.name: f for f in StudyFolder(out).runs()}}
    found = {}
    for name, folder in folders.items():
        if (folder.path / "status.json").exists():
            status = folder.status()
            found[name] = (status["state"], status["message"])
    return found


def test_a_run_that_fails_says_why_everywhere(small_recipe: Recipe, tmp_path: Path) -> None:
    def block(event: Event) -> None:
        if isinstance(event, EpochDone):
            (tmp_path / "direct-s0" / "predictions.npz").mkdir(exist_ok=True)

    with pytest.raises(UserError, match=r"Could not write .*predictions\.npz") as caught:
        run_study(small_recipe, ["direct", "dait"], [0], tmp_path, block)
    sentence = str(caught.value)
    # The arm that was to come has not begun.
    assert states(tmp_path) == {"study": ("failed", sentence), "direct-s0": ("failed", sentence)}
    assert sentence in RunFolder(tmp_path / "direct-s0").log_text()
    assert RunFolder(tmp_path / "direct-s0").result() is None


def test_a_wild_training_ends_in_poor_figures_not_in_damage(
    small_recipe: Recipe, tmp_path: Path
) -> None:
    """BatchNorm keeps such a training finite, but its logits are beyond fp16."""
    wild = {
        "train.optimizer": "sgd",
        "train.learning_rate": 10,
        "train.gradient_clip": 1e6,
        "train.warmup_epochs": 0,
        "direct.logit_weight": 1000,
    }
    (result,) = run_study(small_recipe.changed(wild), ["direct"], [0], tmp_path, ignore)
    with np.load(tmp_path / "direct-s0" / "predictions.npz") as kept:
        logits = kept["logits"]
    assert np.abs(logits).max() > np.finfo(np.float16).max and np.isfinite(logits).all()
    labels = np.arange(18) % 6
    assert result["top1"] == pytest.approx(np.mean(logits.argmax(1) == labels))


def test_a_failure_before_the_first_run_is_the_studys(small_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no teacher"):
        run_study(small_recipe.changed({"teacher.name": "none"}), ["dait"], [0], tmp_path, ignore)
    ((name, (state, message)),) = states(tmp_path).items()
    assert (name, state) == ("study", "failed") and "no teacher called 'none'" in message
    assert len(StudyFolder(tmp_path).description()["runs"]) == 1


def test_a_request_to_stop_is_no_failure(small_recipe: Recipe, tmp_path: Path) -> None:
    def stop_soon(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run_study(small_recipe, ["dait"], [0], tmp_path, stop_soon)
    expected = ("stopped", "Stopped on request")
    assert states(tmp_path) == {"study": expected, "dait-s0": expected}
    assert StudyFolder(tmp_path).state() == "stopped"
    assert "stopped on request" in RunFolder(tmp_path / "dait-s0").log_text()


def test_an_unexpected_error_keeps_its_traceback_in_the_log(
    small_recipe: Recipe, tmp_path: Path
) -> None:
    def break_soon(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise ZeroDivisionError("by chance")

    with pytest.raises(ZeroDivisionError):
        run_study(small_recipe, ["independent"], [0], tmp_path, break_soon)
    state, message = states(tmp_path)["independent-s0"]
    assert state == "failed" and "ZeroDivisionError: by chance" in message
    assert "Traceback" not in message
    assert "Traceback" in RunFolder(tmp_path / "independent-s0").log_text()


@pytest.mark.slow
def test_progress_rises_to_one_over_the_whole_study(
    small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    folder = StudyFolder(tmp_path)

    def look(event: Event) -> None:
        if isinstance(event, EpochDone):
            seen.append(folder.status()["progress"])

    monkeypatch.setattr(study_module, "write_tsne", lambda *_: None)
    run_study(small_recipe, ["independent", "dait"], [0], tmp_path, look)
    # Three stages of two epochs each, equally long.
    assert seen == pytest.approx([k / 6 for k in range(1, 7)])
