"""``python -m dait embed``: maps written once, and the table of every seed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dait.cli import main


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the study, with a cache folder of its own."""
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["embed", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_same_maps_are_not_computed_twice(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, str(study))["computed"] == {"tsne": True}
    first = dict(np.load(study / "tsne.npz"))
    (study / "tsne.npz").unlink()
    assert told(capsys, str(study))["computed"] == {"tsne": False}
    again = np.load(study / "tsne.npz")
    assert set(again.files) == set(first) >= {"indices", "vlm", "dait-s0", "dait-s1"}
    assert all(np.array_equal(again[name], array) for name, array in first.items())
    other = told(capsys, str(study), "--perplexity", "2")
    assert (other["computed"], other["perplexity"]) == ({"tsne": True}, 2.0)
    assert not np.array_equal(np.load(study / "tsne.npz")["dait-s0"], first["dait-s0"])


def test_other_features_are_placed_anew(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, str(study))
    file = study / "dait-s1" / "predictions.npz"
    arrays = dict(np.load(file))
    arrays["pooled"] = arrays["pooled"][::-1]
    np.savez(file, **arrays)
    assert told(capsys, str(study))["computed"] == {"tsne": True}


def test_the_table_has_every_seed_or_the_one_that_was_asked_for(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = told(capsys, str(study))["representation"]
    assert list(both) == ["0", "1"]
    assert told(capsys, str(study), "--seed", "1")["representation"] == {"1": both["1"]}
    rows = {row["key"]: row for row in both["0"]}
    assert rows["vlm"]["cka_vlm"] == pytest.approx(1.0)
    assert main(["embed", str(study)]) == 0
    line = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("Independent")
    )
    assert f"{rows['independent-s0']['gap']:.3f}" in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--perplexity", "0"], "--perplexity is a number from 1"),
        (["--perplexity", "nan"], "--perplexity is a number from 1"),
        (["--seed", "9"], "no run to open with seed 9"),
    ],
)
def test_what_will_not_do_is_said(
    study: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["embed", str(study), *words]) == 2
    assert says in capsys.readouterr().err
    assert not (study / "tsne.npz").exists()


def test_without_its_package_umap_says_what_to_install(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    assert main(["embed", str(study), "--umap"]) == 2
    assert "pip install umap-learn" in capsys.readouterr().err


@pytest.mark.slow
def test_umap_is_written_beside_it(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("umap")
    threads = torch.get_num_threads()
    assert told(capsys, str(study), "--umap")["computed"] == {"tsne": True, "umap": True}
    assert torch.get_num_threads() == threads  # what compiles UMAP sets them
    maps = np.load(study / "umap.npz")
    assert maps["dait-s1"].shape == (12, 2) and np.isfinite(maps["dait-s1"]).all()
    assert np.ptp(maps["dait-s1"], axis=0).min() > 0
    assert told(capsys, str(study), "--umap")["computed"] == {"tsne": False, "umap": False}
