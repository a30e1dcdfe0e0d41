"""``python -m dait cache``, alone and as two processes of one build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apart import start_together
from safetensors.torch import load_file, save_file

from dait.cli import main
from dait.cli.cache_upkeep import parse_size
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.teachers.cache.inventory import default_root, entries

Command = Callable[..., int]


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(drawn_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the images of earlier tests but without embeddings."""
    monkeypatch.setenv("DAIT_CACHE", str(drawn_once))
    shutil.rmtree(drawn_once / "views", ignore_errors=True)
    return drawn_once


@pytest.fixture
def own_clip(clip_folder: Path, tmp_path: Path) -> Path:
    """The tiny teacher in a place where it may be changed."""
    shutil.copytree(clip_folder, tmp_path / "clip")
    return tmp_path / "clip"


@pytest.fixture
def recipe_path(small_recipe: Recipe, own_clip: Path, tmp_path: Path) -> Path:
    """300 training images, which are two shards a view; three views in four epochs."""
    changes = {
        "data.train_per_class": 50,
        "views.distinct": 3,
        "train.epochs": 4,
        "teacher.name": f"openclip-local:{own_clip}",
    }
    file = tmp_path / "mine.yaml"
    file.write_text(small_recipe.changed(changes).to_yaml())
    return file


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def shards(key: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((default_root() / key).glob("*.npy"))}


@pytest.mark.slow
def test_build_then_list_and_verify(
    command: Command, recipe_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("cache", "build", recipe_path, "--seeds", "0,5", "--json") == 0
    printed = capsys.readouterr()
    built = json.loads(printed.out.splitlines()[-1])
    assert "3 views × 300 images × 12 × 2 bytes = 21.6 kB" in printed.err
    assert built["processes"] == 1 and built["bytes"] == 2 * 3 * 300 * 12 * 2
    assert [made["seed"] for made in built["sets"]] == [0, 5]
    assert command("cache", "list", "--json") == 0
    listed = last(capsys)
    assert sorted(entry["seed"] for entry in listed["sets"]) == [0, 5]
    assert all((e["views"], e["complete"], e["images"]) == (3, 3, 300) for e in listed["sets"])
    assert command("cache", "verify", "--sample", "32", "--json") == 0
    verified = last(capsys)
    assert verified["good"] == 2 and verified["bad"] == 0
    assert all(entry["cosine"] > 0.9999 for entry in verified["sets"])


def test_training_finds_what_was_built(
    command: Command, recipe_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dait.events import Event, Note, Progress
    from dait.runs.data import open_data
    from dait.study.context import teacher_views
    from dait.teachers.registry import load_teacher

    assert command("cache", "build", recipe_path) == 0
    recipe, events = load_recipe(str(recipe_path)), list[Event]()
    data, teacher = open_data(recipe, events.append), load_teacher(recipe.teacher.name)
    views = teacher_views(recipe, data, teacher, 0, events.append)
    views.announce(recipe.views.count(recipe.train.epochs))
    for epoch in range(4):
        views.rows(epoch % 3, np.arange(5), None)  # type: ignore[arg-type]
    assert any(isinstance(e, Note) and "21.6 kB are there already" in e.text for e in events)
    assert not any(isinstance(event, Progress) and "teacher" in event.what for event in events)


def test_verify_says_what_is_wrong(
    command: Command, recipe_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("cache", "build", recipe_path, "--views", "1") == 0
    (entry,) = entries(default_root())
    for file in entry.folder.glob("*.npy"):
        rows = np.load(file)
        np.save(file, rows[:, ::-1].copy())
    capsys.readouterr()
    assert command("cache", "verify") == 1
    printed = capsys.readouterr().out
    assert f"{entry.key[:8]}  bad, lowest cosine" in printed and "cache prune" in printed
    assert "0 sets good, 1 bad, 0 not checked" in printed


def test_verify_does_not_blame_what_is_out_of_date(
    command: Command, recipe_path: Path, own_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("cache", "build", recipe_path, "--views", "1") == 0
    weights = own_clip / "open_clip_model.safetensors"
    tensors = load_file(weights)
    tensors["logit_scale"] = tensors["logit_scale"] + 1
    save_file(tensors, weights)
    capsys.readouterr()
    assert command("cache", "verify", "--json") == 0
    found = last(capsys)
    assert found["bad"] == found["good"] == 0
    assert "weights hash was" in found["sets"][0]["reason"]
    assert command("cache", "build", recipe_path, "--views", "1") == 0  # other weights: a miss
    assert len(entries(default_root())) == 2
    weights.unlink()
    capsys.readouterr()
    assert command("cache", "verify") == 0
    assert "cannot be checked" in capsys.readouterr().out


def test_prune_needs_to_know_what(
    command: Command, recipe_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("cache", "build", recipe_path, "--views", "1") == 0
    assert command("cache", "prune") == 2
    assert "Say what to remove" in capsys.readouterr().err
    assert command("cache", "prune", "--older-than", "1") == 0
    assert command("cache", "prune", "--max-size", "1MB") == 0
    assert len(entries(default_root())) == 1
    assert command("cache", "prune", "--data", "field", "--dry-run", "--json") == 0
    found = last(capsys)
    assert found["dry_run"] and found["removed"] == [entries(default_root())[0].key]
    assert command("cache", "prune", found["removed"][0][:6]) == 0
    assert entries(default_root()) == []
    assert command("cache", "list") == 0
    assert "0 sets of embeddings, 0 bytes" in capsys.readouterr().out


def test_what_cannot_be_built_is_a_sentence(
    command: Command, recipe_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("cache", "build", recipe_path, "--set", "views.cache=false") == 2
    assert "views.cache is false" in capsys.readouterr().err
    assert command("cache", "build", recipe_path, "--views", "0") == 2
    assert command("cache", "build", recipe_path, "--teacher", "nobody") == 2
    assert "no teacher called 'nobody'" in capsys.readouterr().err
    assert command("cache", "verify", "zz") == 2
    assert "Known: none." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1.5e3", 1500), ("500MB", 500_000_000), ("2 gb", 2 * 10**9), ("7b", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e400", "nan", "12 apples", "5MiB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(UserError, match=r"no size\. Write it as 500MB"):
        parse_size(text)


@pytest.mark.slow
def test_two_processes_give_the_same_bits(
    command: Command, recipe_path: Path, tmp_path: Path
) -> None:
    """Real processes that talk through gloo; each computes the shards of its share."""
    assert command("cache", "build", recipe_path) == 0
    (entry,) = entries(default_root())
    alone = shards(entry.key)
    assert len(alone) == 3 * 2
    shutil.rmtree(default_root())
    main_process, other = start_together(
        tmp_path, 2, main, ["cache", "build", str(recipe_path), "--json"]
    )
    assert [main_process.ended(), other.ended()] == [0, 0], main_process.said + other.said
    printed = main_process.stdout.read_text()
    said = json.loads(printed.splitlines()[-1])
    assert said["processes"] == 2 and said["sets"][0]["key"] == entry.key
    assert shards(entry.key) == alone
    assert printed.count("complete") == 1 and other.stdout.read_text() == ""  # one of them speaks
