"""``python -m dait evaluate`` on a real study folder, in processes of its own and in this one."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from dait.runs.folder import RunFolder

Command = Callable[..., int]


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))


def last_line(text: str) -> dict[str, Any]:
    found = json.loads(text.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def change_result(run: Path, **changes: Any) -> None:
    file = run / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_run_on_validation(
    study: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = study / "dait-s0", tmp_path / "new" / "figures.json"
    words = ["evaluate", str(run), "--split", "val", "--out", str(out), "--json"]
    assert command(*words) == 0
    first = capsys.readouterr()
    assert "its networks predict 32 val images" in first.err
    line = last_line(first.out)
    arrays = arrays_of(run / "predictions-val.npz")
    labels, predicted = arrays["labels"], arrays["logits"].argmax(1)
    assert (line["arm"], line["seed"], line["split"], line["n"]) == ("dait", 0, "val", 32)
    assert line["top1"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert line["mean_per_class"] == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    assert line["confusion"] == metrics.confusion_matrix(labels, predicted).tolist()
    assert line["top1_interval"][0] <= line["top1"] <= line["top1_interval"][1]
    familiar = arrays["slice_background"] == "familiar"
    right = (labels == predicted)[familiar]
    assert line["slices"]["background"]["familiar"] == pytest.approx(right.mean())
    assert line["slice_counts"]["background"]["familiar"] == familiar.sum()
    taught = arrays["intermediate_logits"].argmax(1)
    assert line["between"]["intermediate"]["top1"] == pytest.approx((labels == taught).mean())
    most = line["confused"][0]
    wrong = np.argwhere(
        (labels == most["label"]["index"]) & (predicted == most["predicted"]["index"])
    )
    assert (
        most["count"]
        == len(wrong)
        == np.max(metrics.confusion_matrix(labels, predicted) * (1 - np.eye(4, dtype=int)))
    )
    assert set(most["examples"]) <= {arrays["ids"][place] for (place,) in wrong}
    assert line["predictions"] == str(run / "predictions-val.npz") and line["missing"] is None
    assert json.loads(out.read_text()) == line

    stamp = (run / "predictions-val.npz").stat().st_mtime_ns
    assert command(*words) == 0
    second = capsys.readouterr()
    assert second.out == first.out and "look at" not in second.err
    assert (run / "predictions-val.npz").stat().st_mtime_ns == stamp


def test_one_run_on_the_test_split_says_what_was_recorded(
    study: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = json.loads((study / "direct-s1" / "result.json").read_text())
    change_result(study / "direct-s1", slices={"habitat": {"reed": 0.25}})
    assert command("evaluate", study / "direct-s1", "--json") == 0
    shown = capsys.readouterr().out
    line = last_line(shown)
    for name in ("top1", "top5", "mean_per_class", "macro_f1", "ece", "top1_interval"):
        assert line[name] == recorded[name]
    assert line["n"] == recorded["n_test"] == 12
    assert line["slices"] == {"habitat": {"reed": 0.25}} and "by habitat: reed 25.0%" in shown
    own = arrays_of(study / "direct-s1" / "predictions.npz")
    right = own["logits"].argmax(1) == own["labels"]
    assert [row["n"] for row in line["per_class"]] == [3] * 4
    assert [row["top1"] for row in line["per_class"]] == pytest.approx(
        [right[own["labels"] == label].mean() for label in range(4)]
    )
    assert f"top-1           {recorded['top1']:.1%} (95% interval" in shown


def test_a_study_has_means_over_seeds_tests_and_gains(
    study: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("evaluate", study, "--against", "independent", "--json") == 0
    shown = capsys.readouterr().out
    line = last_line(shown)
    right: dict[tuple[str, int], np.ndarray] = {}
    for arm in ("independent", "direct", "dait"):
        for seed in (0, 1):
            own = arrays_of(study / f"{arm}-s{seed}" / "predictions.npz")
            right[arm, seed] = own["logits"].argmax(1) == own["labels"]
            labels = own["labels"]
    assert list(line["arms"]) == ["independent", "direct", "dait"] and line["left_out"] == []
    assert line["runs"][0]["run"] == str(study / "independent-s0")
    for arm, found in line["arms"].items():
        top1 = [right[arm, seed].mean() for seed in (0, 1)]
        assert found["seeds"] == [0, 1] and found["n"] == 12
        assert found["top1"]["mean"] == pytest.approx(np.mean(top1))
        assert found["top1"]["sd"] == pytest.approx(statistics.stdev(top1))
        assert f"  {arm:<13}top-1 {found['top1']['mean']:.1%}" in shown
    pairs = [("independent", "direct"), ("independent", "dait"), ("direct", "dait")]
    tests = [(test["a"], test["b"], test["seed"]) for test in line["mcnemar"]]
    assert tests == [(a, b, seed) for a, b in pairs for seed in (0, 1)]
    for test in line["mcnemar"]:
        a, b = right[test["a"], test["seed"]], right[test["b"], test["seed"]]
        assert (test["only_a"], test["only_b"]) == ((a & ~b).sum(), (b & ~a).sum())
        assert test["gain"] == pytest.approx(a.mean() - b.mean()) and 0 < test["p"] <= 1
    gains = line["gains"]
    assert gains["against"] == "independent" and list(gains["arms"]) == ["direct", "dait"]
    dait = gains["arms"]["dait"]
    assert dait["seeds"] == dait["per_class_seeds"] == [0, 1]
    for row in dait["per_class"]:
        own = labels == row["index"]
        each = [
            right["dait", seed][own].mean() - right["independent", seed][own].mean()
            for seed in (0, 1)
        ]
        assert row["gain"] == pytest.approx(np.mean(each))
        assert row["sd"] == pytest.approx(statistics.stdev(each)) and row["n"] == 3
        assert row["ours"] - row["theirs"] == pytest.approx(row["gain"])
    mean = np.mean([row["gain"] for row in dait["per_class"]])  # classes are of one size
    assert dait["top1"]["mean"] == pytest.approx(mean)


def test_direct_is_what_gains_are_counted_from_by_default(
    study: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [study / "dait-s0", study / "direct-s0", study / "dait-s0"]  # one is named twice
    assert command("evaluate", *runs, "--json") == 0
    line = last_line(capsys.readouterr().out)
    assert len(line["runs"]) == 2
    assert line["gains"]["against"] == "direct" and list(line["gains"]["arms"]) == ["dait"]
    assert line["arms"]["dait"]["top1"]["sd"] is None
    assert {row["sd"] for row in line["gains"]["arms"]["dait"]["per_class"]} == {None}
    others = [study / "dait-s0", study / "independent-s0"]
    assert command("evaluate", *others, "--json") == 0
    assert last_line(capsys.readouterr().out)["gains"] is None


def test_a_study_that_was_made_small_says_what_it_still_knows(
    study: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for arm in ("direct", "dait", "independent"):
        run = RunFolder(study / f"{arm}-s1")
        for file in (run.predictions, run.student, run.intermediate):
            file.unlink(missing_ok=True)
    assert command("evaluate", study, "--json") == 0
    line = last_line(capsys.readouterr().out)
    assert (
        line["arms"]["dait"]["seeds"] == [0, 1] and line["arms"]["dait"]["top1"]["sd"] is not None
    )
    assert {test["seed"] for test in line["mcnemar"]} == {0}
    gains = line["gains"]["arms"]["dait"]
    assert (gains["seeds"], gains["per_class_seeds"]) == ([0, 1], [0])

    assert command("evaluate", study / "dait-s1", "--json") == 0
    alone = last_line(capsys.readouterr().out)
    recorded = json.loads((study / "dait-s1" / "result.json").read_text())
    assert alone["top1"] == recorded["top1"]
    assert alone["between"]["intermediate"]["top1"] == recorded["intermediate"]["top1"]
    assert alone["per_class"] is alone["confused"] is alone["confusion"] is None
    assert "no predictions.npz and no student.safetensors" in alone["missing"]

    # On another split those runs are left out of a study, and refused where they are named.
    assert command("evaluate", study, "--split", "val", "--json") == 0
    captured = capsys.readouterr()
    line = last_line(captured.out)
    assert [Path(row["run"]).name for row in line["left_out"]] == [
        f"{arm}-s1" for arm in ("independent", "direct", "dait")
    ]
    assert "dait: without dait-s1: " in captured.err
    assert line["arms"]["dait"]["seeds"] == [0]
    assert command("evaluate", study / "dait-s1", "--split", "val") == 2
    assert "has no student.safetensors" in capsys.readouterr().err


def test_runs_of_two_recipes_are_kept_apart(
    study: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(study, tmp_path / "other"))
    for config in other.glob("*/config.yaml"):
        config.write_text(config.read_text().replace("learning_rate: 0.002", "learning_rate: 0.01"))
    assert command("evaluate", study, other / "dait-s0", "--json") == 0
    line = last_line(capsys.readouterr().out)
    assert list(line["arms"]) == ["independent", "direct", "study/dait", "other/dait"]
    assert line["arms"]["other/dait"]["seeds"] == [0]
    same = [
        test for test in line["mcnemar"] if (test["a"], test["b"]) == ("study/dait", "other/dait")
    ]
    assert [(test["seed"], test["only_a"], test["p"]) for test in same] == [(0, 0, 1.0)]
    assert command("evaluate", study, other, "--against", "dait") == 2
    assert (
        "no arm 'dait' among these runs; they are of study/independent, " in capsys.readouterr().err
    )

    # Seeds of one recipe belong together wherever they lie, unless one of them is there twice.
    lone = Path(shutil.copytree(study / "direct-s1", tmp_path / "elsewhere" / "direct-s1"))
    assert command("evaluate", study / "direct-s0", lone, "--json") == 0
    assert last_line(capsys.readouterr().out)["arms"]["direct"]["seeds"] == [0, 1]
    assert command("evaluate", study, lone, "--json") == 0
    arms = last_line(capsys.readouterr().out)["arms"]
    seeds = [arms[name]["seeds"] for name in ("study/direct", "elsewhere/direct", "dait")]
    assert seeds == [[0, 1], [1], [0, 1]]
    twice = shutil.copytree(study / "direct-s1", study / "direct-s1-again")
    assert command("evaluate", study, twice) == 2
    assert "holds a run of one recipe, arm and seed twice" in capsys.readouterr().err


def test_what_a_user_can_mend_is_a_sentence(
    study: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object) -> str:
        assert command("evaluate", *words) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and "Traceback" not in captured.err
        return captured.err

    assert "holds neither a study" in refused(tmp_path)
    assert "--against compares arms" in refused(study / "dait-s0", "--against", "direct")
    assert "no arm 'kd' among these runs; they are of independent, direct, dait" in refused(
        study, "--against", "kd"
    )
    change_result(study / "dait-s0", top1=0.999)
    assert "predictions.npz and result.json are not of the same test" in refused(study / "dait-s0")
    change_result(study / "dait-s0", n_test=None, top1=None)
    assert "result.json is damaged" in refused(study / "dait-s0")
    change_result(study / "dait-s0", top1=0.5)
    (study / "dait-s0" / "predictions.npz").write_bytes(b"PK")
    assert "predictions.npz is damaged" in refused(study / "dait-s0")
    for name in ("predictions.npz", "result.json", "student.safetensors"):
        (study / "direct-s0" / name).unlink()
    assert "has not finished" in refused(study / "direct-s0")
    own = arrays_of(study / "direct-s1" / "predictions.npz")
    np.savez(study / "direct-s1" / "predictions.npz", **own | {"ids": own["ids"][::-1]})
    told = refused(study / "direct-s1", study / "dait-s1")
    assert "were evaluated on different images or know different classes" in told
    (study / "study.json").write_text("{}")
    assert "study.json is damaged" in refused(study)
