"""Archives, good and hostile, made by the real writers of zip and tar."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import multiprocessing
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dait.data.archives.destination import ArchiveLimits
from dait.data.archives.unpack import unpack
from dait.errors import Stopped, UserError
from dait.events import Event, Progress
from dait.storage.files import temporary_name

GOOD = {"cat/1.jpg": b"one" * 1000, "cat/2.jpg": b"", "dog/a b/ü.jpg": os.urandom(5000)}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def one_tar_member(path: Path, change: Callable[[tarfile.TarInfo], None]) -> Path:
    info = tarfile.TarInfo("cat/1.jpg")
    change(info)
    with tarfile.open(path, "w") as archive:
        archive.addfile(info)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(archive: Path, match: str, limits: ArchiveLimits | None = None) -> str:
    """Unpacking must fail with a sentence and leave nothing beside ``into``."""
    into = archive.parent / "into" / "photos"
    with pytest.raises(UserError, match=match) as caught:
        unpack(archive, into, limits or ArchiveLimits())
    assert list(into.parent.iterdir()) == []
    assert not (archive.parent / "evil").exists()
    return str(caught.value)


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_comes_out_whole(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "photos.bin"  # the name does not matter
    zipped(archive, GOOD) if kind == "zip" else tarred(archive, GOOD, kind)
    events: list[Event] = []
    unpack(archive, tmp_path / "deep" / "out", emit=events.append)
    assert contents(tmp_path / "deep" / "out") == GOOD
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert isinstance(events[-1], Progress) and events[-1].done == events[-1].total


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_dialects_of_tar(tmp_path: Path, format: int) -> None:
    source = tmp_path / "source"
    name = f"./{'long' * 20}/{'name' * 15}.jpg"
    (source / name).parent.mkdir(parents=True)
    (source / name).write_bytes(b"photo")
    with tarfile.open(tmp_path / "p.tar", "w", format=format) as archive:
        archive.add(source, ".")
    unpack(tmp_path / "p.tar", tmp_path / "out")
    assert contents(tmp_path / "out") == {name[2:]: b"photo"}


def test_joined_streams_are_one_archive(tmp_path: Path) -> None:
    plain = tarred(tmp_path / "p.tar", GOOD).read_bytes()
    for number, packer in enumerate((gzip.compress, bz2.compress, lzma.compress)):
        archive = tmp_path / "p.packed"
        archive.write_bytes(packer(plain[:700]) + packer(plain[700:]))
        unpack(archive, tmp_path / f"out{number}")
        assert contents(tmp_path / f"out{number}") == GOOD


def test_modes_of_the_archive_are_not_honoured(tmp_path: Path) -> None:
    def suid(info: tarfile.TarInfo) -> None:
        info.mode = 0o6777

    unpack(one_tar_member(tmp_path / "p.tar", suid), tmp_path / "out")
    mode = stat.S_IMODE((tmp_path / "out/cat/1.jpg").stat().st_mode)
    assert mode & 0o7111 == 0


UNSAFE_NAMES = {
    "../evil": "leads out",
    "cat/../../evil": "leads out",
    "/evil": "a root",
    "C:evil": "a drive",
    "C:/evil": "a drive",
    "..\\evil": "leads out",
    "\\evil": "a root",
    "C:\\evil": "a drive",
    "cat/\x1b[2J.jpg": "control characters",
    "cat/new\nline.jpg": "control characters",
    "x" * 300 + ".jpg": "too long",
    "/".join(["d"] * 40) + "/1.jpg": "too long",
    "ü/" + "/".join(["y" * 200] * 6): "too long",
}


@pytest.mark.parametrize("name", UNSAFE_NAMES, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_unsafe_names(tmp_path: Path, name: str, kind: str) -> None:
    files = {"good.jpg": b"photo", name: b"evil"}
    archive = tmp_path / f"p.{kind}"
    zipped(archive, files) if kind == "zip" else tarred(archive, files)
    message = refused(archive, UNSAFE_NAMES[name])
    assert message.isprintable() and len(message) < 300


def test_a_name_that_hides_behind_a_nul(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", {"cat/1.jpgX.exe": b"evil"})
    archive.write_bytes(archive.read_bytes().replace(b"1.jpgX", b"1.jpg\0"))
    refused(archive, "control characters")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_backslashes_are_read_as_slashes(tmp_path: Path, kind: str) -> None:
    files = {"cat\\": b"", "cat\\1.jpg": b"one", "dog/2.jpg": b"two"}
    archive = tmp_path / f"p.{kind}"
    if kind == "zip":
        zipped(archive, files)
    else:
        del files["cat\\"]
        tarred(archive, files)
    notes = unpack(archive, tmp_path / "out")
    assert len(notes) == 1 and "Backslashes" in notes[0]
    assert photographs(tmp_path / "out") == {"cat/1.jpg": b"one", "dog/2.jpg": b"two"}
    assert unpack(archive, tmp_path / "out") == notes  # and when it is there already


def photographs(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".jpg")}


def unmarked(path: Path, names: list[bytes]) -> Path:
    """A zip whose names are these bytes, without the flag of UTF-8."""
    plain = [f"n{number}".ljust(len(name), "~") for number, name in enumerate(names)]
    data = zipped(path, dict.fromkeys(plain, b"photo")).read_bytes()
    for stand_in, name in zip(plain, names, strict=True):
        data = data.replace(stand_in.encode(), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("codec", "words", "said"),
    [
        ("utf-8", ["cafe\u0301", "Äpfel", "苹果"], ""),
        ("cp437", ["café", "Erdnüsse"], "CP437"),
        ("cp1252", ["bär", "Éléphant"], "Windows-1252"),
        ("cp850", ["maçã", "limão"], "CP850"),
        ("gbk", ["猫", "狗"], "GBK"),  # 猫 alone would be è in UTF-8
        ("gbk", ["苹果", "香蕉"], "GBK"),
        ("gbk", ["麻雀", "喜鹊"], "GBK"),
        ("big5", ["麻雀", "喜鵲"], "Big5"),
        ("cp932", ["リンゴ", "バナナ"], "Shift-JIS"),
        ("cp932", ["ソース", "表"], "Shift-JIS"),  # with a backslash's byte in them
        ("cp949", ["사과", "참새"], "Korean"),
        ("cp866", ["яблоко", "Кот"], "CP866"),
        ("cp1251", ["яблоко", "Кот"], "Windows-1251"),
        ("cp1250", ["jabłko", "śliwka"], "Windows-1250"),
        ("cp737", ["μήλο", "αχλάδι"], "CP737"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_names_in_a_code_page(
    tmp_path: Path, codec: str, words: list[str], said: str, kind: str
) -> None:
    names = [f"{word}/{number}.jpg" for word in words for number in range(3)]
    raw = [name.encode(codec) for name in names]
    archive = tmp_path / "p"
    if kind == "zip":
        unmarked(archive, raw)
    else:
        with tarfile.open(archive, kind, encoding=codec, format=tarfile.GNU_FORMAT) as packed:
            for name in names:
                packed.addfile(tarfile.TarInfo(name))
    notes = unpack(archive, tmp_path / "out")
    assert sorted(photographs(tmp_path / "out")) == sorted(names)
    assert said in " ".join(notes) and len(notes) == bool(said)


def test_a_name_in_utf8_beside_the_one_in_a_code_page(tmp_path: Path) -> None:
    """As 7-Zip and WinRAR write it, with a hash of the name that it stands for."""
    code, name = "caf\x82.jpg".encode("latin-1"), "カフェ.jpg"
    field = struct.pack("<BL", 1, zlib.crc32(code)) + name.encode()
    info = zipfile.ZipInfo("cafX.jpg")
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(info, b"photo")
    (tmp_path / "p.zip").write_bytes((tmp_path / "p.zip").read_bytes().replace(b"cafX.jpg", code))
    assert unpack(tmp_path / "p.zip", tmp_path / "out") == ()
    assert contents(tmp_path / "out") == {name: b"photo"}


def test_what_systems_add_does_not_come_out(tmp_path: Path) -> None:
    files = {
        "cat/1.jpg": b"one",
        "__MACOSX/cat/._1.jpg": b"",
        "cat/Icon\r": b"",
        "a/Thumbs.db": b"",
    }
    files |= {"cat/@eaDir/1.jpg/small.jpg": b"", "$RECYCLE.BIN/x.jpg": b"", "cat/.DS_Store": b""}
    for archive in (zipped(tmp_path / "p.zip", files), tarred(tmp_path / "p.tar", files)):
        unpack(archive, tmp_path / archive.suffix)
        assert contents(tmp_path / archive.suffix) == {"cat/1.jpg": b"one"}


def test_a_name_in_no_encoding(tmp_path: Path) -> None:
    bad = b"\xff\xff\x81\x81.jpg".decode("utf-8", "surrogateescape")
    archive = tarred(tmp_path / "p.tar", {bad: b"photo"})
    try:
        unpack(archive, tmp_path / "out")
    except UserError as error:
        assert "not in UTF-8" in str(error)
    assert all(path.name.isprintable() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_tar_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    def become(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "../evil"

    refused(one_tar_member(tmp_path / "p.tar", become), "link, device or sparse")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_zip_links_and_devices(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("cat/1.jpg")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(info, "../../evil")
    refused(tmp_path / "p.zip", "link or device")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_clash(tmp_path: Path, kind: str) -> None:
    def build(names: list[str]) -> Path:
        path = tmp_path / f"p.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as zip_archive:
                for name in names:
                    zip_archive.writestr(zipfile.ZipInfo(name), b"x")
        else:
            with tarfile.open(path, "w") as tar_archive:
                for name in names:
                    tar_archive.addfile(tarfile.TarInfo(name))
        return path

    refused(build(["cat/1.jpg", "cat/2.jpg", "./cat//1.jpg"]), "twice")
    refused(build(["cat", "cat/1.jpg"]), "as a file and as a folder")
    refused(build(["cat/1.jpg", "cat"]), "twice")


def test_names_that_differ_by_case_are_two_files(tmp_path: Path) -> None:
    if (tmp_path / "a").mkdir() or (tmp_path / "A").exists():
        pytest.skip("this disk takes them for one")
    files = {"cat/1.jpg": b"small", "Cat/1.JPG": b"large"}
    unpack(zipped(tmp_path / "p.zip", files), tmp_path / "out")
    assert contents(tmp_path / "out") == files


def encrypted(archive: Path) -> Path:
    """Sets the flag in the local header and in the directory, as an encrypting packer does."""
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    archive.write_bytes(bytes(data))
    return archive


def test_encrypted(tmp_path: Path) -> None:
    refused(encrypted(zipped(tmp_path / "p.zip", {"1.jpg": b"secret"})), "encrypted.*password")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_bound(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", method) as archive:
        archive.writestr("1.jpg", b"x" * 1000)
    refused(tmp_path / "p.zip", "compressed by method")


def test_more_bytes_than_allowed(tmp_path: Path) -> None:
    files = {f"{number}.jpg": b"\0" * 40_000 for number in range(3)}
    for archive in (
        zipped(tmp_path / "p.zip", files),
        tarred(tmp_path / "p.tar", files),
        tarred(tmp_path / "p.tgz", files, "w:gz"),
    ):
        message = refused(archive, "more than 97.6562 KiB", ArchiveLimits(bytes=100_000))
        assert "give the folder" in message
        unpack(archive, tmp_path / "out" / archive.name, ArchiveLimits(bytes=120_000))


def test_a_bomb_by_its_ratio(tmp_path: Path) -> None:
    """Deflate makes a thousandth of zeros; photographs keep their size, small archives may."""
    zeros = {f"cat/{number}.bmp": bytes(2**24) for number in range(5)}
    for archive in (zipped(tmp_path / "p.zip", zeros), tarred(tmp_path / "p.txz", zeros, "w:xz")):
        refused(archive, "more than 100 times its own size")
        unpack(archive, tmp_path / f"out{archive.suffix}", ArchiveLimits(ratio=10**6))
    noise = os.urandom(2**20)
    unpack(zipped(tmp_path / "q.zip", zeros | {"cat/noise": noise}), tmp_path / "q")


def test_a_bomb_of_overlapping_files(tmp_path: Path) -> None:
    """Two entries of the table of contents that lead to the same bytes."""
    archive = zipped(tmp_path / "p.zip", {"1.jpg": os.urandom(500), "2.jpg": os.urandom(500)})
    data = archive.read_bytes()
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    archive.write_bytes(data[: entry + 42] + bytes(4) + data[entry + 46 :])
    refused(archive, "overlaps|damaged")
    archive.write_bytes(data[: entry + 42] + struct.pack("<L", 300) + data[entry + 46 :])
    refused(archive, "overlaps")


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", {"1.jpg": b"\0" * 10_000_000})
    data = archive.read_bytes().replace(struct.pack("<L", 10_000_000), struct.pack("<L", 10))
    archive.write_bytes(data)
    refused(archive, "damaged|more of", ArchiveLimits(bytes=1000))


def test_more_files_than_allowed(tmp_path: Path) -> None:
    files = {f"{number}.jpg": b"" for number in range(11)}
    for archive in (zipped(tmp_path / "p.zip", files), tarred(tmp_path / "p.tar", files)):
        refused(archive, "more than 10 files", ArchiveLimits(files=10))
        unpack(archive, tmp_path / "out" / archive.name, ArchiveLimits(files=11))
    deep = {"a/b/c/d/1.jpg": b"", "a/b/c/e/1.jpg": b""}  # two files and five folders
    refused(zipped(tmp_path / "p.zip", deep), "more than 6 files", ArchiveLimits(files=6))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_header_that_would_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 2**33
    header = info.tobuf(tarfile.GNU_FORMAT)
    with gzip.open(tmp_path / "p.tgz", "wb") as file:
        file.write(header + b"\0" * 2**20)
    refused(tmp_path / "p.tgz", "damaged")


def test_extended_headers_without_end(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 0
    (tmp_path / "p.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * 5000)
    refused(tmp_path / "p.tar", "damaged")


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_cut_short(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "p.bin"
    zipped(archive, GOOD) if kind == "zip" else tarred(archive, GOOD, kind)
    whole = archive.read_bytes()
    # A plain tar is padded with zeros after its end, which may be missing.
    end = 512 * 17 if kind == "w" else len(whole)
    for length in range(600, end - 1, end // 13):
        archive.write_bytes(whole[:length])
        refused(archive, "damaged or incomplete")


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz"])
def test_damaged(tmp_path: Path, kind: str) -> None:
    """A flipped byte is a sentence or goes unnoticed (a plain tar has no checksum of its files)."""
    archive = tmp_path / "p.bin"
    zipped(archive, GOOD) if kind == "zip" else tarred(archive, GOOD, kind)
    whole = archive.read_bytes()
    refusals = 0
    for number, place in enumerate(range(0, len(whole), max(1, len(whole) // 150))):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        archive.write_bytes(bytes(damaged))
        try:
            unpack(archive, tmp_path / "into" / str(number))
        except UserError as error:
            assert str(error).endswith("Nothing was unpacked.")
            refusals += 1
    assert refusals > 10


def test_what_is_no_archive(tmp_path: Path) -> None:
    file = tmp_path / "p.zip"
    for data, match in (
        (b"", "empty"),
        (b"<html>Sign in</html>", "not a .zip or .tar"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (gzip.compress(b"one photograph" * 100), "damaged"),
    ):
        file.write_bytes(data)
        refused(file, match)
    refused(zipped(file, {}), "no files")
    refused(tarred(file, {}), "not a .zip or .tar|no files")
    with pytest.raises(UserError, match="not there"):
        unpack(tmp_path / "gone.zip", tmp_path / "out")
    with pytest.raises(UserError, match="is a folder"):
        unpack(tmp_path, tmp_path / "out")


def test_asked_to_stop(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        raise Stopped

    archive = zipped(tmp_path / "p.zip", GOOD)
    with pytest.raises(Stopped):
        unpack(archive, tmp_path / "into" / "photos", emit=stop)
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real error of a full disk, from the device that is always full."""
    opened = Path.open

    def full(path: Path, mode: str = "r") -> object:
        return opened(Path("/dev/full"), "wb") if mode == "xb" else opened(path, mode)

    archive = zipped(tmp_path / "p.zip", {"1.jpg": os.urandom(100_000)})
    monkeypatch.setattr(Path, "open", full)
    refused(archive, "no room.*DAIT_CACHE")


