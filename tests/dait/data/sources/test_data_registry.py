"""Names and paths lead to data sets; anything else to a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import FileServer
from miniatures import food, members

from dait.data.folders.dataset import ImageFileDataset
from dait.data.sources.catalogue import list_datasets
from dait.data.sources.registry import open_dataset
from dait.errors import UserError

Photos = Callable[[str, int], None]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, empty."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("DAIT_DOWNLOADS", str(folder))
    return folder


def test_the_field_guide_s_card_is_true() -> None:
    card = list_datasets()[0]
    dataset = open_dataset("fieldguide", size=32, seed=3)
    assert card.name == dataset.name == "fieldguide" and card.available
    assert card.licence == dataset.licence and card.classes == len(dataset.classes)


def test_cards_say_what_is_on_this_machine(own_data: Path) -> None:
    cards = {card.name: card for card in list_datasets()}
    assert len(cards) == 9 and all(card.homepage for card in list(cards.values())[1:])
    assert [card.name for card in cards.values() if card.available] == ["fieldguide"]
    assert cards["fgvc-aircraft"].variants == ("variant", "family", "manufacturer")
    assert (cards["fgvc-aircraft"].classes, cards["cub-200-2011"].images) == (100, 11_788)
    put_food(own_data)
    assert [card.name for card in list_datasets() if card.available] == ["fieldguide", "food-101"]


def put_food(folder: Path) -> None:
    for member, data in members(food()["food-101.tar.gz"]).items():
        (folder / "food-101" / member).parent.mkdir(parents=True, exist_ok=True)
        (folder / "food-101" / member).write_bytes(data)


def test_a_benchmark_opens_by_name(own_data: Path) -> None:
    put_food(own_data)
    dataset = open_dataset("food-101", size=16, seed=1, val_fraction=0.34)
    assert dataset.name == "food-101" and dataset.counts() == {"train": 6, "val": 2, "test": 4}
    assert dataset.split("test").images.shape == (4, 16, 16, 3)
    assert "Foodspotting" in dataset.licence and dataset.homepage.startswith("https://")
    other = open_dataset("food-101", size=16, seed=2, val_fraction=0.34)
    assert other.fingerprint != dataset.fingerprint
    with pytest.raises(UserError, match="‘food-101’ has no variants; use ‘food-101’ alone"):
        open_dataset("food-101:family", size=16)
    with pytest.raises(UserError, match=r"no variant ‘famly’.*Did you mean ‘family’"):
        open_dataset("fgvc-aircraft:famly", size=16)
    with pytest.raises(UserError, match="has no option ‘species’"):
        open_dataset("food-101", size=16, species=4)


def test_a_mirror_s_files_are_checked_too(own_data: Path, server: FileServer) -> None:
    for file, data in food().items():
        server.add(f"food/{file}", data)
    with pytest.raises(UserError, match=r"4,996,278,331.*Get ‘food-101.tar.gz’"):
        open_dataset("food-101", size=16, mirror=server.url("food"))
    assert not (own_data / "food-101" / "archives" / "food-101.tar.gz").exists()


def test_an_archive_and_a_table_open_by_path(root: Path, photos: Photos) -> None:
    photos("a", 10)
    photos("b", 10)
    packed = shutil.make_archive(str(root.parent / "mine"), "zip", root)
    assert open_dataset(packed, size=16, seed=2).counts()["val"] == 2
    rows = [f"{file.relative_to(root)},{file.parent.name}" for file in root.rglob("*.png")]
    (root / "mine.csv").write_text("path,label\n" + "\n".join(rows))
    assert len(open_dataset(str(root / "mine.csv"), size=16).classes) == 2


def test_a_size_is_refused_before_a_download(server: FileServer) -> None:
    with pytest.raises(UserError, match="16 to 1024 pixels"):
        open_dataset("food-101", size=4, mirror=server.url("food"))
    assert server.asked == []


def test_options_reach_the_field_guide() -> None:
    dataset = open_dataset("fieldguide", size=32, species=4, train_per_class=2, habitat_bias=0.1)
    assert len(dataset.classes) == 4 and dataset.counts()["train"] == 8
    assert dataset.fingerprint != open_dataset("fieldguide", size=32, species=4).fingerprint
    with pytest.raises(UserError, match=r"no option ‘specis’.*‘species’"):
        open_dataset("fieldguide", size=32, specis=4)


def test_a_path_opens_a_folder(root: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    photos("a", 10)
    photos("b", 10)
    dataset = open_dataset(str(root), size=16, seed=2, val_fraction=0.3)
    assert isinstance(dataset, ImageFileDataset) and dataset.counts()["val"] == 6
    assert dataset.fingerprint != open_dataset(str(root), size=16, val_fraction=0.3).fingerprint
    monkeypatch.chdir(root.parent)
    assert open_dataset(root.name, size=16).fingerprint
    with pytest.raises(UserError, match="has no option ‘species’"):
        open_dataset(str(root), size=16, species=4)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("fieldgide", "Did you mean ‘fieldguide’"),
        ("FieldGuide", "Did you mean ‘fieldguide’"),
        ("cub", "no data set ‘cub’. Use ‘fieldguide’, ‘cub-200-2011’"),
        ("cub", "Did you mean ‘cub-200-2011’"),
        ("stanford-car", "Did you mean ‘stanford-cars’"),
        ("nowhere.zip", "There is no archive"),
        ("./nowhere.zip", "There is no archive"),
        ("nowhere.csv", "There is no table"),
        ("", "no data set ‘’"),
        ("./nowhere/at/all", "There is no folder"),
        ("/nowhere", "There is no folder"),
    ],
)
def test_unknown_sources(
    source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        open_dataset(source, size=16)
    assert words in str(caught.value)


def test_a_path_in_the_other_unicode_form_is_found(
    root: Path, photos: Callable[[str, int], None], own_cache: Path
) -> None:
    photos("cafe\u0301s/ant", 3)
    photos("cafe\u0301s/bee", 3)
    dataset = open_dataset(str(root / "caf\u00e9s"), size=16)
    assert dataset.counts() == {"train": 2, "val": 2, "test": 2}
