"""Archives that nobody should unpack: bombs, links, names that lead out, and mutated good ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

from hostile_images import (
    cut,
    doubled,
    flipped,
    flipped_head,
    good_image,
    huge_number,
    polyglot,
    without_middle,
    zeros,
)  # fmt: skip

MUTATIONS = (
    cut, doubled, flipped, flipped_head, huge_number, polyglot, without_middle, zeros,
)  # fmt: skip
NAMES = (
    "../evil.jpg", "cat/../../evil.jpg", "/evil.jpg", "//evil.jpg", "C:\\evil.jpg", "..\\evil.jpg",
    "cat/\x1b[2J.jpg", "cat/a\nb.jpg", "x" * 300 + ".jpg", "/".join("d" * 60) + "/1.jpg",
    ".notes-of-unpacking", "cat/\u202egpj.exe", "<img src=x onerror=alert(1)>/1.jpg", "con/nul.jpg",
    "cat/.", "..", ".", "~/evil.jpg", "cat/'\";--.jpg", "{{7*7}}/1.jpg",
)  # fmt: skip
BYTES = (b"\xff\xfe\x80/1.jpg", b"cat/\xc3(.jpg", b"\x80\x81\x82/\xff.jpg", b"caf\xe9/1.jpg")
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
TARGETS = ("/etc/passwd", "../../../../etc", ".", "cat")


def hostile_archives(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """So many archives, each with a name that says what it is."""
    fixed: list[tuple[str, Callable[[], bytes]]] = [
        (f"{name}{ending}", make) for (name, ending), make in BOMBS.items()
    ]
    for number, name in enumerate(NAMES):
        fixed += [(f"name-{number}.{kind}", partial(_pack, kind, name)) for kind in ("zip", "tar")]
    fixed += [(f"bytes-{n}.tar", partial(tar_of_bytes, name)) for n, name in enumerate(BYTES)]
    for kind in LINKS:
        fixed += [
            (f"link-{kind.decode()}-{n}.tar", partial(tar_of_links, kind, target))
            for n, target in enumerate(TARGETS)
        ]
    if count < 2 * len(fixed):
        fixed = rng.sample(fixed, count // 2)
    whole = {
        f".{kind}": _pack(kind, "dog/9.jpg")
        for kind in ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")
    }
    for number in range(count):
        if number < len(fixed):
            name, make = fixed[number]
            data = make()
        else:
            name = rng.choice(list(whole))
            data = whole[name]
            changes = [rng.choice(MUTATIONS) for _ in range(rng.choice([1, 1, 3]))]
            for change in changes:
                data = change(rng, data) if data else data
            name = "-".join(change.__name__ for change in changes) + name
        yield f"{number:04d}-{name}", data


def _pack(form: str, name: str) -> bytes:
    """Photographs of two classes, and one more under this name."""
    files = {f"{kind}/{n}.jpg": good_image() for kind in ("cat", "dog") for n in range(6)}
    files[name] = good_image()
    file = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for path, data in files.items():
                packed.writestr(zipfile.ZipInfo(path), data)
        return file.getvalue()
    modes = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
    with tarfile.open(fileobj=file, mode=modes[form]) as packed:  # type: ignore[call-overload]
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return file.getvalue()


def tar_of_bytes(name: bytes) -> bytes:
    """A tar with a name that is these bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for path in ("cat/1.jpg", name.decode("utf-8", "surrogateescape")):
            info = tarfile.TarInfo(path)
            info.size = len(good_image())
            packed.addfile(info, io.BytesIO(good_image()))
    return file.getvalue()


def tar_of_links(kind: bytes, target: str) -> bytes:
    """A link or device, and a file that would be written through it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        link = tarfile.TarInfo("cat")
        link.type, link.linkname = kind, target
        packed.addfile(link)
        info = tarfile.TarInfo("cat/evil.jpg")
        info.size = len(good_image())
        packed.addfile(info, io.BytesIO(good_image()))
    return file.getvalue()


def zip_of_overlapping_entries() -> bytes:
    """A thousand entries of the table of contents that share one compressed file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cat/0000.jpg", bytes(2**20))
    data = file.getvalue()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = [entry.replace(b"cat/0000", b"cat/%04d" % number) for number in range(1000)]
    table = b"".join(entries)
    tail = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1000, 1000, len(table), start, 0)
    return data[:start] + table + tail


