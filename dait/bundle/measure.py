"""Whether every file of a bundle is the same student, and what each costs: by whole image files."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from dait.bundle.weights import FP16, WEIGHTS, reload_plain
from dait.data.base import Dataset, Split
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import ImageEntry
from dait.data.images.decode import decode_image
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.evaluation.metrics import bootstrap_interval
from dait.events import Emit, Progress, ignore
from dait.models.cost import count_macs, count_parameters, one_thread, time_calls
from dait.models.network import Network

JPEG_QUALITY = 95
"""Of test images that are drawn, and not files already."""

_CHUNK = 200
_BATCH = 50
_RUNS = 100

Answers = Callable[[np.ndarray], np.ndarray]
"""Images ``(N, 3, S, S)`` float32 in [0, 1] → logits ``(N, classes)``."""


class SplitFiles:
    """The test images of a data set as image files, in chunks; what is drawn becomes JPEGs."""

    def __init__(self, data: Dataset) -> None:
        self.split: Split = data.split("test")
        self.labels = np.asarray(self.split.labels)
        self._entries: Mapping[str, ImageEntry] = {}
        if isinstance(data, ImageFileDataset):
            self._entries = {entry.id: entry for entry in data.listing.splits["test"]}

    def __len__(self) -> int:
        return len(self.split)

    @property
    def kind(self) -> str:
        """What the files are, for people."""
        return "original files" if self._entries else f"JPEGs of quality {JPEG_QUALITY}"

    def chunks(self) -> Iterator[list[Path]]:
        """Files in the order of the split; those that were made for this go with their chunk."""
        for start in range(0, len(self), _CHUNK):
            with TemporaryDirectory(prefix="dait-test-") as folder:
                stop = min(start + _CHUNK, len(self))
                yield [self._file(at, Path(folder)) for at in range(start, stop)]

    def _file(self, at: int, folder: Path) -> Path:
        if not self._entries:
            path = folder / f"{at}.jpg"
            Image.fromarray(self.split.images[at]).save(path, quality=JPEG_QUALITY)
            return path
        entry = self._entries[self.split.ids[at]]
        if entry.trim is None:
            return entry.file
        left, top, right, bottom = entry.trim
        path = folder / f"{at}.png"
        with Image.open(entry.file) as image:
            kept = image.crop((left, top, image.width - right, image.height - bottom))
            ImageOps.exif_transpose(kept).convert("RGB").save(path, compress_level=1)
        return path


def measure_bundle(
    folder: Path,
    network: Network,
    config: Mapping[str, Any],
    labels: Sequence[str],
    files: SplitFiles,
    framing: Framing,
    graphs: Mapping[str, Answers],
    emit: Emit = ignore,
) -> dict[str, Any]:
    """Run every file of a bundle over the whole test split, and give ``deployment.json``.

    graphs: ``onnx`` and ``int8``, where the bundle has them. ``agreement`` is the share of test
    images with PyTorch's argmax, ``difference`` the largest of a probability, ``formats`` the
    figures of each file. Raises ``UserError`` where a file cannot be read.
    """
    answers: dict[str, Answers] = {
        "torch": lambda images: _forward(lambda x: network(x).logits, images),
        "timm": _reloaded(folder, config, network, WEIGHTS),
        "fp16": _reloaded(folder, config, network, FP16),
        **graphs,
    }
    found: dict[str, list[np.ndarray]] = {name: [] for name in answers}
    script: list[dict[str, Any]] = []
    done = 0
    for chunk in files.chunks():
        pixels = np.stack([decode_image(file, framing) for file in chunk])
        images = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        for name, answer in answers.items():
            found[name] += [_softmax(answer(images))]
        if "onnx" in graphs:
            script += run_script(folder, chunk)
        done += len(chunk)
        emit(Progress("Comparing the exported files", done, len(files)))
    probabilities = {name: np.concatenate(parts) for name, parts in found.items()}
    reference = probabilities["torch"]
    predicted = {name: values.argmax(1) for name, values in probabilities.items()}
    difference = {name: float(abs(p - reference).max()) for name, p in probabilities.items()}
    if script:
        places = {label: at for at, label in enumerate(labels)}
        predicted["predict"] = np.array([places[line["top"][0][0]] for line in script])
        difference["predict"] = max(
            abs(share - reference[at, places[label]])
            for at, line in enumerate(script)
            for label, share in line["top"]
        )
    correct = {name: rows == files.labels for name, rows in predicted.items()}
    return {
        "images": len(files),
        "files": files.kind,
        "agreement": {
            name: float((rows == predicted["torch"]).mean())
            for name, rows in predicted.items()
            if name != "torch"
        },
        "difference": {name: float(difference[name]) for name in difference if name != "torch"},
        "top1": {name: float(rows.mean()) for name, rows in correct.items()},
        "top1_interval": {name: list(bootstrap_interval(rows)) for name, rows in correct.items()},
        "latency_ms": _latencies(network, graphs),
        "parameters": count_parameters(network),
        "macs": count_macs(network),
        "processor": _processor(),
    }


def run_script(folder: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of a bundle's ``predict.py`` on image files, in a process of its own.

    Raises ``UserError`` where it does not answer for each.
    """
    done = subprocess.run(
        [sys.executable, str(folder / "predict.py"), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if len(lines) != len(files):
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise UserError(
            f"predict.py answered {len(lines)} of {len(files)} images: {said[:300]}. The bundle is "
            "not written."
        )
    return lines


def _reloaded(
    folder: Path, config: Mapping[str, Any], network: Network, file: str
) -> Callable[[np.ndarray], np.ndarray]:
    model: nn.Module = reload_plain(folder / file, config)
    return lambda images: _forward(lambda x: model((x - network.mean) / network.std), images)


@torch.no_grad()
def _forward(call: Callable[[Tensor], Tensor], images: np.ndarray) -> np.ndarray:
    parts = [
        call(torch.from_numpy(images[at : at + _BATCH])) for at in range(0, len(images), _BATCH)
    ]
    return torch.cat(parts).numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _latencies(network: Network, graphs: Mapping[str, Answers]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile, in milliseconds, of one image on one thread of this CPU."""
    size = network.image_size
    image = np.full((1, 3, size, size), 0.5, np.float32)
    tensor = torch.from_numpy(image)
    calls: dict[str, Callable[[], object]] = {"torch": lambda: network(tensor)}
    for name, answer in graphs.items():
        calls[name] = lambda answer=answer: answer(image)  # type: ignore[misc]
    timed = {}
    with torch.no_grad(), one_thread():
        for name, call in calls.items():
            times = 1000 * np.array(time_calls(call, _RUNS))
            timed[name] = {
                "median": float(statistics.median(times)),
                "p95": float(np.quantile(times, 0.95)),
            }
    return timed


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
