"""The members of a zip or a tar, under the names that they most probably have."""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from dait.data.archives.code_pages import decode_names
from dait.data.archives.forward import Forward, Reader

if TYPE_CHECKING:
    from dait.data.archives.unpack import Filling

_CHUNK = 1 << 20  # bytes
_MOST_DIRECTORY = 1 << 28  # bytes of a zip's table of contents
_MOST_HEADER = 4 << 20  # bytes that one header of a tar may make the reader hold
_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # the extra field in which Info-ZIP, 7-Zip and WinRAR write a name in UTF-8


@dataclass(frozen=True)
class Member:
    """One file or folder of an archive: ``size`` is what its header claims."""

    name: str
    size: int
    folder: bool
    open: Callable[[], IO[bytes]]


class ForeignNames(Exception):  # noqa: N818 - no error: the archive is read again
    """A tar has names that are not in UTF-8: ``decode`` reads them, ``page`` is the guess."""

    def __init__(self, decode: Callable[[bytes], str], page: str | None) -> None:
        super().__init__(page)
        self.decode, self.page = decode, page


class _Directory:
    """The file under a zip; stands guard while ``zipfile`` reads the whole table of contents."""

    def __init__(self, stream: BinaryIO, filling: Filling) -> None:
        self._stream, self._filling, self.guarding = stream, filling, True
        self.seek, self.tell = stream.seek, stream.tell
        self.seekable = stream.seekable

    def read(self, size: int = -1) -> bytes:
        if self.guarding and size > _MOST_DIRECTORY:
            raise self._filling.refuse("has too long a table of contents")
        data = self._stream.read(size)
        if self.guarding:
            self._filling.require_count(data.count(b"PK\x01\x02"))
        return data


def fill_from_zip(filling: Filling, stream: BinaryIO) -> None:
    """Raises ``UserError`` for a member that is a link or device, encrypted or overlapping."""
    directory = _Directory(stream, filling)
    with filling.reading():
        packed = zipfile.ZipFile(cast(BinaryIO, directory))
    directory.guarding = False
    infos = packed.infolist()
    filling.require_count(len(infos))
    filling.require_bytes(sum(info.file_size for info in infos))
    for info in infos:
        _require_plain_zip(filling, info)
    _require_apart(filling, infos)
    read = 0
    for info, name in zip(infos, _zip_names(filling, infos), strict=True):
        size, folder = info.file_size, name.endswith(("/", "\\"))
        filling.add(Member(name, size, folder, lambda info=info: packed.open(info)))  # type: ignore[misc]
        read += info.compress_size
        filling.tell(read)


def _zip_names(filling: Filling, infos: list[zipfile.ZipInfo]) -> list[str]:
    """The names of the members: by the flag of UTF-8, by the extra field, or guessed."""
    # orig_filename: the other one ends at a NUL, and so would hide one. Without the flag, zipfile
    # has read it as CP437, in which every byte is a letter: so it can be taken back.
    names = [
        info.orig_filename if info.flag_bits & _UTF8_FLAG else _unicode_path(info) for info in infos
    ]
    raw = [
        info.orig_filename.encode("cp437")
        for info, name in zip(infos, names, strict=True)
        if name is None
    ]
    decode, page = decode_names(raw)
    if page:
        filling.note_guess(page)
    rest = iter(raw)
    return [decode(next(rest)) if name is None else name for name in names]


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """The name in UTF-8 beside the one in a code page, while it is of the same name."""
    extra, at = info.extra, 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            (crc,) = struct.unpack_from("<L", field, 1)
            if crc == zlib.crc32(info.orig_filename.encode("cp437")):
                return field[5:].decode("utf-8", "surrogateescape")
    return None


def _require_apart(filling: Filling, infos: list[zipfile.ZipInfo]) -> None:
    """Raises ``UserError`` where two files share bytes, as in bombs."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise filling.refuse(
                f"holds {shown(info.filename)}, which overlaps with the file before it",
                "It is damaged or a bomb: pack the photographs again.",
            )
        end = info.header_offset + 30 + len(info.orig_filename) + info.compress_size


def _require_plain_zip(filling: Filling, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise filling.refuse(f"holds {shown(info.filename)}, a link or device")
    if info.flag_bits & 0x2041:  # encrypted: the old way, the strong way, the names too
        raise filling.refuse("is encrypted", "Pack it again without a password.")
    # Of Python's other methods, bzip2 would inflate a whole read at once and LZMA asks for as much
    # memory as the file pleases.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise filling.refuse(
            f"holds {shown(info.filename)}, compressed by method {info.compress_type}",
            "Pack it again with the usual compression (deflate).",
        )


def fill_from_tar(
    filling: Filling, stream: BinaryIO, plain: Reader, foreign: ForeignNames | None
) -> None:
    """foreign: how to read the names, if they are not in UTF-8; raises it where that is not known.

    Raises ``UserError`` for a member that is no file and no folder.
    """
    forward, names = Forward(plain, most=_MOST_HEADER), list[bytes]()
    with filling.reading():
        packed = tarfile.open(  # noqa: SIM115
            fileobj=cast(BinaryIO, forward), mode="r:", encoding="utf-8"
        )
    while True:
        with filling.reading():
            info = packed.next()
        if info is None:
            break
        raw = info.name.encode("utf-8", "surrogateescape")
        names.append(raw)
        if foreign is None and any("\udc80" <= letter <= "\udcff" for letter in info.name):
            with filling.reading():
                names += (more.name.encode("utf-8", "surrogateescape") for more in packed)
            raise ForeignNames(*decode_names(names))
        if info.issparse() or not (info.isreg() or info.isdir()):
            raise filling.refuse(f"holds {shown(info.name)}, a link, device or sparse file")
        # isreg, so extractfile gives a reader and never None
        opened = cast(Callable[[], IO[bytes]], lambda info=info: packed.extractfile(info))
        name = foreign.decode(raw) if foreign else info.name
        filling.add(Member(name, info.size, info.isdir(), opened))
        filling.tell(stream.tell())
    with filling.reading():
        # tarfile takes a damaged header after the first file for the end. The true end is a block
        # of zeros; what follows it ends a compressed stream, whose checksum is read with it.
        if forward.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError
        forward.read(_CHUNK)


def shown(name: str) -> str:
    """A hostile name for a sentence: printable, and not too long."""
    safe = name if name.isprintable() else ascii(name)[1:-1]
    return f"‘{safe}’" if len(safe) <= 80 else f"‘{safe[:77]}…’"
