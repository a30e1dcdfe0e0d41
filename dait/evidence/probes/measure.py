"""All figures about a teacher, alone or with the networks of a study; measured once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dait.config.arms import arm_title
from dait.data.base import Dataset, Split
from dait.data.few_labels import with_all_labels
from dait.data.fieldguide import FieldGuide
from dait.errors import UserError
from dait.evaluation.records import (
    INTERMEDIATE,
    VLM,
    StudyRecord,
    intermediate_run,
    read_seed,
    read_study,
    read_teacher,
)
from dait.evaluation.results.outdated import probed_files
from dait.evaluation.results.probes import (
    FILE_NAME,
    VERSION,
    AttributeFigures,
    NetworkFigures,
    ProbeResults,
    Reading,
    parse_knowledge,
    read_probe_results,
)
from dait.events import Emit, Note, Progress, ignore
from dait.evidence.probes.new_birds import PAIRS, NewBirds, new_birds
from dait.evidence.probes.probes import Features, read_new_birds, read_train, targets_of
from dait.evidence.probes.words import HABITAT, attribute_figures, retrieval, zero_shot
from dait.models.checkpoint import load_network
from dait.runs.folder import StudyFolder, to_json
from dait.storage.cache import cache_dir, load_or_build
from dait.storage.files import write_atomically
from dait.teachers.base import FrozenTeacher
from dait.teachers.embedding import device_of, embed_split
from dait.teachers.registry import prototypes_of
from dait.training.inference import predict_split

TEST = "test"
_SAME_IMAGES = 12
_ALIKE = 0.98
"""Least mean cosine between kept features and those of today's images: fp16 weights and another
version of Pillow stay above it, other images do not."""

Encode = Callable[[Split], np.ndarray]
"""A network's ``(N, p)`` features of a split's images."""


@dataclass(frozen=True)
class _Images:
    """The images of the measurement; ``new`` is None for data that is not drawn."""

    data: Dataset
    train: Split
    val: Split
    test: Split
    new: NewBirds | None


@dataclass(frozen=True)
class _Network:
    """A network to probe. ``encode`` loads its weights when it is called."""

    key: str
    role: str
    title: str
    seed: int | None
    test: np.ndarray
    encode: Callable[[], Encode]


def measure_teacher(
    teacher: FrozenTeacher, data: Dataset, emit: Emit = ignore, pairs: int = PAIRS
) -> ProbeResults:
    """Zero-shot figures and probes of ``teacher`` on ``data``; kept in the cache.

    pairs: how many new birds to draw, of the Field Guide. Takes minutes the first time.
    Raises ``UserError`` for data that cannot be had.
    """
    made_of = _digest(teacher, data, pairs, {})
    key = f"knowledge-{made_of[:32]}"

    def build() -> dict[str, np.ndarray]:
        images = _images(data, pairs, emit)
        test = torch.from_numpy(_of_teacher(teacher)(images.test))
        vectors = prototypes_of(teacher, data).vectors.cpu()
        found = _measure(teacher, vectors, test, images, [], made_of, emit)
        return {"json": np.frombuffer(found.model_dump_json().encode(), np.uint8)}

    kept = load_or_build(cache_dir(), key, build)["json"]
    found = parse_knowledge(kept.tobytes(), cache_dir() / key)
    assert found is not None  # the key names the version
    return found


def measure_study(
    study: StudyFolder,
    teacher: FrozenTeacher,
    data: Dataset,
    emit: Emit = ignore,
    pairs: int = PAIRS,
) -> ProbeResults:
    """The same for the study's teacher, and linear probes of each of its networks.

    teacher, data: those of its recipe. Networks are those of every seed that can be opened. Kept in
    the study's ``knowledge.json``. Raises ``UserError`` for a study that is not finished, and where
    the teacher or the images are not those that it was trained with.
    """
    if study.state() != "finished":
        raise UserError(f"{study.path} is {study.state()}; only a finished study can be measured.")
    record = read_study(study)
    arrays = read_teacher(record)
    if arrays is None:
        raise UserError(f"There is no teacher.npz in {study.path}; train the study again.")
    _require_teacher(record, teacher)
    files = probed_files(record)
    made_of = _digest(teacher, data, pairs, files)
    path = study.path / FILE_NAME
    kept = read_probe_results(path)
    if kept is not None and kept.made_of == made_of:
        return kept
    images = _images(data, pairs, emit)
    vectors = torch.from_numpy(arrays["prototypes"])
    test = torch.from_numpy(arrays["embeddings"])
    _require_same(test.numpy(), _of_teacher(teacher), images.test, study)
    networks = list(_networks(record, teacher, images.test))
    found = _measure(teacher, vectors, test, images, networks, made_of, emit)
    found = found.model_copy(update={"files": files})
    write_atomically(path, to_json(found.model_dump(mode="json"), indent=1) + "\n")
    return found


def _measure(
    teacher: FrozenTeacher,
    prototypes: Tensor,
    test: Tensor,
    images: _Images,
    networks: list[_Network],
    made_of: str,
    emit: Emit,
) -> ProbeResults:
    emit(Note("the frozen teacher embeds the images"))
    of_new = (
        None if images.new is None else torch.from_numpy(_of_teacher(teacher)(images.new.split))
    )
    pairs, attributes = None, None
    if teacher.reads_text and images.new is not None and of_new is not None:
        captions = teacher.embed_text(list(images.new.captions)).float().cpu()
        pairs = retrieval(of_new, captions, images.new.unambiguous())
        attributes = _attributes(teacher, test, of_new, images)
    frozen = _Network(VLM, VLM, arm_title(VLM), None, test.numpy(), lambda: _of_teacher(teacher))
    read = []
    for number, network in enumerate([frozen, *networks]):
        emit(Progress("Reading the networks", number, 1 + len(networks), "networks"))
        read.append(_network_figures(network, images))
    emit(Progress("Reading the networks", len(read), len(read), "networks"))
    return ProbeResults(
        version=VERSION,
        made_of=made_of,
        teacher=teacher.name,
        weights_hash=teacher.weights_hash,
        data=images.data.name,
        image_size=images.data.size,
        zero_shot=zero_shot(test, prototypes, np.asarray(images.test.labels), TEST),
        retrieval=pairs,
        attributes=attributes,
        networks=tuple(read),
    )


def _attributes(
    teacher: FrozenTeacher, test: Tensor, of_new: Tensor, images: _Images
) -> tuple[AttributeFigures, ...]:
    whole = with_all_labels(images.data)
    assert isinstance(whole, FieldGuide) and images.new is not None
    guide = whole.options.guide()
    habitats = images.test.slices[HABITAT]
    tables = [
        {**guide[label].attributes, HABITAT: str(habitat)}
        for label, habitat in zip(images.test.labels, habitats, strict=True)
    ]
    return attribute_figures(teacher, (test, tables), (of_new, images.new))


def _network_figures(network: _Network, images: _Images) -> NetworkFigures:
    encode = network.encode()
    test = Features(network.test, targets_of(images.test, images.data))
    train, val = (
        Features(encode(split), targets_of(split, images.data))
        for split in (images.train, images.val)
    )
    readings: list[Reading] = read_train(train, val, test)
    if images.new is not None:
        new = Features(encode(images.new.split), targets_of(images.new.split))
        readings += read_new_birds(new, test)
    return NetworkFigures(
        key=network.key,
        role=network.role,
        title=network.title,
        seed=network.seed,
        width=network.test.shape[1],
        readings=tuple(readings),
    )


def _networks(record: StudyRecord, teacher: FrozenTeacher, test: Split) -> Iterator[_Network]:
    for seed in record.open_seeds:
        kept = read_seed(record, seed).features
        paths = {run.folder.path.name: run.folder.student for run in record.runs[seed]}
        roles = {run.folder.path.name: run.arm for run in record.runs[seed]}
        between = intermediate_run(record, seed)
        if between is not None and INTERMEDIATE in kept:
            paths = {INTERMEDIATE: between.folder.intermediate, **paths}
            roles[INTERMEDIATE] = INTERMEDIATE
        for key, path in paths.items():

            def encode(path: Any = path, features: np.ndarray = kept[key]) -> Encode:
                network = load_network(path).network.to(device_of(teacher))

                def of(split: Split) -> np.ndarray:
                    return predict_split(network, split).pooled.numpy()

                _require_same(features, of, test, record.folder)
                return of

            name = f"{INTERMEDIATE}-s{seed}" if key == INTERMEDIATE else key
            yield _Network(name, roles[key], arm_title(roles[key]), seed, kept[key], encode)


def _of_teacher(teacher: FrozenTeacher) -> Encode:
    return lambda split: embed_split(teacher, split.images).float().numpy()


def _images(data: Dataset, pairs: int, emit: Emit) -> _Images:
    train, val, test = (data.split(name) for name in ("train", "val", "test"))
    drawn = isinstance(with_all_labels(data), FieldGuide)
    return _Images(
        data, train, val, test, new_birds(data.size, pairs, emit=emit) if drawn else None
    )


def _require_teacher(record: StudyRecord, teacher: FrozenTeacher) -> None:
    name = record.recipe.teacher.name
    if teacher.name != name:
        raise UserError(
            f"The study {record.folder.path} was trained with the teacher {name}, not with "
            f"{teacher.name}; give that one."
        )
    if record.teacher.get("weights_hash", teacher.weights_hash) != teacher.weights_hash:
        raise UserError(
            f"The teacher {name} has changed since the study {record.folder.path} was trained; "
            "train the study again."
        )


def _require_same(kept: np.ndarray, encode: Encode, test: Split, study: StudyFolder) -> None:
    """Some images are embedded again: drawings and photographs can change after a training."""
    chosen = np.linspace(0, len(test) - 1, min(_SAME_IMAGES, len(test))).astype(int)
    sample = Split(
        test.name, test.images[chosen], test.labels[chosen], tuple(test.ids[i] for i in chosen)
    )
    if len(kept) == len(test):
        now, then = encode(sample), kept[chosen]
        lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1)
        cosines = (now * then).sum(axis=1) / np.maximum(lengths, 1e-12)
        if cosines.mean() >= _ALIKE:
            return
    raise UserError(
        f"The test images are not those that the study {study.path} was trained and tested with: "
        "the data, or how it is drawn, has changed since. Train the study again."
    )


def _digest(teacher: FrozenTeacher, data: Dataset, pairs: int, files: dict[str, str]) -> str:
    """Names everything that the figures depend on."""
    described = [
        *(VERSION, data.fingerprint, teacher.name, teacher.weights_hash, teacher.image_size),
        *(pairs, files),
    ]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()
