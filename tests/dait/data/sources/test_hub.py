"""Data sets in the hub's format, read through its own library from the disk."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.data.base import SPLITS, UNLABELLED
from dait.data.folders.dataset import ImageFileDataset
from dait.data.sources.hub import list_hub
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.events import Event, Note, Progress
from dait.study.moved import data_facts

Publish = Callable[..., str]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hub's library, with a cache of its own; it looks for a data set on the disk first."""
    datasets = pytest.importorskip("datasets", reason="the library ‘datasets’ is optional")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "library")
    monkeypatch.chdir(tmp_path)
    return datasets


def jpeg(number: int, mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "PNG" if mode == "RGBA" else "JPEG")
    return stream.getvalue()


@pytest.fixture
def publish(library: Any, tmp_path: Path) -> Publish:
    """``publish({"train": [label, ...]}, label=feature)``: a folder as the hub has it."""

    def make(splits: dict[str, list[Any]], label: Any = None, column: str = "label") -> str:
        label = label or library.ClassLabel(names=["red_panda", "snow leopard"])
        features = library.Features({"image": library.Image(), column: label, "extra": label})
        folder = tmp_path / "owner" / "animals" / "data"
        folder.mkdir(parents=True)
        for split, labels in splits.items():
            images = [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in range(len(labels))]
            columns = {"image": images, column: labels, "extra": labels}
            table = library.Dataset.from_dict(columns, features=features)
            table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
        return "owner/animals"

    return make


def test_published_splits_are_used(publish: Publish) -> None:
    name = publish({"train": [0, 1] * 4, "validation": [1, 0], "test": [0, 1, 1]})
    heard: list[Event] = []
    listing = list_hub(name, emit=heard.append)
    assert [(info.key, info.name) for info in listing.classes] == [
        ("red_panda", "red panda"),
        ("snow leopard", "snow leopard"),
    ]
    assert {split: len(listing.splits[split]) for split in SPLITS} == {
        "train": 8,
        "val": 2,
        "test": 3,
    }
    assert [entry.label for entry in listing.splits["val"]] == [1, 0]
    assert listing.notes == ("It was read from a folder on this disk, not from the hub.",)
    assert listing.problems == ()
    assert listing.homepage == "https://huggingface.co/datasets/owner/animals"
    assert listing.splits["test"][1].file.read_bytes() == jpeg(1)  # the bytes, not a copy of them
    progress = [event for event in heard if isinstance(event, Progress)]
    assert progress[-1].done == progress[-1].total == 13


def test_it_opens_by_name_and_decodes(publish: Publish) -> None:
    name = publish({"train": [0, 1] * 4, "test": [0, 1]})
    dataset = open_dataset(f"hf:{name}", size=16, val_fraction=0.25)
    assert isinstance(dataset, ImageFileDataset) and dataset.name == "hf:owner/animals"
    assert dataset.counts() == {"train": 6, "val": 2, "test": 2}
    assert dataset.split("train").images.shape == (6, 16, 16, 3)
    again = open_dataset(f"hf:{name}", size=16, val_fraction=0.25)
    assert again.fingerprint == dataset.fingerprint


def test_it_is_written_out_once(publish: Publish, own_cache: Path) -> None:
    name = publish({"train": [0, 1] * 4, "test": [0, 1]})
    first = list_hub(name)
    heard: list[Event] = []
    assert list_hub(name, emit=heard.append) == first
    assert not any(isinstance(event, Progress) for event in heard)
    assert [folder.name for folder in (own_cache / "hub").iterdir()] == [first.root.name]


def test_a_writing_out_that_stopped_leaves_nothing(publish: Publish, own_cache: Path) -> None:
    name = publish({"train": [0, 1] * 4, "test": [0, 1]})

    def stop(event: Event) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list_hub(name, emit=stop)
    assert list((own_cache / "hub").iterdir()) == []
    assert len(list_hub(name).splits["test"]) == 2


@pytest.mark.parametrize(
    ("splits", "counts", "note"),
    [
        ({"train": [0, 1] * 10, "valid": [0, 1]}, (18, 2, 2), "validation split is the test"),
        ({"train": [0, 1] * 10}, (14, 2, 4), "no test split: 4 training images"),
        ({"full": [0, 1] * 10}, (14, 2, 4), "no test split"),
        ({"train": [0, 1] * 10, "test": [-1, -1]}, (14, 2, 4), "no test split"),
    ],
)
def test_what_is_missing_is_held_out_of_training(
    publish: Publish, splits: dict[str, list[int]], counts: tuple[int, ...], note: str
) -> None:
    name = publish(splits)
    listing = list_hub(name)
    assert tuple(len(listing.splits[split]) for split in SPLITS) == counts
    assert any(note in said for said in listing.notes)
    assert listing.splits == list_hub(name).splits
    for split in SPLITS:
        assert {entry.label for entry in listing.splits[split]} == {0, 1}


def test_rows_without_a_label_are_problems(publish: Publish) -> None:
    listing = list_hub(publish({"train": [0, 1] * 4, "test": [0, -1, 1]}))
    assert [(p.file, p.reason) for p in listing.problems] == [("test/0000001", "has no label")]
    assert len(listing.splits["test"]) == 2


def test_labels_may_be_words(publish: Publish, library: Any) -> None:
    words = ["heron10", "heron2", "F/A-18"] * 3
    listing = list_hub(publish({"train": words, "test": words}, library.Value("string"), "species"))
    assert [info.key for info in listing.classes] == ["F-A-18", "heron2", "heron10"]


