"""The files of a benchmark: found on this machine, else downloaded, else asked for."""

from __future__ import annotations

from pathlib import Path

from dait.data.archives.unpack import unpack
from dait.data.benchmarks.benchmark import Benchmark, PublishedFile
from dait.data.benchmarks.fetch import CannotFetch, Checksum, check_file, fetch
from dait.errors import UserError
from dait.events import Emit, Note, ignore
from dait.storage.paths import downloads_folder


def available(benchmark: Benchmark, folder: Path | None = None) -> bool:
    """Whether nothing needs to be downloaded (it may still have to be unpacked)."""
    folder = folder or downloads_folder() / benchmark.name
    return all(
        published.optional or _place(folder, published) or _file(folder, published)
        for published in benchmark.published
    )


def obtain(
    benchmark: Benchmark,
    folder: Path | None = None,
    *,
    mirror: str = "",
    emit: Emit = ignore,
) -> dict[str, Path]:
    """The place of each published file of a benchmark, downloaded and unpacked if necessary.

    folder: by default in ``downloads_folder()``. Searched in this order: what this project unpacked
    from ``file`` (``unpacked/<its stem>``); the folder ``top`` that the user unpacked;
    ``archives/<file>``, which is checked and unpacked, and may be removed then. Otherwise the file
    is downloaded to ``archives/``, from ``mirror/<file>`` if a mirror is given. Optional files are
    only downloaded along with the others, and may fail.

    Raises ``UserError`` that says which file to put where for what cannot be downloaded.
    """
    folder = folder or downloads_folder() / benchmark.name
    places = {}
    whole = available(benchmark, folder)
    for published in benchmark.published:
        place = _place(folder, published)
        if place is None and (file := _file(folder, published)):
            place = _unpacked(folder, published, file, emit)
        if place is None and not (published.optional and whole):
            place = _downloaded(benchmark, published, folder, mirror, emit)
        if place is not None:
            places[published.file] = place
    return places


def _place(folder: Path, published: PublishedFile) -> Path | None:
    """The folder that ``top`` is, or the file where it is not packed; None where it is not."""
    if not published.packed:
        return _file(folder, published)
    for base in (_into(folder, published), folder, folder / _stem(published.file)):
        place = base / published.top
        # Of somebody else's folder only what it should hold can be asked, so that is asked.
        if place.is_dir() and (place / published.probe).exists():
            return place
    return None


def _file(folder: Path, published: PublishedFile) -> Path | None:
    near = (folder / "archives", folder, folder / published.top)
    return next((base / published.file for base in near if (base / published.file).is_file()), None)


def _unpacked(folder: Path, published: PublishedFile, file: Path, emit: Emit) -> Path:
    check_file(file, _checksum(published), published.size, emit)
    try:
        unpack(file, _into(folder, published), emit=emit)
    except UserError as error:  # strict, as with a stranger's archive
        raise UserError(
            f"{error} If you trust it, it may also be unpacked by hand into ‘{folder}’."
        ) from error
    place = _place(folder, published)
    if place is None:
        wanted = "/".join(part for part in (published.top, published.probe) if part)
        raise UserError(
            f"‘{file}’ was unpacked to ‘{_into(folder, published)}’, but holds no ‘{wanted}’. "
            "It is not the published archive: remove both, and get it again."
        )
    emit(Note(f"{file} is unpacked, and may be removed ({file.stat().st_size / 1e9:.2f} GB)."))
    return place


def _downloaded(
    benchmark: Benchmark, published: PublishedFile, folder: Path, mirror: str, emit: Emit
) -> Path | None:
    url = f"{mirror.rstrip('/')}/{published.file}" if mirror else published.url
    reason = ""
    try:
        if url:
            to = folder / "archives" / published.file
            fetch(url, to, checksum=_checksum(published), size=published.size, emit=emit)
            return _unpacked(folder, published, to, emit) if published.packed else to
    except CannotFetch as error:
        if published.optional:
            emit(Note(f"{benchmark.title} is used without ‘{published.file}’: {error}"))
            return None
        raise _by_hand(benchmark, folder, f"{error} ") from error
    if published.optional:
        return None
    raise _by_hand(benchmark, folder, reason)


def _by_hand(benchmark: Benchmark, folder: Path, reason: str) -> UserError:
    missing = [
        published
        for published in benchmark.published
        if not (published.optional or _place(folder, published) or _file(folder, published))
    ]
    tops = [f"‘{published.top}’" for published in missing if published.packed and published.top]
    or_else = f", or the unpacked {' and '.join(tops)} into ‘{folder}’" if tops else ""
    listed = " and ".join(_described(published) for published in missing)
    them, it = ("them", "they are") if len(missing) > 1 else ("it", "it is")
    return UserError(
        f"{reason}{benchmark.title} is not whole on this machine. Get {listed} (see "
        f"{benchmark.homepage}), put {them} into ‘{folder / 'archives'}’{or_else}, and try again; "
        f"{it} then found without a network."
    )


def _described(published: PublishedFile) -> str:
    facts = [published.url] if published.url else []
    if published.size is not None:
        facts.append(f"{published.size:,} bytes")
    return f"‘{published.file}’" + (f" ({', '.join(facts)})" if facts else "")


def _checksum(published: PublishedFile) -> Checksum | None:
    if published.sha256:
        return Checksum("sha256", published.sha256)
    return Checksum("md5", published.md5) if published.md5 else None


def _into(folder: Path, published: PublishedFile) -> Path:
    return folder / "unpacked" / _stem(published.file)


def _stem(file: str) -> str:
    for suffix in (".tar.gz", ".tgz", ".tar", ".zip"):
        if file.endswith(suffix):
            return file[: -len(suffix)]
    return file