def zip_of_quoted_entries() -> bytes:
    """Files within one another: each local header lies in the compressed bytes of another."""
    inner = _pack("zip", "cat/inner.jpg")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("cat/outer.jpg", inner)
    data = file.getvalue()
    at = data.index(b"PK\x01\x02", data.index(inner) + len(inner))
    hidden = struct.pack("<L", data.index(inner))
    entry = bytearray(data[at : data.index(b"PK\x05\x06", at)])
    entry[42:46] = hidden
    entry = bytearray(bytes(entry).replace(b"cat/outer", b"cat/1.jpg"))
    table = data[at : data.index(b"PK\x05\x06", at)] + bytes(entry)
    tail = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 2, 2, len(table), at, 0)
    return data[:at] + table + tail


def zip_of_zips() -> bytes:
    """Archives within archives, five deep."""
    data = _pack("zip", "cat/3.jpg")
    for depth in range(5):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for copy in range(8):
                packed.writestr(f"{depth}-{copy}.zip", data)
        data = file.getvalue()
    return data


def zip_of_zeros() -> bytes:
    """A gigabyte of zeros in a megabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(16):
            packed.writestr(f"cat/{number}.bmp", bytes(2**26))
    return file.getvalue()


def zip_that_claims_a_table_of_gigabytes() -> bytes:
    data = bytearray(_pack("zip", "dog/9.jpg"))
    end = data.index(b"PK\x05\x06")
    data[end + 8 : end + 20] = struct.pack("<HHLL", 65_535, 65_535, 2**31, 0)
    return bytes(data)


def zip_with_a_password() -> bytes:
    data = bytearray(_pack("zip", "dog/9.jpg"))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zip_of_links() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        info = zipfile.ZipInfo("cat")
        info.external_attr = (0o120777) << 16
        packed.writestr(info, "/etc")
        packed.writestr("cat/evil.jpg", good_image())
    return file.getvalue()


def _tar_of_zeros(size: int) -> bytes:
    info = tarfile.TarInfo("cat/1.bmp")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(2**20)


def _streamed(opened: Callable[[io.BytesIO], io.BufferedIOBase], mebibytes: int) -> bytes:
    file = io.BytesIO()
    with opened(file) as packer:
        info = tarfile.TarInfo("cat/1.bmp")
        info.size = mebibytes * 2**20
        packer.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(mebibytes):
            packer.write(bytes(2**20))
    return file.getvalue()


def gzip_bomb() -> bytes:
    return _streamed(lambda file: gzip.GzipFile(fileobj=file, mode="wb"), 512)  # type: ignore[arg-type,return-value]


def bzip2_bomb() -> bytes:
    return _streamed(lambda file: bz2.BZ2File(file, "wb"), 128)  # type: ignore[arg-type,return-value]


def xz_bomb() -> bytes:
    return _streamed(lambda file: lzma.LZMAFile(file, "wb"), 256)  # type: ignore[arg-type,return-value]


def gzip_of_gzips() -> bytes:
    data = bytes(2**26)
    for _ in range(3):
        data = gzip.compress(data)
    return data


def tar_of_a_terabyte() -> bytes:
    return _tar_of_zeros(2**33 - 1)


def tar_of_holes() -> bytes:
    info = tarfile.TarInfo("cat/1.bmp")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 2**30
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(2**16)


def tar_with_a_name_of_megabytes() -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 64 * 2**20
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"x" * info.size)


def tar_of_fifty_thousand_folders() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as packed:
        for number in range(50_000):
            packed.addfile(tarfile.TarInfo(f"{number}/{number}.jpg"))
    return file.getvalue()


BOMBS: dict[tuple[str, str], Callable[[], bytes]] = {
    (make.__name__, ending): make
    for ending, makers in {
        ".zip": (
            zip_of_overlapping_entries, zip_of_quoted_entries, zip_of_zips, zip_of_zeros,
            zip_that_claims_a_table_of_gigabytes, zip_with_a_password, zip_of_links,
        ),
        ".tar": (tar_of_a_terabyte, tar_of_holes),
        ".tar.gz": (
            gzip_bomb, gzip_of_gzips, tar_with_a_name_of_megabytes, tar_of_fifty_thousand_folders,
        ),
        ".tar.bz2": (bzip2_bomb,),
        ".tar.xz": (xz_bomb,),
    }.items()
    for make in makers
}  # fmt: skip
