"""Image classification data sets of the Hugging Face hub, through its library ``datasets``.

The library is an optional install. It downloads, resumes and checks; what is done here is to find
the images and the labels, and to write the encoded images out once as files, so that the rest of
the project sees what it always sees. No code of a data set is ever run: from version 4 on the
library cannot, and an older one is asked not to.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import utils

from dait.data.base import SPLITS, UNLABELLED, ClassInfo, Problem, SplitName
from dait.data.folders.listing import ImageEntry, LeftOut, Listing, hold_out
from dait.data.folders.names import natural_key, nfc, second_words, split_of
from dait.errors import UserError, is_full
from dait.events import Emit, Note, Progress, ignore
from dait.storage.cache import cache_dir, existing_folder, load_or_fill

_NAME = re.compile(
    r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([\w.-]+))?(?:@([\w./-]+))?", re.ASCII
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_IMAGES = ("image", "img", "jpg", "png", "webp", "picture", "photo")
_LABELS = ("label", "labels", "fine_label", "class", "class_name", "category", "species", "breed")
_MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}
_VERSION = 1  # of the files that are written out


def list_hub(
    name: str,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    emit: Emit = ignore,
) -> Listing:
    """``owner/name[:config][@revision]`` of the hub; downloaded once, nothing is decoded.

    revision: a commit, tag or branch; without one, the newest there is, or the one that was
    downloaded before where the hub cannot be reached. The listing says which commit it was.

    The published splits are used. Where there is no test split, the validation split is the test
    split; what is missing then is held out of training, of every class, by ``split_seed``. Rows
    without a label (test splits of competitions) are left out. The label is the finest
    ``ClassLabel`` column, or a column of words or numbers called ``label`` or the like.

    emit: hears a ``Note`` and ``Progress`` of writing the images out.
    Raises ``UserError`` where the library is not installed, for a name that is none, a data set
    that cannot be reached, needs code or an agreement, or has no images or labels.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise UserError(
            f"‘hf:{name}’ names no data set of the hub. Write hf:owner/name, "
            "hf:owner/name:config where it has several configurations, or hf:owner/name@revision "
            "for a certain version."
        )
    tables = _load(found[1], found[2], found[3], emit)
    columns = _Columns.of(name, next(iter(tables.values())).features)
    folder = _image_folder(name, tables, columns, emit)
    commit = _commit(tables)
    if commit:
        emit(Note(f"hf:{name} is at revision {commit}"))
    return _listing(name, folder, val_fraction, test_fraction, split_seed, commit)


def _load(
    repository: str, config: str | None, revision: str | None, emit: Emit
) -> Mapping[str, Any]:
    """The splits of a data set, by name, as the library's tables."""
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            "Data sets of the hub need the library ‘datasets’, which is not installed. Run: "
            "pip install 'datasets>=4'"
        ) from error
    emit(Note(f"Getting {repository} from the Hugging Face hub, or from what is here of it."))
    try:
        with _quiet(datasets):
            # What runs no code any more does not know the word.
            known = inspect.signature(datasets.load_dataset).parameters
            safe = {"trust_remote_code": False} if "trust_remote_code" in known else {}
            tables = datasets.load_dataset(repository, config, revision=revision, **safe)
    except Exception as error:  # the library raises nearly anything, with good sentences
        reason = " ".join(str(error).split())[:400].rstrip(".") or type(error).__name__
        offline = isinstance(error, ConnectionError)
        todo = " Is this machine online?" if offline else ""
        raise UserError(f"‘hf:{repository}’ cannot be opened: {reason}.{todo}") from error
    if not len(tables):
        raise UserError(f"‘hf:{repository}’ is empty.")
    return dict(tables)


@contextlib.contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without the library's bars: only the command line draws on the terminal."""
    drawn = not datasets.utils.are_progress_bars_disabled()
    datasets.utils.disable_progress_bars()
    fetching = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if drawn:
            datasets.utils.enable_progress_bars()
        if fetching:
            utils.enable_progress_bars()


@dataclass(frozen=True)
class _Columns:
    """Where the images and the labels are; ``names`` of the classes where the data has them."""

    image: str
    label: str
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, name: str, features: Mapping[str, Any]) -> _Columns:
        import datasets

        images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
        if not images:
            raise UserError(
                f"‘hf:{name}’ has no column of images; it has {', '.join(features)}. Only image "
                "classification can be trained here."
            )
        image = min(images, key=lambda key: (_place(key, _IMAGES), images.index(key)))
        finest, found = 0, ""
        for key, kind in features.items():
            if isinstance(kind, datasets.ClassLabel) and kind.num_classes > finest:
                finest, found = kind.num_classes, key
        if found:
            return cls(image, found, tuple(features[found].names))
        plain = [
            key
            for key, kind in features.items()
            if isinstance(kind, datasets.Value) and kind.dtype in ("string", "int64", "int32")
        ]
        named = [key for key in plain if _place(key, _LABELS) < len(_LABELS)]
        if not named:
            raise UserError(
                f"‘hf:{name}’ has no column of labels (a ClassLabel, or words or numbers called "
                f"{', '.join(_LABELS)}); it has {', '.join(features)}."
            )
        return cls(image, min(named, key=lambda key: _place(key, _LABELS)), None)


