"""The Field Guide as a data set: what an image depends on, where birds live, what a split holds."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from dait.data.base import SPLITS, SplitName
from dait.data.fieldguide import FieldGuide, FieldGuideOptions, open_fieldguide, record
from dait.data.fieldguide.dataset import home_habitat, labels, shown, slices_undrawn
from dait.data.fieldguide.parallel import in_parallel
from dait.data.fieldguide.world import PARTS, load_world
from dait.errors import UserError
from dait.events import Event, Progress

SMALL = FieldGuideOptions(size=24)


def test_an_image_depends_on_seed_split_and_index_alone() -> None:
    forward = [record(SMALL, "train", index) for index in range(6)]
    backward = [record(SMALL, "train", index) for index in reversed(range(6))][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one.scene.image, other.scene.image)
        np.testing.assert_array_equal(one.scene.parts, other.scene.parts)
        assert (one.caption, one.habitat, one.label) == (other.caption, other.habitat, other.label)
    # How many images there are besides does not matter.
    many = replace(SMALL, train_per_class=999, val_per_class=1, test_per_class=1)
    np.testing.assert_array_equal(
        record(many, "train", 3).scene.image, record(SMALL, "train", 3).scene.image
    )
    changed = [
        record(SMALL, "val", 3),
        record(SMALL, "test", 3),
        record(SMALL, "train", 43),
        record(replace(SMALL, seed=1), "train", 3),
    ]
    for other in changed:
        assert (other.scene.image != record(SMALL, "train", 3).scene.image).mean() > 0.5


def test_another_process_draws_the_same_image() -> None:
    code = (
        "import hashlib, json\n"
        "from dait.data.fieldguide import FieldGuideOptions, record\n"
        "r = record(FieldGuideOptions(size=24), 'test', 77)\n"
        "digest = hashlib.sha256(r.scene.image.tobytes() + r.scene.parts.tobytes()).hexdigest()\n"
        "print(json.dumps([digest, r.caption, r.habitat]))"
    )
    there = json.loads(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )
    here = record(SMALL, "test", 77)
    digest = hashlib.sha256(here.scene.image.tobytes() + here.scene.parts.tobytes()).hexdigest()
    assert there == [digest, here.caption, here.habitat]


def test_images_go_round_the_species() -> None:
    for species in (2, 6, 40):
        options = replace(SMALL, species=species)
        labels = shown(options, "val")[: 2 * species]
        assert labels == (*range(species), *range(species))


def test_a_long_tail_falls_off_exponentially_in_training_only() -> None:
    options = replace(SMALL, species=11, train_per_class=100, long_tail=100.0)
    counts = sorted(Counter(shown(options, "train")).values(), reverse=True)
    assert counts == [round(100 * 100 ** (-k / 10)) for k in range(11)]
    assert set(Counter(shown(options, "test")).values()) == {options.test_per_class}
    guide = FieldGuide(options)
    assert guide.counts()["train"] == sum(counts) == len(labels(options, "train"))
    # Which species are rare is another matter with another seed.
    assert Counter(shown(replace(options, seed=1), "train")) != Counter(shown(options, "train"))


def test_label_noise_mixes_up_species_of_a_family_in_training_only() -> None:
    options = replace(SMALL, train_per_class=100, label_noise=0.3)
    true, given = np.array(shown(options, "train")), labels(options, "train")
    wrong = true != given
    assert wrong.mean() == pytest.approx(0.3, abs=0.03)
    assert (true[wrong] // 5 == given[wrong] // 5).all()  # five neighbours are a family
    for split in ("val", "test"):
        assert (labels(options, split) == np.array(shown(options, split))).all()


def test_two_processes_draw_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = partial(record, SMALL, "val")
    monkeypatch.setattr("dait.data.fieldguide.parallel._WORTH_IT", 1)
    monkeypatch.setattr("dait.data.fieldguide.parallel._CHUNK", 8)
    together = [drawn.scene.image for drawn in in_parallel(draw, 20)]
    monkeypatch.setattr("dait.data.fieldguide.parallel.processors", lambda: 1)
    alone = [drawn.scene.image for drawn in in_parallel(draw, 20)]
    np.testing.assert_array_equal(np.stack(together), np.stack(alone))


def habitats_of(split: SplitName, bias: float, count: int) -> list[tuple[int, str]]:
    enough = dict.fromkeys(("train_per_class", "val_per_class", "test_per_class"), count // 40)
    options = FieldGuideOptions(habitat_bias=bias, **enough)
    return list(zip(shown(options, split), slices_undrawn(options, split)["habitat"], strict=True))


def share_at_home(found: list[tuple[int, str]]) -> float:
    return float(np.mean([habitat == home_habitat(label) for label, habitat in found]))


def test_in_training_a_species_is_mostly_in_its_own_habitat() -> None:
    # 0.7 + 0.3 / 6 = 0.75; one standard deviation over 480 images is 0.02.
    assert share_at_home(habitats_of("train", 0.7, 480)) == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("split", ["val", "test"])
def test_elsewhere_habitat_and_species_are_independent(split: SplitName) -> None:
    from scipy.stats import chi2_contingency, chisquare

    found = habitats_of(split, 0.7, 480)
    assert share_at_home(found) == pytest.approx(1 / 6, abs=0.05)
    names = list(load_world().habitats)
    table = np.zeros((6, 6))
    for label, habitat in found:
        table[names.index(home_habitat(label)), names.index(habitat)] += 1
    assert chi2_contingency(table).pvalue > 0.001
    assert chisquare(table.sum(axis=0)).pvalue > 0.001


def test_the_bias_is_a_parameter() -> None:
    assert share_at_home(habitats_of("train", 1.0, 80)) == 1.0
    assert share_at_home(habitats_of("train", 0.0, 240)) == pytest.approx(1 / 6, abs=0.08)
    assert share_at_home(habitats_of("test", 1.0, 240)) == pytest.approx(1 / 6, abs=0.08)


def test_a_familys_species_do_not_share_a_habitat() -> None:
    for family in range(8):
        homes = {home_habitat(label) for label in range(5 * family, 5 * family + 5)}
        assert len(homes) == 5
    assert set(Counter(home_habitat(label) for label in range(40)).values()) <= {6, 7}


def test_the_whole_guide_has_30_8_and_25_images_a_species() -> None:
    guide = open_fieldguide()
    assert guide.counts() == {"train": 1200, "val": 320, "test": 1000}
    assert len(guide.classes) == 40 and guide.size == 96 and guide.part_names == PARTS


def test_splits_are_whole_and_disjoint(birds: FieldGuide) -> None:
    seen: set[bytes] = set()
    for name in SPLITS:
        split = birds.split(name)
        count = birds.counts()[name]
        assert len(split) == len(split.ids) == len(set(split.ids)) == count
        assert split.images.shape == (count, 32, 32, 3) and split.images.dtype == np.uint8
        assert split.masks is not None and split.masks.shape == (count, 32, 32)
        assert Counter(split.labels.tolist()) == dict.fromkeys(range(6), count // 6)
        images = {image.tobytes() for image in split.images}
        assert len(images) == count and not images & seen
        seen |= images
        for index in (0, count - 1):
            drawn = record(birds.options, name, index)
            np.testing.assert_array_equal(split.images[index], drawn.scene.image)
            np.testing.assert_array_equal(split.masks[index], drawn.scene.parts)
            assert split.labels[index] == drawn.label
            assert split.slices["habitat"][index] == drawn.habitat
            assert split.slices["light"][index] == drawn.scene.light
            at_home = drawn.habitat == home_habitat(drawn.label)
            assert split.slices["background"][index] == ("familiar" if at_home else "unfamiliar")
        for cut, values in slices_undrawn(birds.options, name).items():
            np.testing.assert_array_equal(split.slices[cut], values)
        assert birds.split(name) is split


def test_every_part_name_is_seen_in_the_masks(birds: FieldGuide) -> None:
    masks = np.stack([birds.split("train").masks])
    assert set(np.unique(masks)) == set(range(len(PARTS) + 1))


def test_labels_go_into_torch_without_a_warning(birds: FieldGuide) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SPLITS:
            labels = torch.as_tensor(birds.split(name).labels)
            assert labels.dtype == torch.int64


def test_classes_are_described_without_their_names(birds: FieldGuide) -> None:
    for info, bird in zip(birds.classes, load_world().species, strict=False):
        assert (info.key, info.name, info.group) == (bird.key, bird.name, bird.family)
        assert len(info.descriptions) >= 5
        assert not any(bird.name.lower() in text.lower() for text in info.descriptions)


def test_the_fingerprint_follows_everything_that_moves_a_pixel(
    birds: FieldGuide, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FieldGuide(birds.options).fingerprint == birds.fingerprint
    changes = (
        {"seed": 1},
        {"size": 33},
        {"species": 7},
        {"habitat_bias": 0.6},
        {"train_per_class": 5},
        {"val_per_class": 3},
        {"differing": 4},
        {"label_noise": 0.2},
        {"long_tail": 5.0},
    )
    prints = {FieldGuide(replace(birds.options, **change)).fingerprint for change in changes}
    prints.add(birds.fingerprint)
    assert len(prints) == len(changes) + 1
    monkeypatch.setattr("dait.data.fieldguide.dataset.RENDERER_VERSION", 10**6)
    assert birds.fingerprint not in prints


def test_drawn_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path))
    events: list[Event] = []
    options = {"size": 16, "species": 2, "train_per_class": 2, "val_per_class": 1}
    first = open_fieldguide(events.append, **options).split("train")
    assert isinstance(events[-1], Progress) and events[-1].done == events[-1].total == 4
    events.clear()
    again = open_fieldguide(events.append, **options).split("train")
    assert not events
    np.testing.assert_array_equal(first.images, again.images)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 8}, "16 to 512 pixels, not 8"),
        ({"habitat_bias": 1.5}, "between 0 and 1, not 1.5"),
        ({"species": 41}, "2 to 40 species, not 41"),
        ({"species": 1}, "2 to 40 species, not 1"),
        ({"differing": 6}, "1 to 5 attributes, not 6"),
        ({"label_noise": 1.0}, "0 to 0.9, not 1.0"),
        ({"long_tail": 0.5}, "1 .even. to 1,000, not 0.5"),
    ],
)
def test_impossible_options_are_sentences(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        open_fieldguide(**options)
