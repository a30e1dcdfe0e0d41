"""Names and paths lead to data sets; anything else to a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dait.data.listed import ListedDataset
from dait.data.registry import list_datasets, open_dataset
from dait.errors import UserError

Photos = Callable[[str, int], None]
pytestmark = pytest.mark.usefixtures("own_cache")


def test_every_listed_name_opens() -> None:
    cards = list_datasets()
    assert "fieldguide" in [card.name for card in cards]
    for card in cards:
        dataset = open_dataset(card.name, size=32, seed=3)
        assert dataset.size == 32 and dataset.name == card.name
        assert dataset.licence == card.licence


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
    assert isinstance(dataset, ListedDataset) and dataset.counts()["val"] == 6
    assert dataset.fingerprint != open_dataset(str(root), size=16, val_fraction=0.3).fingerprint
    monkeypatch.chdir(root.parent)
    assert open_dataset(root.name, size=16).fingerprint
    with pytest.raises(UserError, match="has no ‘species’"):
        open_dataset(str(root), size=16, species=4)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("fieldgide", "Did you mean ‘fieldguide’"),
        ("FieldGuide", "Did you mean ‘fieldguide’"),
        ("cub", "no data set ‘cub’. Use ‘fieldguide’, or the path of a folder"),
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