def _place(name: str, wanted: Sequence[str]) -> int:
    return wanted.index(name.lower()) if name.lower() in wanted else len(wanted)


def _image_folder(name: str, tables: Mapping[str, Any], columns: _Columns, emit: Emit) -> Path:
    """The folder of the data set's images, which are written out on the first call."""
    facts = [name, _VERSION, columns.image, columns.label, columns.names]
    facts += [[split, len(table), _version(table)] for split, table in tables.items()]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    root = cache_dir() / "hub"
    folder = root / key
    try:
        return load_or_fill(
            folder,
            existing_folder,
            lambda temporary: _write(temporary, name, tables, columns, emit),
            emit,
        )
    except OSError as error:
        reason = "the disk is full" if is_full(error) else error.strerror or error
        raise UserError(
            f"The images of ‘hf:{name}’ cannot be written to ‘{root}’ ({reason}). Set DAIT_CACHE "
            "to a folder on another disk."
        ) from error


def _version(table: Any) -> list[Any]:
    """Which data this is: the library keeps each version's tables in a folder of its own."""
    files = [Path(file["filename"]) for file in table.cache_files]
    return [["/".join(file.parts[-3:]), file.stat().st_size] for file in files]


def _commit(tables: Mapping[str, Any]) -> str:
    """The commit of the hub that the tables are of; empty for a folder on this disk.

    The library keeps the tables of each in a folder of that name.
    """
    for table in tables.values():
        for file in table.cache_files:
            for part in Path(file["filename"]).parts:
                if _COMMIT.fullmatch(part):
                    return part
    return ""


