"""``python -m dait study`` as scripts and the app start it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from apart import start
from PIL import Image

from dait.cli import main
from dait.config.arms import ARMS
from dait.config.recipe import parse_recipe
from dait.runs.folder import StudyFolder
from dait.study.provenance import kept_provenance

pytestmark = pytest.mark.slow

ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def test_the_contract_for_scripts(recipe_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = ["study", recipe_file, "--data", "fieldguide", "--arms", ",".join(ARMS), "--seeds",
             "0", "--epochs", "1", "--out", out, "--json"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "dait", *map(str, words)],
        capture_output=True, text=True, timeout=280, env=os.environ | ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()  # everything for people goes to stderr
    told = json.loads(line)
    assert told["study"] == str(out)
    assert [(run["arm"], run["seed"]) for run in told["runs"]] == [(arm, 0) for arm in ARMS]
    for run in told["runs"]:
        assert run["dir"] == str(out / f"{run['arm']}-s0")
        kept = json.loads((Path(run["dir"]) / "result.json").read_text())
        assert run["top1"] == kept["top1"] and 0 <= run["top1"] <= 1 and run["n_test"] == 18
    folder = StudyFolder(out)
    assert folder.state() == "finished"
    assert {run.state() for run in folder.runs()} == {"finished"}
    recipe = parse_recipe(folder.description()["recipe"], "study.json")
    assert recipe.train.epochs == 1
    assert "student, epoch 1 of 1" in done.stderr and "Traceback" not in done.stderr
    assert "Warning" not in done.stderr and "WARNING" not in done.stderr


def test_photographs_of_ones_own_teach_networks_that_start_from_imagenet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2), ("test", 2)):
        for name, colour in (("apple", (190, 40, 40)), ("kiwi", (60, 150, 60))):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.integers(0, 60, (80, 90, 3))
                pixels = np.clip(noise + colour, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    out, arms = tmp_path / "study", ["independent", "direct", "vl2lite", "kd", "dait"]
    smaller = ("data.size=64", "teacher.image_size=64", "train.batch_size=3",
               "train.backbone_lr_scale=0.1")  # fmt: skip
    words = ["study", "photos", "--data", tmp_path / "photos", "--arms", ",".join(arms), "--seeds",
             "0", "--epochs", "1", "--out", out, "--json"]  # fmt: skip
    words += [word for change in smaller for word in ("--set", change)]
    done = subprocess.run(
        [sys.executable, "-m", "dait", *map(str, words)],
        capture_output=True, text=True, timeout=580,
        env=os.environ | ONE_THREAD | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["arm"] for run in told["runs"]] == arms
    assert all(0 <= run["top1"] <= 1 and run["n_test"] == 4 for run in told["runs"])
    starts = {}
    for run in StudyFolder(out).runs():
        for role in ("student", "classifier", "intermediate"):
            if run.weights(role).is_file():
                facts = kept_provenance(run.weights(role))
                assert facts is not None
                starts.setdefault(role, set()).add(facts["start_from"].partition(" ")[0])
    assert starts == {
        "student": {"efficientnet-lite0"},
        "classifier": {"efficientnet-lite2"},
        "intermediate": {"efficientnet-lite2"},
    }


def test_sigterm_stops_within_seconds_and_says_so(recipe_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = ["study", recipe_file, "--arms", "dait", "--epochs", "2000", "--out", out]
    begun = start(tmp_path, main, [str(word) for word in words])
    try:
        run = StudyFolder(out).run("dait", 0)
        deadline = time.monotonic() + 200
        while not run.metrics():
            assert begun.process.is_alive(), begun.said
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert run.status()["pid"] == begun.process.pid and run.state() == "training"
        begun.process.terminate()
    finally:
        code = begun.ended(15)
    assert code == 130
    assert (run.state(), StudyFolder(out).state()) == ("stopped", "stopped")
    assert begun.said.endswith("dait: stopped on request\n") and "Traceback" not in begun.said