def test_the_finest_labels_are_taken_and_unused_classes_dropped(
    publish: Publish, library: Any
) -> None:
    fine = library.ClassLabel(names=["a", "b", "never", "c"])
    listing = list_hub(publish({"train": [0, 1, 3] * 3, "test": [0, 1, 3]}, fine, "fine_label"))
    assert [info.key for info in listing.classes] == ["a", "b", "c"]
    assert any("1 of its 4 classes have no images" in note for note in listing.notes)


@pytest.mark.parametrize(
    "name", ["animals", "../owner/animals", "a/b/c", "/etc/passwd", "a/b:", ""]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UserError, match="names no data set of the hub"):
        list_hub(name)


def test_unusable_data_is_a_sentence(publish: Publish, library: Any) -> None:
    name = publish({"train": [0.5, 1.5], "test": [0.5]}, library.Value("float32"))
    with pytest.raises(UserError, match=r"no column of labels .* it has image, label, extra"):
        list_hub(name)
    with pytest.raises(UserError, match=r"‘hf:owner/animals’ cannot be opened: .*Available"):
        list_hub(f"{name}:other")


def test_classes_must_be_trained(publish: Publish) -> None:
    with pytest.raises(UserError, match="no training image of ‘snow leopard’"):
        list_hub(publish({"train": [0, 0, 0], "test": [0, 1]}))


def test_what_cannot_be_reached_is_a_sentence(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"‘hf:nobody/nothing’ cannot be opened: .*online\?"):
        list_hub("nobody/nothing")


def test_without_the_library_the_sentence_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'datasets>=4'"):
        list_hub("owner/animals")


@pytest.mark.parametrize("beside", [True, False], ids=["with data beside it", "alone"])
def test_a_loading_script_is_never_run(publish: Publish, tmp_path: Path, beside: bool) -> None:
    name = publish({"train": [0, 1] * 4, "test": [0, 1]})
    folder, sprung = tmp_path / "owner" / "animals", tmp_path / "sprung"
    (folder / "animals.py").write_text(f"open({str(sprung)!r}, 'w')\nraise SystemExit\n")
    if not beside:
        for file in (folder / "data").iterdir():
            file.unlink()
    try:
        assert len(list_hub(name).splits["test"]) == 2
    except UserError as error:
        assert "cannot be opened" in str(error)
    assert not sprung.exists()


COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture
def hub(library: Any, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """The internet's edge: a data set of the hub at two commits, the newest last."""
    labels = {"train": [0, 1] * 4, "test": [0, 1]}
    publish(labels)
    for commit in COMMITS:
        for split, table in library.load_dataset("owner/animals").items():
            table.save_to_disk(tmp_path / "library" / commit / split)
    asked: list[dict[str, Any]] = []

    def load(path: str, name: str | None = None, **options: Any) -> Any:
        asked.append(options)
        commit = options.get("revision") or COMMITS[1]
        folder = tmp_path / "library" / commit
        return library.DatasetDict(
            {split: library.load_from_disk(folder / split) for split in ("train", "test")}
        )

    monkeypatch.setattr(library, "load_dataset", load)
    monkeypatch.chdir(tmp_path / "library")
    return lambda: asked  # type: ignore[return-value]


def test_the_commit_is_recorded_and_can_be_named(hub: Any, own_cache: Path) -> None:
    heard: list[Event] = []
    newest = list_hub("owner/animals", emit=heard.append)
    assert newest.revision == COMMITS[1] and newest.notes == (
        "2 training images are held out for validation.",
    )
    assert any(isinstance(event, Note) and COMMITS[1] in event.text for event in heard)
    older = open_dataset(f"hf:owner/animals@{COMMITS[0]}", size=16)
    assert older.revision == COMMITS[0]  # type: ignore[attr-defined]
    assert [options["revision"] for options in hub()] == [None, COMMITS[0]]
    assert older.homepage == "https://huggingface.co/datasets/owner/animals"
    newer = open_dataset("hf:owner/animals", size=16)
    assert newer.fingerprint != older.fingerprint
    assert data_facts(newer)["revision"] == COMMITS[1]
    # The cache may be deleted at any time: what is written out again is still the same data.
    shutil.rmtree(own_cache / "hub")
    assert open_dataset("hf:owner/animals", size=16).fingerprint == newer.fingerprint


def test_an_older_library_is_told_to_run_no_code(
    publish: Publish, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, real, told = publish({"train": [0, 1] * 4, "test": [0, 1]}), library.load_dataset, []

    def older(
        path: str, name: str | None = None, revision: Any = None, trust_remote_code: Any = None
    ) -> Any:
        told.append(trust_remote_code)
        return real(path, name, revision=revision)

    monkeypatch.setattr(library, "load_dataset", older)
    list_hub(name)
    assert told == [False]


def test_a_split_without_labels_is_read(publish: Publish) -> None:
    labels = {"train": [0, 1] * 4, "validation": [1, 0], "test": [0, 1], "unlabeled": [-1, -1, 1]}
    listing = list_hub(publish(labels))
    assert [entry.label for entry in listing.splits["unlabelled"]] == [UNLABELLED] * 3
    assert listing.left_out == () and len(listing.splits["train"]) == 8
    assert "3 images are read without labels (‘unlabeled’)." in listing.notes
