"""Uploaded archives: names of ours, bounds, and nothing half-done."""

from __future__ import annotations

import io
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.catalogue.uploads import Uploads
from app.config import AppConfig, Limits
from dait.data.archives.archive import list_archive
from dait.errors import UserError


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A file as the server has received it."""
    path = tmp_path / "received"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize(
    ("called", "kept"),
    [
        ("birds.zip", "birds.zip"),
        ("My birds, at home (2).ZIP", "My-birds-at-home-2.zip"),
        ("../../etc/passwd.tar.gz", "passwd.tar.gz"),
        (".zip", "photographs.zip"),
        ("…/鳥.tgz", "photographs.tgz"),
        ("x" * 300 + ".tar", "x" * 60 + ".tar"),
    ],
)
def test_names_are_ours(empty_config: AppConfig, sent: Path, called: str, kept: str) -> None:
    uploads = Uploads(empty_config)
    assert uploads.keep(sent, called) == kept
    assert uploads.names() == [kept]
    assert uploads.path(kept).read_bytes() == b"0123456789"
    assert uploads.path(kept).parent == empty_config.runs.path / "data"


def test_one_name_is_never_given_twice(empty_config: AppConfig, sent: Path) -> None:
    uploads = Uploads(empty_config)
    names = {uploads.keep(sent, called) for called in ("a.zip", "a.zip", "A.ZIP", "a.tar")}
    assert names == {"a.zip", "a-2.zip", "A-3.zip", "a.tar"}


def test_bounds_are_said_and_leave_nothing(empty_config: AppConfig, sent: Path) -> None:
    small = Uploads(replace(empty_config, limits=Limits(archive_bytes=9)))
    with pytest.raises(UserError, match=r"at most 0\.0 MiB"):
        small.keep(sent, "a.zip")
    few = Uploads(replace(empty_config, limits=Limits(archives=1)))
    with pytest.raises(UserError, match="is not an archive"):
        few.keep(sent, "a.jpg")
    assert few.names() == [] and not list(few.folder.glob("*"))
    few.keep(sent, "a.zip")
    with pytest.raises(UserError, match="Delete one"):
        few.keep(sent, "b.zip")
    assert [file.name for file in few.folder.iterdir()] == ["a.zip"]


def test_only_what_was_uploaded_can_be_named_or_deleted(
    empty_config: AppConfig, sent: Path
) -> None:
    uploads = Uploads(empty_config)
    uploads.keep(sent, "a.zip")
    outside = empty_config.runs.path / "other.zip"
    outside.write_bytes(b"mine")
    for name in ("../other.zip", str(outside), "b.zip", None, 3):
        with pytest.raises(UserError, match="was deleted"):
            uploads.delete(name)
    assert outside.exists()
    uploads.delete("a.zip")
    assert uploads.names() == []


def test_what_was_unpacked_goes_with_the_upload(
    empty_config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as pack:
        for number in range(8):
            picture = io.BytesIO()
            Image.new("RGB", (20, 20), (number * 30, 0, 0)).save(picture, "PNG")
            pack.writestr(f"{'ab'[number % 2]}/{number}.png", picture.getvalue())
    uploads = Uploads(empty_config)
    names = [uploads.keep(archive, "photos.zip"), uploads.keep(archive, "again.zip")]
    list_archive(uploads.path(names[0]))
    unpacked = tmp_path / "cache" / "archives"
    assert len(list(unpacked.glob("*/*/*.png"))) == 8
    uploads.delete(names[0])
    assert len(list(unpacked.glob("*/*/*.png"))) == 8  # the other upload's too
    uploads.delete(names[1])
    assert not list(unpacked.glob("*/*"))


def test_uploads_are_no_studies(empty_config: AppConfig, sent: Path) -> None:
    Uploads(empty_config).keep(sent, "a.zip")
    assert empty_config.runs.studies() == []


def test_uploads_that_vanish_while_they_are_listed_are_not_listed(empty_config: AppConfig) -> None:
    folder, done = empty_config.runs.path / "data", threading.Event()
    folder.mkdir()
    (folder / "stays.zip").touch()

    def come_and_go() -> None:
        while not done.is_set():
            for number in range(20):
                (folder / f"gone-{number}.zip").touch()
            for number in range(20):
                (folder / f"gone-{number}.zip").unlink()

    visitor = threading.Thread(target=come_and_go)
    visitor.start()
    try:
        assert all("stays.zip" in Uploads(empty_config).names() for _ in range(1500))
    finally:
        done.set()
        visitor.join()


def test_a_file_that_is_gone_before_it_is_kept_is_a_sentence(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="Upload it again"):
        Uploads(empty_config).keep(tmp_path / "gone", "a.zip")
