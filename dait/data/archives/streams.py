"""Streams that are read once, from start to end, and hold little at a time."""

from __future__ import annotations

import io
import lzma
from typing import Protocol

_XZ_MEMORY = 512 * 2**20  # bytes; ``xz -9`` needs 65 MiB, a hostile file may ask for 4 GiB
_CHUNK = 1 << 20


class Reader(Protocol):
    """What is needed of a stream here."""

    def read(self, size: int, /) -> bytes: ...


class ForwardReader(io.RawIOBase):
    """A stream for ``tarfile`` that seeks forward only and reads at most ``most`` bytes at a time.

    ``tarfile`` reads a long name or an extended header at once, however long it claims to be.
    ``last`` is the result of the last read. Raises ``ValueError`` for reading more or seeking back.
    """

    def __init__(self, stream: Reader, most: int) -> None:
        self._stream, self._most = stream, most
        self._position = 0
        self.last = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise ValueError("the stream only goes forward")
        while self._position < offset:
            if not self.read(min(_CHUNK, offset - self._position)):
                break
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, fewer only at the end."""
        if size is None or not 0 <= size <= self._most:
            raise ValueError(f"a header claims {size} bytes")
        pieces = []
        missing = size
        while missing:
            piece = self._stream.read(missing)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        self.last = b"".join(pieces)
        self._position += len(self.last)
        return self.last


class XzReader(io.RawIOBase):
    """``lzma.LZMAFile`` for reading with bounded memory, which ``LZMAFile`` does not offer.

    Raises ``lzma.LZMAError`` for damaged data or data that need more memory, and ``EOFError`` for
    data that end too early.
    """

    def __init__(self, stream: Reader) -> None:
        self._stream = stream
        self._decoder = _xz_decoder()
        self._rest = b""  # read, but not decoded yet

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Between 1 and ``size`` bytes; none at the end."""
        if size is None or size < 0:
            raise ValueError("a compressed stream is not read to its end at once")
        while size and not (self._decoder.eof and not self._next_stream()):
            more = b""
            if self._decoder.needs_input:
                more, self._rest = self._rest or self._stream.read(_CHUNK), b""
                if not more:
                    raise EOFError("the compressed data end too early")
            data = self._decoder.decompress(more, size)
            if data:
                return data
        return b""

    def _next_stream(self) -> bool:
        """Whether another stream follows: they may be joined, with zeros in between."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest:
            more = self._stream.read(_CHUNK)
            if not more:
                return False
            rest = more.lstrip(b"\0")
        self._decoder, self._rest = _xz_decoder(), rest
        return True


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
