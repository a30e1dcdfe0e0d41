"""That the peers train on the same images; how fast they are is not tested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.peers import plain_loop
from benchmarks.peers.__main__ import main
from benchmarks.peers.growth import slope
from benchmarks.peers.pairs import Ratio
from benchmarks.peers.setting import HELD_OUT, Setting, lay_out_photos
from dait.errors import UserError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(8 + 2 * HELD_OUT):
        place = tmp_path / "photos" / "train" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.jpg")
    return tmp_path / "photos"


def test_the_plain_loop_trains_on_whole_batches_of_every_epoch(
    photos: Path, tmp_path: Path
) -> None:
    lay_out_photos(photos, 8, tmp_path / "laid")
    seen: list[int] = []
    setting = Setting(str(tmp_path / "laid"), 32, batch=3, epochs=2, distil=False, workers=0)
    assert setting.classes == 2
    torch.manual_seed(0)
    plain_loop.train(setting, seen.append)
    assert seen == [6, 6]


def test_no_image_is_in_two_splits_and_every_class_is_in_each(photos: Path, tmp_path: Path) -> None:
    lay_out_photos(photos, 8, tmp_path / "laid")
    found = {
        split: {file.name for file in (tmp_path / "laid" / split).rglob("*.jpg")}
        for split in ("train", "val", "test")
    }
    assert [len(names) for names in found.values()] == [8, HELD_OUT, HELD_OUT]
    assert len(set.union(*found.values())) == 8 + 2 * HELD_OUT
    assert len(list((tmp_path / "laid" / "test").iterdir())) == 2
    with pytest.raises(UserError, match="40 training images"):
        lay_out_photos(photos, 9, tmp_path / "more")
    with pytest.raises(UserError, match="no folder train"):
        lay_out_photos(tmp_path, 1, tmp_path / "none")


@pytest.mark.slow
def test_the_command_puts_ours_beside_the_plain_loop(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(photos), "--images", "8", "--size", "32", "--rounds", "1"]
    words += ["--batch", "4", "--epochs", "2", "--labels-only", "--workers", "0", "--json"]
    assert main(["training", *words, "--peers", "plain"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures["peers"]) == {"ours", "plain"} and not figures["failed"]
    for kind in ("first", "later"):
        assert figures["peers"]["plain"][kind]["images_per_processor_second"] > 0
        assert figures["peers"]["ours"][kind]["processor_ratio"]["median"] == 1
    assert main(["training", "--epochs", "1"]) == 2
    assert "later ones" in capsys.readouterr().err


def test_ratios_say_how_many_times_as_long_the_other_takes() -> None:
    assert Ratio.of([2.0, 6.0, 3.0], [1.0, 2.0, 3.0]) == Ratio(2.0, 1.0, 3.0)


def test_the_slope_is_that_of_a_power() -> None:
    assert slope([10, 100, 1000], [3e-3, 3e-1, 3e1]) == pytest.approx(2)
