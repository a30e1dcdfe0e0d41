"""The members of a zip or a tar, under the names that they most probably have.

``zipfile`` and ``tarfile`` read whole tables and headers into memory, however long those claim to
be; what is here bounds them.
"""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, BinaryIO, cast

from dait.data.archives.code_pages import decode_names
from dait.data.archives.destination import Destination, Member, shown
from dait.data.archives.streams import ForwardReader, Reader

_CHUNK = 1 << 20  # bytes
_MOST_DIRECTORY = 1 << 28  # bytes of a zip's table of contents
_MOST_HEADER = 4 << 20  # bytes that one header of a tar may make the reader hold
_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # the extra field in which Info-ZIP, 7-Zip and WinRAR write a name in UTF-8


class ForeignNames(Exception):  # noqa: N818 - no error: the archive is read again
    """A tar has names that are not in UTF-8: ``decode`` reads them, ``page`` is the guess."""

    def __init__(self, decode: Callable[[bytes], str], page: str | None) -> None:
        super().__init__(page)
        self.decode, self.page = decode, page


class _Directory:
    """The file under a zip, with bounds on what ``zipfile`` reads while ``bounded`` is true.

    That is the table of contents, which it reads at once.
    """

    def __init__(self, stream: BinaryIO, destination: Destination) -> None:
        self._stream, self._destination, self.bounded = stream, destination, True
        self.seek, self.tell = stream.seek, stream.tell
        self.seekable = stream.seekable

    def read(self, size: int = -1) -> bytes:
        if self.bounded and size > _MOST_DIRECTORY:
            raise self._destination.refusal("has too long a table of contents")
        data = self._stream.read(size)
        if self.bounded:
            self._destination.require_count(data.count(b"PK\x01\x02"))
        return data


def unpack_zip(destination: Destination, stream: BinaryIO) -> None:
    """Write the members of a zip.

    Raises ``UserError`` for a member that is a link or device, encrypted or overlapping.
    """
    directory = _Directory(stream, destination)
    with destination.reading():
        archive = zipfile.ZipFile(cast(BinaryIO, directory))
    directory.bounded = False
    infos = archive.infolist()
    destination.require_count(len(infos))
    destination.require_bytes(sum(info.file_size for info in infos))
    for info in infos:
        _require_plain(destination, info)
    _require_no_overlap(destination, infos)
    read = 0
    for info, name in zip(infos, _zip_names(destination, infos), strict=True):
        size, folder = info.file_size, name.endswith(("/", "\\"))
        destination.add(Member(name, size, folder, lambda info=info: archive.open(info)))  # type: ignore[misc]
        read += info.compress_size
        destination.report(read)


def _zip_names(destination: Destination, infos: list[zipfile.ZipInfo]) -> list[str]:
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
        destination.note_code_page(page)
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


def _require_no_overlap(destination: Destination, infos: list[zipfile.ZipInfo]) -> None:
    """Raises ``UserError`` where two files share bytes, as in bombs."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise destination.refusal(
                f"holds {shown(info.filename)}, which overlaps with the file before it",
                "It is damaged or a bomb: pack the photographs again.",
            )
        end = info.header_offset + 30 + len(info.orig_filename) + info.compress_size


def _require_plain(destination: Destination, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise destination.refusal(f"holds {shown(info.filename)}, a link or device")
    if info.flag_bits & 0x2041:  # encrypted: the old way, the strong way, the names too
        raise destination.refusal("is encrypted", "Pack it again without a password.")
    # Of Python's other methods, bzip2 would inflate a whole read at once and LZMA asks for as much
    # memory as the file pleases.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise destination.refusal(
            f"holds {shown(info.filename)}, compressed by method {info.compress_type}",
            "Pack it again with the usual compression (deflate).",
        )


def unpack_tar(
    destination: Destination, stream: BinaryIO, plain: Reader, foreign: ForeignNames | None
) -> None:
    """Write the members of a tar.

    plain: ``stream`` without its compression. foreign: how to decode the names that are not in
    UTF-8; None where that is not known yet, and then raised for such names.

    Raises ``UserError`` for a member that is no file and no folder.
    """
    forward, names = ForwardReader(plain, most=_MOST_HEADER), list[bytes]()
    with destination.reading():
        archive = tarfile.open(  # noqa: SIM115
            fileobj=cast(BinaryIO, forward), mode="r:", encoding="utf-8"
        )
    while True:
        with destination.reading():
            info = archive.next()
        if info is None:
            break
        raw = info.name.encode("utf-8", "surrogateescape")
        names.append(raw)
        if foreign is None and any("\udc80" <= letter <= "\udcff" for letter in info.name):
            with destination.reading():
                names += (more.name.encode("utf-8", "surrogateescape") for more in archive)
            raise ForeignNames(*decode_names(names))
        if info.issparse() or not (info.isreg() or info.isdir()):
            raise destination.refusal(f"holds {shown(info.name)}, a link, device or sparse file")
        # isreg, so extractfile gives a reader and never None
        opened = cast(Callable[[], IO[bytes]], lambda info=info: archive.extractfile(info))
        name = foreign.decode(raw) if foreign else info.name
        destination.add(Member(name, info.size, info.isdir(), opened))
        destination.report(stream.tell())
    with destination.reading():
        # tarfile takes a damaged header after the first file for the end. The true end is a block
        # of zeros; what follows it ends a compressed stream, whose checksum is read with it.
        if forward.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError
        forward.read(_CHUNK)
