"""Hostile photographs and archives: a picture or a sentence, in bounded memory and time."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from amount import amount, chance
from apart import start
from hostile_archives import hostile_archives
from hostile_images import good_image, hostile_images

MOST_MIB = 1200
"""What reading may add to a process's memory: an image of 50 million pixels has 200 MiB in RGBA,
and Pillow holds it a few times while it is turned and scaled."""
MOST_SECONDS = 30
"""Of one processor, for one file."""


def read_images(folder: str, count: int, answer: str) -> None:
    """Read every image as the app reads a visitor's; write down what came of it."""
    from app.ui.photo_uploads import read_photo
    from dait.data.images.decode import BadImage

    file = Path(folder) / "photo"
    facts = _Facts(answer)
    for name, data in hostile_images(chance("images"), count):
        file.write_bytes(data)
        with facts.one(name):
            try:
                assert read_photo(file, 64).shape == (64, 64, 3)
            except BadImage as error:
                facts.refuse(str(error))
    facts.write()


def read_archives(folder: str, count: int, answer: str) -> None:
    """Open every archive as a data set, decoded; write down what came of it."""
    from dait.data.archives.archive import forget_archive
    from dait.data.sources.registry import open_dataset
    from dait.errors import UserError

    os.environ["SPACE_ID"] = "some/space"  # the narrow limits of a public server
    unpacked, facts = Path(os.environ["DAIT_CACHE"]) / "archives", _Facts(answer)
    for name, data in hostile_archives(chance("archives"), count):
        file = Path(folder) / name
        file.write_bytes(data)
        with facts.one(name):
            try:
                split = open_dataset(source=str(file), size=32).split("train")
                assert split.images.shape[1:] == (32, 32, 3)
                forget_archive(file)
            except UserError as error:
                facts.refuse(str(error))
        facts.left += [f"{name}: {path.name}" for path in unpacked.glob("*")]
        file.unlink()
    facts.write()


class _Facts:
    """What came of each file, and what it cost this process."""

    def __init__(self, answer: str) -> None:
        self.answer = Path(answer)
        self.files, self.refused = 0, 0
        self.slowest: tuple[float, str] = (0.0, "")
        self.unexpected: list[str] = []
        self.left: list[str] = []
        self.long: list[str] = []
        self._before = _peak_mib()
        self.largest: tuple[float, str] = (0.0, "")

    def one(self, name: str) -> _Facts:
        self._name, self._started = name, time.process_time()
        return self

    def refuse(self, sentence: str) -> None:
        self.refused += 1
        if "Traceback" in sentence or len(sentence) > 1000 or not sentence.isprintable():
            self.long.append(f"{self._name}: {sentence[:300]!r}")

    def __enter__(self) -> None:
        self.files += 1

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self.slowest = max(self.slowest, (time.process_time() - self._started, self._name))
        grown = _peak_mib() - self._before
        if grown > self.largest[0]:
            self.largest = (grown, self._name)
        if isinstance(error, Exception):
            self.unexpected.append(f"{self._name}: {type(error).__name__}: {error}"[:400])
        return isinstance(error, Exception)

    def write(self) -> None:
        facts = {key: value for key, value in vars(self).items() if key[0] != "_"}
        self.answer.write_text(json.dumps(facts, default=str))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def facts_of(tmp_path: Path, work: Any, count: int) -> dict[str, Any]:
    inside = tmp_path / "inside"
    inside.mkdir()
    answer = tmp_path / "answer.json"
    begun = start(
        tmp_path, work, str(inside), count, str(answer), DAIT_CACHE=str(tmp_path / "cache")
    )
    assert begun.ended(3000) == 0, begun.said
    facts: dict[str, Any] = json.loads(answer.read_text())
    print(json.dumps(facts, indent=1))
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside <= {"inside", "cache", "answer.json", "apart.stdout", "apart.stderr"}
    assert facts["files"] == count and facts["unexpected"] == [] and facts["long"] == []
    assert facts["largest"][0] < MOST_MIB and facts["slowest"][0] < MOST_SECONDS, facts
    assert "Traceback" not in begun.said
    return facts


def test_hostile_photographs_cost_a_sentence(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, read_images, amount(100, 1000))
    assert facts["refused"] > facts["files"] // 3


def test_hostile_archives_cost_a_sentence(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("/etc").glob("pass*")}
    facts = facts_of(tmp_path, read_archives, amount(40, 200))
    assert facts["refused"] > facts["files"] // 2 and facts["left"] == []
    assert before == {path: path.stat().st_mtime_ns for path in Path("/etc").glob("pass*")}


def test_a_photograph_that_is_one_is_read(tmp_path: Path) -> None:
    from app.ui.photo_uploads import read_photo

    (tmp_path / "photo").write_bytes(good_image())
    assert read_photo(tmp_path / "photo", 64).shape == (64, 64, 3)