def test_a_disk_is_not_filled_to_the_brim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"1.jpg": bytes(3_000_000)}
    archives = [zipped(tmp_path / "p.zip", files), tarred(tmp_path / "p.tgz", files, "w:gz")]
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr("dait.data.archives.destination._RESERVE", free - 1_000_000)
    for archive in archives:
        refused(archive, "no room")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be unpacked into"):
        unpack(zipped(tmp_path / "p.zip", GOOD), tmp_path / "file" / "photos")


def _unpack_at_once(archive: Path, into: Path, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    unpack(archive, into)
    assert len(contents(into)) == 60


def test_two_processes_at_once(tmp_path: Path) -> None:
    files = {f"{number}.jpg": os.urandom(20_000) for number in range(60)}
    archive, into = tarred(tmp_path / "p.tgz", files, "w:gz"), tmp_path / "into" / "photos"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [
        context.Process(target=_unpack_at_once, args=(archive, into, barrier)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert contents(into) == files
    assert list(into.parent.iterdir()) == [into]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".other.99999999-0123abcd.tmp"
    busy = temporary_name(tmp_path / "photos")
    for folder in (left, busy):
        (folder / "cat").mkdir(parents=True)
    unpack(zipped(tmp_path / "p.zip", GOOD), tmp_path / "photos")
    assert not left.exists() and busy.exists()
