"""The Data tab as a visitor lives it, in a real browser against ``python app.py``."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import OpenPage
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = 1000  # milliseconds
TO_READ, TO_TRAIN = 150 * SECONDS, 300 * SECONDS
PHONE = {"width": 390, "height": 844}
CLASSES = ("heron", "owl", "wren")


def picture(label: int, seed: int) -> bytes:
    """A photograph of its own, in the colour of its class."""
    rng = np.random.default_rng([label, seed])
    blocks = rng.integers(0, 120, (8, 8, 3)) + 130 * np.eye(3, dtype=int)[label]
    buffer = io.BytesIO()
    picture = Image.fromarray(blocks.astype(np.uint8)).resize((96, 64), Image.Resampling.NEAREST)
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three classes, twelve photographs each and one that is broken."""
    path = tmp_path / "three birds.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for label, name in enumerate(CLASSES):
            for split, count in (("train", 8), ("val", 2), ("test", 2)):
                for number in range(count):
                    content = picture(label, 100 * len(split) + number)
                    packed.writestr(f"photos/{split}/{name}/{number}.jpg", content)
        packed.writestr("photos/train/owl/broken.jpg", picture(1, 0)[:400])
    return path


@pytest.fixture
def no_study_stays(app_runs: Path) -> Iterator[None]:
    """The other stories begin with the newest study, and with three arms."""
    before = set(app_runs.iterdir())
    yield
    for folder in app_runs.glob("tiny-*"):
        if folder not in before:
            shutil.rmtree(folder)


def wait_for_data(page: Any) -> None:
    page.locator("#data-about", has_text="Field Guide").wait_for(timeout=TO_READ)
    page.locator("#read-data").wait_for(timeout=TO_READ)


def choose(page: Any, box: str, option: str) -> None:
    page.locator(f"{box} input").click()
    page.get_by_role("option", name=option).first.click()


def send(page: Any, path: Path) -> None:
    page.locator("#data-upload input[type=file]").set_input_files(path)


@pytest.mark.usefixtures("no_study_stays")
def test_upload_look_write_prompts_and_train(
    open_page: OpenPage, archive: Path, app_runs: Path
) -> None:
    page = open_page("?tab=data")
    wait_for_data(page)
    choose(page, "#data-size", "48 px")
    send(page, archive)
    page.locator("#bad-files", has_text="broken.jpg").wait_for(timeout=TO_READ)
    assert "damaged" in page.locator("#bad-files").inner_text()
    tiles = page.locator("#data-report dd").all_inner_texts()
    assert [tile.split()[0] for tile in tiles[:4]] == ["3", "24", "6", "6"]
    page.locator("#counts .main-svg").first.wait_for(timeout=TO_READ)
    assert page.locator("#grid figure").count() == 24

    choose(page, "#grid-class", "owl")
    page.wait_for_function("document.querySelectorAll('#grid figure').length === 8")
    page.locator("#grid-split").get_by_text("Test").click()
    page.wait_for_function("document.querySelectorAll('#grid figure').length === 2")
    alts = [img.get_attribute("alt") for img in page.locator("#grid img").all()]
    assert alts == ["owl", "owl"]

    page.locator("#preview", has_text="sees images only").wait_for(timeout=TO_READ)
    choose(page, "#prompt-teacher", "Demo teacher")
    page.locator("#preview", has_text=" 3 sentences").wait_for(timeout=TO_READ)
    page.locator("#templates textarea").fill("a photo of a {}.\na {} in a garden")
    page.locator("#preview", has_text=" 6 sentences").wait_for(timeout=TO_READ)
    page.locator("#templates textarea").fill("a bird")
    page.locator("#preview", has_text="should hold {} once").wait_for(timeout=TO_READ)
    page.locator("#use-data").click()
    page.locator("#data-notice", has_text="drawn birds only").wait_for(timeout=TO_READ)
    choose(page, "#prompt-teacher", "ImageNet network")
    page.locator("#preview", has_text="sees images only").wait_for(timeout=TO_READ)

    page.locator("#use-data").click()
    page.locator("#handed", has_text="three-birds.zip").wait_for(timeout=TO_READ)
    choose(page, "#recipe", "Smoke test")
    page.locator("#expected", has_text="48 px").wait_for()
    page.locator("#epochs input").fill("1")
    for arm in ("Direct distillation", "DAIT"):
        page.locator("#arms").get_by_label(f"{arm}: ").uncheck()
    page.locator("#start").click()
    page.wait_for_selector('#live [data-state="finished"]', timeout=TO_TRAIN)
    # The other stories train in this folder, too.
    study = max(app_runs.glob("tiny-*/recipe.yaml"), key=lambda path: path.stat().st_mtime)
    assert "three-birds.zip" in study.read_text() and "size: 48" in study.read_text()


def compare_two_species(page: Any) -> None:
    page.locator("#bird-card img").first.wait_for(timeout=TO_READ)
    before = page.locator("#bird-card").inner_text()
    choose(page, "#second-bird", "Azure Lanternwing")
    page.locator("#bird-card", has_text="Azure Lanternwing").wait_for(timeout=TO_READ)
    assert page.locator("#bird-card").inner_text() != before
    assert all(img.get_attribute("alt") for img in page.locator("#bird-card img").all())
    page.locator("#species button").first.click()
    page.locator('#species-gallery button[data-key="twin-lanternwing"]').click(timeout=TO_READ)
    page.locator("#bird-card", has_text="Twin Lanternwing").wait_for(timeout=TO_READ)


def test_two_species_and_a_kept_upload_that_is_there_after_a_refresh_until_it_is_deleted(
    open_page: OpenPage, archive: Path, app_runs: Path
) -> None:
    kept = archive.with_name("kept.zip")
    archive.rename(kept)
    page = open_page("?tab=data")
    wait_for_data(page)
    compare_two_species(page)
    send(page, kept)
    page.locator("#bad-files").wait_for(timeout=TO_READ)
    page.reload()
    wait_for_data(page)
    choose(page, "#source", "kept.zip")
    page.locator("#bad-files").wait_for(timeout=TO_READ)
    page.locator("#delete-data").click()
    page.locator("#really-delete").click()
    page.locator("#data-about", has_text="Choose a data set").wait_for(timeout=TO_READ)
    assert not (app_runs / "data" / "kept.zip").exists()
    page.locator("#source input").click()
    assert page.get_by_role("option", name="kept.zip").count() == 0


def test_a_hostile_archive_is_refused_and_leaves_nothing(
    open_page: OpenPage, tmp_path: Path, app_runs: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w") as packed:
        packed.writestr("../../../evil.jpg", picture(0, 0))
    (tmp_path / "notes.zip").write_text("no archive at all")
    page = open_page("?tab=data", viewport=PHONE)
    wait_for_data(page)
    for name, says in (("hostile.zip", "evil.jpg"), ("notes.zip", "notes.zip")):
        send(page, tmp_path / name)
        page.locator("#data-notice", has_text=says).wait_for(timeout=TO_READ)
        page.locator("#data-about", has_text="Choose a data set").wait_for(timeout=TO_READ)
        assert not (app_runs / "data" / name).exists()
    assert not list(app_runs.parent.rglob("evil.jpg"))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
