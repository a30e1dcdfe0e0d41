"""From an archive of photographs to what the tab shows of it, without a page."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.catalogue.sources import Sources
from app.config import AppConfig
from app.data.reading import OpenDataset, Readings, round_the_classes
from app.data.views import (
    ALL_CLASSES,
    about_html,
    class_choices,
    counts_figure,
    grid_html,
    problems_html,
    report_html,
)
from dait.errors import UserError

SECONDS = 60
NAMES = ("heron", "<i>owl</i>", "wren")


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def picture(seed: int) -> bytes:
    """A photograph of its own: blocks of random colour."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((64, 80), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def pack(path: Path) -> Path:
    """Six photographs of three classes in each of three splits; one broken, one in two splits."""
    with zipfile.ZipFile(path, "w") as archive:
        for label, name in enumerate(("heron", "owl", "wren")):
            for config, split in enumerate(("train", "val", "test")):
                for number in range(6):
                    content = picture(100 * label + 10 * config + number)
                    archive.writestr(f"birds/{split}/{name}/{number}.png", content)
        archive.writestr("birds/train/owl/broken.png", picture(7)[:60])
        archive.writestr("birds/test/wren/again.png", picture(200))
        archive.writestr("birds/classes.csv", "class,name\nheron,heron\nowl,<i>owl</i>\n")
    return path


@pytest.fixture
def readings(empty_config: AppConfig) -> Readings:
    return Readings(Sources(empty_config))


def read(readings: Readings, value: str) -> OpenDataset:
    work = readings.start(value, 48)
    assert work.wait(SECONDS)
    assert work.error is None and work.result is not None
    return work.result


@pytest.fixture
def opened(readings: Readings, tmp_path: Path) -> OpenDataset:
    return read(readings, readings.keep_upload(pack(tmp_path / "sent"), "birds.zip"))


def test_an_upload_is_read_reported_and_shown(opened: OpenDataset) -> None:
    report = report_html(opened.report)
    assert re.findall(r"<dd>([\d,]+)", report)[:4] == ["3", "18", "18", "19"]
    assert "64 × 80" in report
    assert report.count('class="warning"') == len(opened.report.warnings) >= 2
    problems = problems_html(opened)
    assert "broken.png" in problems and "1 file is left out." in problems
    assert problems.count('class="ds-pair"') == 1 and "the same picture" in problems
    assert problems.count("<img") == 2
    figure = counts_figure(opened.report)
    assert "Validation" in figure and "wren" in figure
    assert 'href="' not in about_html("birds", None, opened.report)


def test_unlabelled_images_are_counted_and_shown(readings: Readings, tmp_path: Path) -> None:
    sent = pack(tmp_path / "sent")
    with zipfile.ZipFile(sent, "a") as archive:
        for number in range(5):
            archive.writestr(f"birds/Unlabeled/{number}.png", picture(5000 + number))
        archive.writestr("birds/Unlabeled/leak.png", picture(120))
    opened = read(readings, readings.keep_upload(sent, "more birds.zip"))
    assert re.findall(r"<dd>([\d,]+)", report_html(opened.report))[:5] == [
        "3",
        "18",
        "18",
        "19",
        "6",
    ]
    for label in (ALL_CLASSES, 1):
        grid = grid_html(opened, "unlabelled", label, 0)
        assert grid.count("<img") == 6 and "no label" in grid
        assert "6 of 6 unlabelled images, as the networks see them." in grid
    problems = problems_html(opened)
    assert "Unlabeled/leak.png" in problems and "no label" in problems


def test_names_from_an_archive_are_text(opened: OpenDataset) -> None:
    name = next(info.name for info in opened.dataset.classes if "owl" in info.name)
    grid = grid_html(opened, "train", ALL_CLASSES, 0)
    assert "<i>" not in grid
    assert f"&lt;i&gt;{name[3:6]}" in grid or name == "owl"


def test_the_grid_follows_its_filters(opened: OpenDataset) -> None:
    labels = dict(class_choices(opened))
    assert len(labels) == 4
    assert grid_html(opened, "train", ALL_CLASSES, 0).count("<figure>") == 18
    wren = labels["wren"]
    one = grid_html(opened, "test", wren, 0)
    assert one.count("<figure>") == 7 and one.count('alt="wren"') == 7
    assert grid_html(opened, "test", wren, 5) == one  # the only page there is
    for split, label, page in (
        ("all", wren, 0),
        ("test", 3, 0),
        ("test", "wren", 0),
        ("test", wren, -1),
        (None, wren, 0),
    ):
        with pytest.raises(UserError):
            grid_html(opened, split, label, page)


def test_pages_go_round_all_images(opened: OpenDataset) -> None:
    pages = [opened.sample("train", None, page, 5) for page in range(4)]
    assert sorted(index for page in pages for index in page) == list(range(18))
    assert opened.sample("train", None, 4, 5) == pages[0]
    labels = opened.dataset.split("train").labels
    assert sorted(labels[pages[0][:3]]) == [0, 1, 2]


def test_samples_go_round_the_classes() -> None:
    labels = np.array([0, 0, 0, 2, 1, 1])
    assert round_the_classes(labels).tolist() == [0, 4, 3, 1, 5, 2]


def test_what_was_read_is_not_read_twice(readings: Readings, tmp_path: Path) -> None:
    value = readings.keep_upload(pack(tmp_path / "sent"), "birds.zip")
    first = read(readings, value)
    assert read(readings, value) is first
    assert readings.opened(value, 48) is first
    with pytest.raises(UserError, match="not open any more"):
        readings.opened(value, 64)


def test_a_hostile_archive_ends_as_a_sentence_and_leaves_nothing(
    readings: Readings, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "sent", "w") as archive:
        archive.writestr("../../evil.png", picture(0))
    value = readings.keep_upload(tmp_path / "sent", "evil.zip")
    work = readings.start(value, 48)
    assert work.wait(SECONDS)
    assert work.error is not None and "evil.png" in work.error
    assert readings.sources.uploads.names() == []
    assert not list(tmp_path.rglob("evil.png"))


def test_an_upload_that_was_good_once_is_never_deleted_by_itself(
    readings: Readings, tmp_path: Path
) -> None:
    value = readings.keep_upload(pack(tmp_path / "sent"), "birds.zip")
    read(readings, value)
    path = readings.sources.uploads.path("birds.zip")
    path.write_bytes(b"damaged since")
    work = readings.start(value, 48)
    assert work.wait(SECONDS)
    assert work.error is not None and path.exists()


def test_deleting_an_upload_forgets_it(readings: Readings, tmp_path: Path) -> None:
    value = readings.keep_upload(pack(tmp_path / "sent"), "birds.zip")
    read(readings, value)
    readings.delete_upload(value)
    for use in (readings.opened, readings.start):
        with pytest.raises(UserError, match=r"deleted|any more"):
            use(value, 48)
    for other in ("fieldguide", f"path:{tmp_path}", None):
        with pytest.raises(UserError, match="Only uploaded data"):
            readings.delete_upload(other)


@pytest.mark.parametrize(("value", "size"), [("fieldguide", 47), ("fieldguide", "96"), ("x", 48)])
def test_only_what_is_offered_is_read(readings: Readings, value: object, size: object) -> None:
    with pytest.raises(UserError):
        readings.start(value, size)


def test_a_link_leads_to_the_web_or_nowhere(opened: OpenDataset) -> None:
    for homepage, links in (("https://example.org/a", 1), ("javascript:alert(1)", 0), ("", 0)):
        report = replace(opened.report, homepage=homepage)
        assert about_html("birds", None, report).count("<a ") == links