def _write(
    folder: Path, name: str, tables: Mapping[str, Any], columns: _Columns, emit: Emit
) -> None:
    import datasets

    index: dict[str, list[Any]] = {}
    total, done = sum(len(table) for table in tables.values()), 0
    for split, table in tables.items():
        (folder / split).mkdir(parents=True)
        rows = index[split] = []
        plain = table.select_columns([columns.image, columns.label])
        for number, row in enumerate(
            plain.cast_column(columns.image, datasets.Image(decode=False))
        ):
            rows.append(_write_row(folder, split, number, row, columns))
            done += 1
            if done % max(1, total // 100) == 0 or done == total:
                emit(Progress(f"Writing out {name}", done, total))
    text = json.dumps({"names": columns.names, "splits": index})
    (folder / "index.json").write_text(text, encoding="utf-8")


def _write_row(
    folder: Path, split: str, number: int, row: Mapping[str, Any], columns: _Columns
) -> list[Any]:
    """``[file, label]``; the file is empty where the row has no image."""
    picture, label = row[columns.image] or {}, row[columns.label]
    data = picture.get("bytes")
    if data is None and picture.get("path"):
        data = Path(picture["path"]).read_bytes()
    if data is None:
        return ["", label]
    suffix = next((end for start, end in _MAGIC.items() if data.startswith(start)), ".img")
    file = f"{split}/{number:07d}{suffix}"
    (folder / file).write_bytes(data)
    return [file, label]


def _listing(
    name: str, folder: Path, val_fraction: float, test_fraction: float, seed: int, commit: str
) -> Listing:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    names, problems, notes = index["names"], list[Problem](), list[str]()
    given = dict(index["splits"])
    free = [split for split in given if len(given) > 1 and split_of(split) == "unlabelled"]
    files = [file for split in free for file in _with_image(split, given.pop(split), problems)]
    rows = {split: _labelled(split, found, names, problems) for split, found in given.items()}
    used = {label for found in rows.values() for _, label in found}
    order = sorted(used) if names else sorted(used, key=natural_key)
    if len(order) < 2:
        raise UserError(f"‘hf:{name}’ has images of {len(order)} classes; two are needed.")
    if names and len(order) < len(names):
        notes.append(f"{len(names) - len(order)} of its {len(names)} classes have no images.")
    place = {label: at for at, label in enumerate(order)}
    # The files are as old as their writing out, which is done again where the cache was deleted:
    # the commit stands for their contents, or else what the folder is named after.
    stamp = int(hashlib.sha256((commit or folder.name).encode()).hexdigest()[:15], 16)
    entries = {
        split: tuple(_entry(folder, file, place[label], stamp) for file, label in found)
        for split, found in rows.items()
        if found
    }
    splits, left_out = _splits(name, entries, val_fraction, test_fraction, seed, notes)
    if files:
        splits["unlabelled"] = tuple(_entry(folder, file, UNLABELLED, stamp) for file in files)
        notes.append(f"{len(files):,} images are read without labels (‘{free[0]}’).")
    keys = [nfc(str(names[label] if names else label)) for label in order]
    missing = set(range(len(keys))) - {entry.label for entry in splits["train"]}
    if missing:
        raise UserError(f"‘hf:{name}’ has no training image of ‘{keys[min(missing)]}’.")
    homepage = f"https://huggingface.co/datasets/{re.split('[:@]', name)[0]}"
    if not commit:
        notes.append("It was read from a folder on this disk, not from the hub.")
    return Listing(
        name=f"hf:{name}",
        root=folder,
        classes=tuple(
            ClassInfo(key.replace("/", "-"), " ".join(key.replace("_", " ").split()) or key)
            for key in keys
        ),
        splits=splits,
        licence=f"see {homepage}",
        homepage=homepage,
        problems=tuple(problems),
        notes=tuple(notes),
        revision=commit,
        left_out=left_out + _unlabelled(given, entries),
    )


def _unlabelled(
    given: Mapping[str, list[list[Any]]], used: Mapping[str, object]
) -> tuple[LeftOut, ...]:
    """The splits of which no row has a label, as test splits of competitions."""
    return tuple(
        LeftOut(len(rows), f"{split}/{0:07d}", f"no row of the split ‘{split}’ has a label")
        for split, rows in given.items()
        if rows and split not in used
    )


def _labelled(
    split: str, rows: list[list[Any]], names: list[str] | None, problems: list[Problem]
) -> list[tuple[str, Any]]:
    """The rows that have an image and a label; of a split where some have none, the others."""
    good, bad = [], []
    for number, (file, label) in enumerate(rows):
        unknown = isinstance(label, int) and label < 0  # the hub's way to keep a label secret
        if label is None or unknown or (names and label >= len(names)):
            bad.append(Problem(f"{split}/{number:07d}", "has no label"))
        elif not file:
            bad.append(Problem(f"{split}/{number:07d}", "has no image"))
        else:
            good.append((file, label if names else nfc(str(label))))
    if good:
        problems += bad
    return good


def _with_image(split: str, rows: list[list[Any]], problems: list[Problem]) -> list[str]:
    """The files of the rows of a split whose labels are not read."""
    problems += [
        Problem(f"{split}/{number:07d}", "has no image")
        for number, (file, _) in enumerate(rows)
        if not file
    ]
    return [file for file, _ in rows if file]


def _entry(folder: Path, file: str, label: int, stamp: int) -> ImageEntry:
    return ImageEntry(file, label, folder / file, (folder / file).stat().st_size, stamp)


def _splits(
    name: str,
    given: Mapping[str, tuple[ImageEntry, ...]],
    val_fraction: float,
    test_fraction: float,
    seed: int,
    notes: list[str],
) -> tuple[dict[SplitName, tuple[ImageEntry, ...]], tuple[LeftOut, ...]]:
    """Training, validation and test from what there is; what is missing is held out of training."""
    seconds = second_words(given)
    found: dict[SplitName, tuple[ImageEntry, ...]] = {}
    left: list[LeftOut] = []
    for word, entries in given.items():
        split: SplitName | None = "train" if len(given) == 1 else split_of(word)
        if split is None or word in seconds or split in found:
            why = f"‘{word}’ is no word for train, val or test, or there is a better one"
            left.append(LeftOut(len(entries), entries[0].id, why))
        else:
            found[split] = entries
    train, val, test = (found.get(split) for split in SPLITS)
    if train is None:
        raise UserError(f"‘hf:{name}’ has no split ‘train’; it has {', '.join(given)}.")
    if test is None and val is not None:
        test, val = val, None
        notes.append("It has no labelled test split: its validation split is the test split.")
    if test is None:
        train, test = hold_out(train, test_fraction, seed, "test", leave=2)
        val_fraction /= 1 - test_fraction  # of all images, as for a folder
        notes.append(f"It has no test split: {len(test):,} training images are held out for it.")
    if val is None:
        train, val = hold_out(train, val_fraction, seed, "val")
        notes.append(f"{len(val):,} training images are held out for validation.")
    if not (train and val and test):
        raise UserError(f"‘hf:{name}’ has too few images a class to split into three.")
    return {"train": train, "val": val, "test": test}, tuple(left)
