"""What images cost: drawn, decoded again every epoch, and read from the store."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.output import add_json_option, print_end, print_figures
from benchmarks.stand_ins import empty_cache
from dait.data.base import CROP_PCT, ClassInfo, SplitName
from dait.data.fieldguide import FieldGuideOptions, record
from dait.data.fieldguide.parallel import in_parallel
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import ImageEntry, Listing
from dait.data.images.decode import decode_framed
from dait.data.images.frame import Framing
from dait.data.sources.registry import open_dataset
from dait.data.stored import Uncropped
from dait.errors import UserError
from dait.storage.rows import cores
from dait.study.memory import MEBIBYTE, peak_memory_bytes

BATCH = 64
_SPECIES = 8  # of the drawn photographs
_FILES = 16  # that stand for any number of entries
_LEAST_SECONDS = 1.0  # epochs are repeated for so long, because one may take a millisecond


def measure_generate(size: int, count: int = 640) -> dict[str, float]:
    """Images of the Field Guide drawn a second, by all processors, once their processes run."""
    options = FieldGuideOptions(size=size)
    for _ in in_parallel(partial(_pixels, options), min(count, 192)):
        pass
    start = time.perf_counter()
    drawn = sum(1 for _ in in_parallel(partial(_pixels, options), count))
    return {"generate": drawn / (time.perf_counter() - start)}


def measure_files(
    source: str | None, size: int, drawn: int = 240, least_seconds: float = _LEAST_SECONDS
) -> dict[str, float]:
    """An epoch that decodes the training images every time, and one that reads them from the store.

    Both shuffle, and give batches of 64 images that training views are cut from; decoding uses all
    processors. source: of image files; None writes ``drawn`` JPEGs of twice the size, or 512 pixels
    where that is less. Memory is this process's largest so far, after building the store and after
    reading it (which adds the pages of the store that the system keeps in its cache).

    Raises ``UserError`` for a source that cannot be opened or has no files.
    """
    with empty_cache() as folder:
        if source is None:
            _write_jpegs(folder, _side(size), drawn)
        dataset = open_dataset(source or str(folder / "photos"), size=size)
        if not isinstance(dataset, ImageFileDataset):
            raise UserError(f"‘{source}’ has no image files. Give the path of a folder, or none.")
        start = time.perf_counter()
        images = dataset.split("train").uncropped
        build = time.perf_counter() - start
        built_mib = peak_memory_bytes() / MEBIBYTE
        bad = {problem.file for problem in dataset.problems}
        files = [entry.file for entry in dataset.listing.splits["train"] if entry.id not in bad]
        with ThreadPoolExecutor(cores()) as pool:
            decode = _epoch_seconds(
                lambda order: _decode_epoch(pool, files, order, dataset.framing),
                len(files),
                least_seconds,
            )
        read = _epoch_seconds(lambda order: _read_epoch(images, order), len(images), least_seconds)
        return {
            "images": float(len(images)),
            "decode": len(files) / decode,
            "store": len(images) / read,
            "store_build": len(images) / build,
            "epoch_decode_s": decode,
            "epoch_store_s": read,
            "store_mib": images.nbytes / MEBIBYTE,
            "peak_build_mib": built_mib,
            "peak_mib": peak_memory_bytes() / MEBIBYTE,
        }


def measure_entries(
    count: int, size: int, least_seconds: float = _LEAST_SECONDS
) -> dict[str, float]:
    """Seconds and memory of a data set of ``count`` training images, which repeat a few JPEGs.

    open_s: the data set and its fingerprint; reopen_s: its training split once the store is built.
    """
    with empty_cache() as folder:
        _write_jpegs(folder, _side(size), _FILES)
        listing, framing = _repeated(folder, count), Framing(size, CROP_PCT, "crop")
        before_mib = peak_memory_bytes() / MEBIBYTE
        start = time.perf_counter()
        dataset = ImageFileDataset(listing, framing)
        assert dataset.fingerprint
        opened = time.perf_counter()
        images = dataset.split("train").uncropped
        built = time.perf_counter()
        built_mib = peak_memory_bytes() / MEBIBYTE
        ImageFileDataset(listing, framing).split("train")
        reopened = time.perf_counter()
        read = _epoch_seconds(lambda order: _read_epoch(images, order), len(images), least_seconds)
        return {
            "entries": float(count),
            "open_s": opened - start,
            "build_s": built - opened,
            "store_build": count / (built - opened),
            "reopen_s": reopened - built,
            "epoch_store_s": read,
            "store": count / read,
            "store_mib": images.nbytes / MEBIBYTE,
            "peak_before_mib": before_mib,
            "peak_build_mib": built_mib,
            "peak_mib": peak_memory_bytes() / MEBIBYTE,
        }


def _epoch_seconds(epoch: Callable[[np.ndarray], None], count: int, least_seconds: float) -> float:
    """Mean seconds of an epoch, each in another order, after a first one that is not counted."""
    rng = np.random.default_rng(0)
    epoch(rng.permutation(count))
    orders, seconds = 0, 0.0
    while not orders or seconds < least_seconds:
        order = rng.permutation(count)
        start = time.perf_counter()
        epoch(order)
        seconds += time.perf_counter() - start
        orders += 1
    return seconds / orders


def _read_epoch(images: Uncropped, order: np.ndarray) -> None:
    for start in range(0, len(order), BATCH):
        images[order[start : start + BATCH]]


def _decode_epoch(
    pool: ThreadPoolExecutor, files: list[Path], order: np.ndarray, framing: Framing
) -> None:
    """A few batches ahead, as a loader would; no more, so that memory stays small."""
    ahead: deque[Future[list[np.ndarray]]] = deque()
    for start in range(0, len(order), BATCH):
        batch = [files[index] for index in order[start : start + BATCH]]
        ahead.append(pool.submit(_decode_batch, batch, framing))
        if len(ahead) > cores():
            ahead.popleft().result()
    for future in ahead:
        future.result()


def _decode_batch(files: list[Path], framing: Framing) -> list[np.ndarray]:
    return [decode_framed(file, framing)[0] for file in files]


def _pixels(options: FieldGuideOptions, index: int) -> np.ndarray:
    return record(options, "train", index).scene.image


def _side(size: int) -> int:
    """Of the drawn JPEGs, in pixels: photographs are larger than what is made of them."""
    return min(2 * size, 512)


def _write_jpegs(folder: Path, side: int, count: int) -> None:
    """``photos/<species>/<number>.jpg``: eight species, drawn."""
    options = FieldGuideOptions(size=side, species=_SPECIES)
    for index, pixels in enumerate(in_parallel(partial(_pixels, options), count)):
        species = folder / "photos" / f"species{index % _SPECIES}"
        species.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(species / f"{index}.jpg", quality=90)


def _repeated(folder: Path, count: int) -> Listing:
    files = [(file, file.stat()) for file in sorted(folder.rglob("*.jpg"))]

    def entries(split: SplitName, count: int) -> tuple[ImageEntry, ...]:
        found = []
        for number in range(count):
            file, about = files[number % len(files)]
            name = f"{split}/{number:07d}.jpg"
            label = number % _SPECIES
            found.append(ImageEntry(name, label, file, about.st_size, about.st_mtime_ns))
        return tuple(found)

    classes = tuple(ClassInfo(f"species{label}", f"species {label}") for label in range(_SPECIES))
    few = _SPECIES * 2
    splits: dict[SplitName, tuple[ImageEntry, ...]] = {
        "train": entries("train", count),
        "val": entries("val", few),
        "test": entries("test", few),
    }
    return Listing("repeated", folder, classes, splits, licence="drawn")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench data`` and its options."""
    parser.description = (
        "Draw images of the Field Guide; then compare an epoch that decodes JPEGs with "
        "one that reads them from the store, in shuffled batches of 64."
    )
    parser.add_argument(
        "--data", metavar="NAME_OR_PATH", help="image files to read (default: drawn JPEGs)"
    )
    parser.add_argument(
        "--size", type=int, default=128, help="pixels a side (default: %(default)s)"
    )
    parser.add_argument(
        "--entries",
        type=int,
        metavar="N",
        help="instead: memory and seconds of a data set of N entries that repeat a few files",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each figure as it is measured. Raises ``UserError`` for data that has no files."""
    if args.entries is not None:
        if args.entries < _FILES:
            raise UserError(f"--entries is {_FILES} or more, not {args.entries}.")
        print_figures(figures := measure_entries(args.entries, args.size))
        return print_end(figures, args.json)
    print_figures(figures := measure_files(args.data, args.size))
    print_figures(drawn := measure_generate(args.size))
    return print_end({**figures, **drawn}, args.json)
