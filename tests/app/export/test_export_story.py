"""A visitor takes a student away, from the Train tab of a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import served, watched_tabs
from PIL import Image

from dait.bundle.web.runtime import Runtime

STUDY = "birds-20260101-120000-00000001"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def address(tiny_study: Path, tmp_path: Path) -> Iterator[str]:
    runs = tmp_path / "app" / "runs"
    shutil.copytree(tiny_study, runs / STUDY)
    with served(runs) as found:
        yield found


def test_a_student_is_downloaded_and_works(
    browser: Any, runtime: Runtime, address: str, tmp_path: Path
) -> None:
    with watched_tabs(browser, address) as open_page:
        page = open_page(f"?study={STUDY}&tab=train")
        page.wait_for_selector("#studies button[data-study]")
        page.locator("#train-export button").first.click()
        page.wait_for_function(
            "() => document.querySelector('#train-export-run input')?.value.includes('seed')"
        )
        page.locator("#train-export-ask").click()
        page.wait_for_selector("#train-export-file", state="visible", timeout=300_000)
        with page.expect_download() as download:
            page.locator("#train-export-file").click()
        download.value.save_as(tmp_path / "student.zip")
        measured = page.locator("#train-export-measured tbody tr")
        assert measured.count() == 4
        page.get_by_role("tab", name="Compare").click()
        page.locator("#deployment button").first.click()
        page.wait_for_function(
            "() => document.querySelectorAll('#deployment-table tbody tr').length === 4"
        )
        assert "int8" in page.locator("#deployment-table").inner_text()
        page.locator("#export button").first.click()
        page.locator("#export-form input").click()
        page.get_by_role("option", name="Page for a phone").click()
        page.locator("#export-ask").click()
        page.wait_for_selector("#export-page a", timeout=300_000)
        with page.expect_popup() as opened:
            page.locator("#export-page a").click()
        opened.value.wait_for_selector("input[type=file]", state="attached")
        assert opened.value.evaluate("() => typeof window.student.classify") == "function"
    with zipfile.ZipFile(tmp_path / "student.zip") as archive:
        archive.extractall(tmp_path)
    (script,) = tmp_path.glob("birds-*/predict.py")
    Image.new("RGB", (60, 50), (40, 90, 160)).save(tmp_path / "photo.jpg")
    words = [sys.executable, str(script), str(tmp_path / "photo.jpg")]
    assert '"top"' in subprocess.run(words, capture_output=True, text=True, check=True).stdout
