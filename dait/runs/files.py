"""What is in the files of a run and a study, and the one reader of them.

A file is either what its shape says or it is damaged, with the reason; nothing else parses these
files. Keys that are not known here are kept as they are (a newer version wrote them), keys that an
older version did not write are missing. ARCHITECTURE.md says what the keys mean.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from dait.errors import NewerFile, UserError
from dait.storage.files import parse_json, parse_yaml, read_bytes

FORMAT = 1
"""Of the JSON files of runs and studies: one that is silent has 1, newer ones say ``format``."""

ADVICE = "Put back a copy of it, or delete its folder and train again."

Number = float | None
"""Null stands for what could not be measured."""
Seconds = Annotated[float, Field(ge=0, le=253_402_300_799)] | None
"""Unix seconds, of a year that clocks and calendars can write."""
ProcessId = Annotated[int, Field(le=2**31 - 1)] | None
Count = Annotated[int, Field(ge=0, le=2**53)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]

# Strict: "5" and true are no numbers, whatever a reader could make of them.
_OPEN = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Boot(TypedDict):
    """A start of the machine: its id, and the Unix seconds that the clock gave for it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    id: str
    time: float


class Status(TypedDict, total=False):
    """``status.json`` of a run or a study."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    state: str
    arm: str | None
    seed: Seed | None
    stage: str | None
    stage_index: Count | None
    stage_count: Count | None
    epoch: Count | None
    epochs: Count | None
    progress: Number
    eta_seconds: Number
    message: str | None
    pid: ProcessId
    host: str | None
    started: Seconds
    boot: Boot | None
    folder: str | None
    updated: Seconds
    seconds_before: Number
    versions: dict[str, str] | None
    taken: dict[str, str] | None
    run_index: Count | None
    run_count: Count | None
    title: str | None
    arms: list[str] | None
    seeds: list[Seed] | None
    tasks: bool | None
    vary: dict[str, list[Any]] | None


class Figures(TypedDict):
    """What was measured of one network."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    top1: float
    top5: NotRequired[Number]
    mean_per_class: NotRequired[Number]
    macro_f1: NotRequired[Number]
    ece: NotRequired[Number]
    top1_interval: NotRequired[Annotated[list[float], Field(min_length=2, max_length=2)] | None]
    val_top1: NotRequired[Number]
    n_test: NotRequired[Count | None]
    network: NotRequired[str | None]
    title: NotRequired[str | None]
    parameters: NotRequired[Count | None]
    macs: NotRequired[Count | None]
    map: NotRequired[Annotated[list[Count], Field(min_length=3, max_length=3)] | None]
    latency_ms: NotRequired[Number]
    file_bytes: NotRequired[Count | None]
    slices: NotRequired[dict[str, dict[str, Number]] | None]


class Result(Figures):
    """``result.json``."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    arm: str
    seed: Seed
    between: NotRequired[dict[str, Figures] | None]
    intermediate: NotRequired[Figures | None]
    teacher: NotRequired[dict[str, Any] | None]
    taken: NotRequired[dict[str, str] | None]
    seconds: NotRequired[Number]
    versions: NotRequired[dict[str, str] | None]


class Latency(TypedDict):
    """Of one image, in milliseconds."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    median: float
    p95: float


class Deployment(TypedDict):
    """``deployment.json`` of a run: an exported student's figures, by its forms."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    weights: str
    network: str
    image_size: Count
    images: Count
    parameters: Count
    macs: Count
    processor: str
    bytes: dict[str, Count]
    top1: dict[str, float]
    top1_interval: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]
    agreement: dict[str, float]
    latency_ms: dict[str, Latency]


class Epoch(TypedDict):
    """A line of ``metrics.jsonl``."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    stage: str
    epoch: Count
    epochs: NotRequired[Count | None]
    loss: NotRequired[Number]
    parts: NotRequired[dict[str, Number] | None]
    val_top1: NotRequired[Number]
    val_loss: NotRequired[Number]
    learning_rate: NotRequired[Number]
    images_per_second: NotRequired[Number]
    seconds: NotRequired[Number]


