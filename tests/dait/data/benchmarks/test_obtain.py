"""Where benchmarks are looked for, and what is said when they cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer
from miniatures import Mini, archive

from dait.data.benchmarks.obtain import available, obtain
from dait.errors import UserError
from dait.storage.paths import downloads_folder

MakeMini = Callable[..., Mini]


def test_the_data_folder_is_chosen_or_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_DOWNLOADS", str(tmp_path / "mine"))
    assert downloads_folder() == tmp_path / "mine" and not downloads_folder().exists()
    monkeypatch.delenv("DAIT_DOWNLOADS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert downloads_folder() == tmp_path / ".local" / "share" / "dait-studio" / "data"


def test_a_download_that_fails_says_which_file_to_put_where(
    mini: MakeMini, server: FileServer
) -> None:
    made = mini("stanford-dogs")
    del server.files["/stanford-dogs/annotation.tar"]
    with pytest.raises(UserError) as caught:
        made.listing()
    sentence = str(caught.value)
    url = server.url("stanford-dogs/annotation.tar")
    assert "‘annotation.tar’ could not be downloaded" in sentence and "404" in sentence
    assert f"Get ‘annotation.tar’ ({url}, 20,480 bytes) and ‘lists.tar’" in sentence
    assert "‘images.tar’" not in sentence  # it came before, and is kept
    assert f"put them into ‘{made.folder / 'archives'}’" in sentence
    (made.folder / "archives" / "annotation.tar").write_bytes(made.files["annotation.tar"])
    made.listing()


def test_a_wrong_checksum_is_not_unpacked(mini: MakeMini, server: FileServer) -> None:
    made = mini("food-101")
    good = server.files["/food-101/food-101.tar.gz"]
    good.data = good.data[:-1] + bytes([good.data[-1] ^ 1])
    with pytest.raises(UserError, match=r"has the md5 .*, not .* as published, and was deleted"):
        made.listing()
    assert not (made.folder / "unpacked").exists()
    assert list((made.folder / "archives").iterdir()) == []


def test_an_archive_put_there_is_checked_and_left_alone(mini: MakeMini) -> None:
    made = mini("food-101")
    (made.folder / "archives").mkdir(parents=True)
    mine = made.folder / "archives" / "food-101.tar.gz"
    mine.write_bytes(made.files[mine.name][:-9])
    with pytest.raises(UserError, match=f"{mine}’ has .* bytes; as published"):
        made.listing()
    mine.write_bytes(made.files[mine.name][:-1] + b"!")
    with pytest.raises(UserError, match=f"{mine}’ is not the file that was published"):
        made.listing()
    assert mine.exists() and not (made.folder / "unpacked").exists()


def test_another_archive_under_its_name_is_a_sentence(mini: MakeMini) -> None:
    made = mini("food-101", {"food-101.tar.gz": archive({"other/file.txt": b"?"})})
    with pytest.raises(UserError, match=r"holds no ‘food-101/meta/train.txt’"):
        made.listing()


def test_an_unsafe_archive_is_refused(mini: MakeMini) -> None:
    made = mini("food-101", {"food-101.tar.gz": archive({"../evil.txt": b"?"})})
    with pytest.raises(UserError, match=r"leads out of the folder.*unpacked by hand into"):
        made.listing()
    assert list((made.folder / "unpacked").iterdir()) == []
    assert not list(made.folder.parent.rglob("evil.txt"))


def test_a_mirror_is_asked_instead(mini: MakeMini, server: FileServer) -> None:
    made = mini("nabirds")
    published = tuple(replace(one, url="") for one in made.benchmark.published)
    made.benchmark = replace(made.benchmark, published=published)
    obtain(made.benchmark, made.folder, mirror=server.url("nabirds/"))
    assert server.asked == [("/nabirds/nabirds.tar.gz", None)]


def test_what_is_available_counts_archives_but_not_parts_of_them(mini: MakeMini) -> None:
    made = mini("oxford-iiit-pet")
    archives = made.folder / "archives"
    archives.mkdir(parents=True)
    (archives / "images.tar.gz").write_bytes(made.files["images.tar.gz"])
    (archives / "annotations.tar.gz.part").write_bytes(b"the first bytes")
    assert not available(made.benchmark, made.folder)
    (archives / "annotations.tar.gz").write_bytes(made.files["annotations.tar.gz"])
    assert available(made.benchmark, made.folder)


def test_the_data_folder_cannot_be_written(mini: MakeMini, tmp_path: Path) -> None:
    made = mini("food-101")
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(UserError, match=r"cannot be written .*DAIT_DOWNLOADS"):
        made.listing()
