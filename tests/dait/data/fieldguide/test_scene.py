from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dait.data.fieldguide import bird as bird_module
from dait.data.fieldguide import scene as scene_module
from dait.data.fieldguide.foreground import paint_front
from dait.data.fieldguide.plan import PLANS, POSES
from dait.data.fieldguide.scene import Scene, render_scene
from dait.data.fieldguide.world import PARTS, Attributes, load_world

WORLD = load_world()
SIZE = 64


def draw(table: Attributes, number: int, habitat: str = "meadow", size: int = SIZE) -> Scene:
    return render_scene(table, habitat, size, np.random.default_rng([5, number]))


def test_the_same_state_gives_the_same_pixels_at_any_size() -> None:
    table = WORLD.species[3].attributes
    for size in (16, 33, 96):
        once, again = (
            render_scene(table, "snow", size, np.random.default_rng(4)) for _ in range(2)
        )
        assert once.image.shape == (size, size, 3) and once.parts.shape == (size, size)
        assert once.image.dtype == once.parts.dtype == np.uint8
        np.testing.assert_array_equal(once.image, again.image)
        np.testing.assert_array_equal(once.parts, again.parts)


@pytest.mark.parametrize(
    ("attribute", "before", "after"),
    [
        ("belly", "white", "orange"),
        ("throat", "white", "red"),
        ("crown", "black", "yellow"),
        ("legs", "black", "orange"),
        ("eye", "white", "red"),
    ],
)
def test_a_colour_changes_only_the_pixels_of_its_part(
    attribute: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without reduction a pixel has one owner, and the mask can be held to every single one.
    monkeypatch.setattr(scene_module, "SUPERSAMPLING", 1)
    part = PARTS.index(WORLD.attributes[attribute].part) + 1
    changed_anywhere = 0
    for number in range(12):
        table = {**WORLD.species[0].attributes, attribute: before}
        one, other = draw(table, number), draw({**table, attribute: after}, number)
        np.testing.assert_array_equal(one.parts, other.parts)
        changed = (one.image != other.image).any(axis=-1)
        assert set(np.unique(one.parts[changed])) <= {part}
        changed_anywhere += changed.sum()
    assert changed_anywhere > 20


def test_the_mask_is_where_the_bird_changes_the_picture() -> None:
    """Two birds of other colours all over, from one random state: they differ where a bird is."""
    pale = {**WORLD.species[0].attributes, "back": "rufous", "belly": "white", "throat": "white"}
    dark = {**pale, "back": "black", "belly": "orange", "throat": "black", "crown": "blue"}
    changed_off_the_bird, changed_on_it, on_it = 0, 0, 0
    for number in range(20):
        one, other = draw(pale, number), draw(dark, number)
        changed, bird = (one.image != other.image).any(axis=-1), one.parts > 0
        changed_off_the_bird += (changed & ~bird).sum()
        changed_on_it += (changed & bird).sum()
        on_it += bird.sum()
    # A reduced pixel on the edge mixes bird and background but has one label. Bill, legs and eye
    # keep their colours.
    assert changed_off_the_bird < 0.15 * changed_on_it
    assert changed_on_it > 0.8 * on_it


@pytest.mark.slow
def test_every_part_is_seen_on_every_body_plan_and_fills_a_fair_share() -> None:
    for shape in PLANS:
        table = {**WORLD.species[0].attributes, "shape": shape, "breast": "spotted", "eye": "red"}
        scenes = [draw(table, number) for number in range(30)]
        seen = set(np.unique([scene.parts for scene in scenes])) - {0}
        assert {PARTS[k - 1] for k in seen} == set(PARTS), shape
        shares = [(scene.parts > 0).mean() for scene in scenes]
        assert 0.05 < np.mean(shares) < 0.5 and max(shares) < 0.7


def test_pose_scale_position_flip_and_light_vary() -> None:
    table = WORLD.species[0].attributes
    scenes = [draw(table, number) for number in range(60)]
    centres, heights, sides = [], [], []
    for scene in scenes:
        rows, columns = np.nonzero(scene.parts)
        centres.append((rows.mean(), columns.mean()))
        heights.append(np.ptp(rows))
        bill = np.nonzero(scene.parts == PARTS.index("bill") + 1)[1]
        sides.append(bill.mean() > columns.mean() if len(bill) else None)
    assert np.std(centres, axis=0).min() > 2 and np.std(heights) > 2
    assert sides.count(True) > 15 and sides.count(False) > 15
    brightness = [scene.image.mean() for scene in scenes]
    assert np.std(brightness) > 10


@pytest.mark.slow
def test_poses_follow_the_body_plan() -> None:
    for shape in PLANS:
        table = {**WORLD.species[0].attributes, "shape": shape}
        poses = [draw(table, number, size=16).pose for number in range(40)]
        perches = shape in ("songbird", "raptor")
        assert set(poses) == (set(POSES) if perches else {"standing", "flying"}), shape


def test_two_species_of_a_shape_share_pose_and_place() -> None:
    """What the card of two species relies on: from one state, only the attributes differ."""
    one, other = WORLD.species[0].attributes, WORLD.species[4].attributes
    for number in range(10):
        first, second = draw(one, number), draw(other, number)
        assert first.pose == second.pose
        assert ((first.parts > 0) != (second.parts > 0)).mean() < 0.01


def test_the_foreground_hides_what_it_covers() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(20):
        picture = Image.new("RGB", (128, 128), (0, 0, 255))
        cover = Image.new("L", (128, 128), 0)
        paint_front(picture, cover, "forest", rng)
        hidden = np.asarray(cover) == 255
        painted = (np.asarray(picture) != (0, 0, 255)).any(axis=-1)
        np.testing.assert_array_equal(hidden, painted)
        assert set(np.unique(cover)) <= {0, 255}
        covered += hidden.any()
    assert 12 <= covered <= 20  # nothing in about one picture of eight


def test_the_foreground_lies_over_the_bird_in_a_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    table = WORLD.species[0].attributes
    with_twigs = [draw(table, number).parts for number in range(12)]
    monkeypatch.setattr(scene_module, "paint_front", lambda *_: None)
    without = [draw(table, number).parts for number in range(12)]
    # It is drawn last: the bird below is the same, and only loses pixels.
    lost = 0
    for twigs, bare in zip(with_twigs, without, strict=True):
        assert ((twigs == bare) | (twigs == 0)).all()
        lost += ((twigs == 0) & (bare > 0)).sum()
    assert lost > 50


def test_water_mirrors_the_bird_and_the_mask_does_not_show_it() -> None:
    table = {**WORLD.species[35].attributes, "belly": "orange", "breast": "plain"}  # a duck
    other = {**table, "belly": "white"}
    mirrored = 0
    for number in range(30):
        one, two = (
            render_scene(t, "marsh", SIZE, np.random.default_rng(number)) for t in (table, other)
        )
        if one.pose != "standing":
            continue
        feet = np.nonzero(one.parts == PARTS.index("legs") + 1)[0].max()
        below = np.abs(one.image[feet + 1 :].astype(int) - two.image[feet + 1 :]).max(axis=-1)
        mirrored += int((below > 8).sum() > 5)
        assert not (one.parts[min(feet + 2, SIZE - 1) :] > 0).any()
    assert mirrored > 3


@pytest.mark.parametrize("name", list(WORLD.attributes))
def test_every_value_of_an_attribute_looks_different(name: str) -> None:
    """A value that draws like another could not be learned from pictures."""
    base = {**WORLD.species[0].attributes, "breast": "spotted"}
    values = WORLD.attributes[name].values
    albums = [
        np.stack([draw({**base, name: value}, number).image.astype(int) for number in range(4)])
        for value in values
    ]
    for i, album in enumerate(albums):
        for k in range(i):
            assert np.abs(album - albums[k]).max() > 20, (name, values[i], values[k])


def test_habitats_look_different_from_each_other() -> None:
    table = WORLD.species[0].attributes
    means = {}
    for habitat in WORLD.habitats:
        album = np.stack([draw(table, number, habitat).image for number in range(8)])
        means[habitat] = album.mean(axis=(0, 1, 2))
    names = list(means)
    for i, name in enumerate(names):
        for other in names[:i]:
            assert np.abs(means[name] - means[other]).max() > 5, (name, other)


def test_colours_are_never_quite_the_same_twice() -> None:
    palettes = [bird_module._jittered(np.random.default_rng(k)) for k in range(5)]
    assert len({tuple(palette.values()) for palette in palettes}) == 5