class _Run(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    arm: str
    seed: Seed
    dir: NotRequired[str]


class _Class(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    key: str
    name: str
    group: NotRequired[str | None]


class _Problem(TypedDict):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    file: str
    reason: str


class _Data(TypedDict, total=False):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str | None
    fingerprint: str | None
    counts: dict[str, Count] | None
    problems: list[_Problem] | None


class _Teacher(TypedDict, total=False):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str | None
    reads_text: bool | None
    weights_hash: str | None
    parameters: Count | None
    zero_shot_top1: Number
    zero_shot_top5: Number
    zero_shot_interval: Annotated[list[float], Field(min_length=2, max_length=2)] | None


class Study(TypedDict):
    """``study.json``. Its recipe is checked by ``dait.config.recipe.parse_recipe``."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    runs: list[_Run]
    recipe: NotRequired[dict[str, Any]]
    name: NotRequired[str | None]
    arms: NotRequired[list[str] | None]
    seeds: NotRequired[list[Seed] | None]
    reuse: NotRequired[list[str] | None]
    classes: NotRequired[list[_Class] | None]
    data: NotRequired[_Data | None]
    teacher: NotRequired[_Teacher | None]


class Config(TypedDict, total=False):
    """``config.yaml``: a recipe, which ``parse_recipe`` checks, with arm and seed."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    arm: str
    seed: Seed


STATUS, RESULT = TypeAdapter(Status), TypeAdapter(Result)
DEPLOYMENT = TypeAdapter(Deployment)
STUDY, EPOCH, CONFIG = TypeAdapter(Study), TypeAdapter(Epoch), TypeAdapter(Config)


def read_json(path: Path, shape: TypeAdapter[Any], advice: str = ADVICE) -> Any:
    """A JSON file that has this shape, or None where there is none.

    Raises ``UserError`` where it is damaged: the file, the reason, and ``advice``; ``NewerFile``
    where a newer version of the project wrote it.
    """

    def parse(content: bytes) -> Any:
        value = parse_json(content)
        version = value.get("format") if isinstance(value, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise NewerFile(path, version, FORMAT)
        return shape.validate_python(value)

    return read_as(path, parse, advice)


def read_json_lines(path: Path, shape: TypeAdapter[Any]) -> list[Any] | None:
    """Every whole line of a file; the last one may be unfinished. As ``read_json`` else."""

    def parse(content: bytes) -> list[Any]:
        return [shape.validate_python(parse_json(line)) for line in content.split(b"\n")[:-1]]

    found: list[Any] | None = read_as(path, parse)
    return found


def read_yaml(path: Path, shape: TypeAdapter[Any]) -> Any:
    """A YAML file that has this shape; as ``read_json`` else."""
    return read_as(path, lambda text: shape.validate_python(parse_yaml(text.decode())))


def load_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Every array of an ``.npz`` file; as ``read_json`` else."""
    try:
        if not path.is_file() and path.exists():
            raise ValueError("it is not a file")  # a pipe would be waited for
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # NumPy and zipfile raise a dozen kinds, MemoryError among them
        raise damaged(path, error) from error


def read_arrays(path: Path, names: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` file, fp16 widened to fp32.

    Raises ``UserError`` where the file, or an array of ``names``, is missing, damaged or not
    finite.
    """
    arrays = load_arrays(path)
    if arrays is None:
        raise UserError(f"There is no {path.name} in {path.parent}; train it again.")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise damaged(path, f"it has no {', '.join(missing)}")
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            arrays[name] = array.astype(np.float32)
            if not np.isfinite(array).all():
                raise damaged(path, f"{name} holds values not finite")
    return arrays


def read_as(path: Path, parse: Callable[[bytes], Any], advice: str = ADVICE) -> Any:
    """What ``parse`` makes of a file, raising ``ValueError``; as ``read_json`` else."""
    try:
        return parse(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise damaged(path, error, advice) from error


def damaged(path: Path, reason: Exception | str, advice: str = ADVICE) -> UserError:
    """The sentence for a file that is there and cannot be read."""
    return UserError(f"{path} is damaged ({_words(reason)}). {advice}")


def _words(reason: Exception | str) -> str:
    if isinstance(reason, ValidationError):
        first = reason.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        found = reprlib.repr(first["input"])
        return f"{f'{place}: ' if place else ''}{first['msg']}, found {found}"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason)
