"""An ONNX graph in int8: static quantisation, calibrated on validation images."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from dait.bundle.graph import FEATURES, INPUT, LOGITS, logits_of, open_graph
from dait.errors import UserError
from dait.models.create import first_line

CALIBRATION_IMAGES = 256
ENOUGH = 0.99
"""Share of validation images with fp32's answer at which no other setting is tried."""

_BATCH = 8
_HISTOGRAM_IMAGES = 64
"""Of the percentile method, which keeps every activation in memory."""


@dataclass(frozen=True)
class _Setting:
    title: str
    float_head: bool
    method: CalibrationMethod
    images: int


_SETTINGS = (
    _Setting("all layers in int8", False, CalibrationMethod.MinMax, CALIBRATION_IMAGES),
    _Setting("head in fp32", True, CalibrationMethod.MinMax, CALIBRATION_IMAGES),
    _Setting(
        "head in fp32, activations cut at the 99.999th percentile",
        True,
        CalibrationMethod.Percentile,
        _HISTOGRAM_IMAGES,
    ),
)


def quantize(source: Path, target: Path, images: np.ndarray) -> dict[str, Any]:
    """Write the graph of ``source`` in int8 to ``target``, and say how.

    images: ``(N, 3, S, S)`` float32 in [0, 1] of the validation split. Weights are int8 with a
    scale a channel, activations uint8, in QDQ form. Of several settings the one is kept that
    answers most of these images as fp32 does; no test image is looked at. Returns ``setting``, and
    ``tried`` {setting: share of validation images with fp32's answer}. Raises ``UserError``.
    """
    if not len(images):
        raise UserError("There are no validation images to calibrate int8 with.")
    expected = logits_of(open_graph(source), images).argmax(1)
    prepared = target.with_name("prepared.onnx")
    candidate = target.with_name("candidate.onnx")
    tried: dict[str, float] = {}
    try:
        with _quiet():
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
        for setting in _SETTINGS:
            _quantize_as(setting, prepared, candidate, images)
            found = logits_of(open_graph(candidate), images).argmax(1)
            share = float((found == expected).mean())
            if share > max(tried.values(), default=-1):
                shutil.copyfile(candidate, target)
            tried[setting.title] = share
            if share >= ENOUGH:
                break
    except OSError:
        raise
    except Exception as error:  # onnxruntime raises nearly anything for a graph it cannot quantise
        raise UserError(
            f"The ONNX graph cannot be quantised to int8 ({first_line(error)[:300]})."
        ) from error
    finally:
        prepared.unlink(missing_ok=True)
        candidate.unlink(missing_ok=True)
    return {
        "setting": max(tried, key=lambda title: tried[title]),
        "tried": tried,
        "calibration_images": len(images),
    }


class _Images(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self._batches: Iterator[Mapping[str, np.ndarray]] = iter(
            [{INPUT: images[at : at + _BATCH]} for at in range(0, len(images), _BATCH)]
        )

    def get_next(self) -> Any:
        return next(self._batches, None)


def _quantize_as(setting: _Setting, source: Path, target: Path, images: np.ndarray) -> None:
    graph = onnx.load(source).graph
    body, logits = _before(graph, FEATURES), _before(graph, LOGITS)
    kept = body if setting.float_head else logits
    left_out = [node.name for node in graph.node if node.name not in kept]
    with _quiet():
        quantize_static(
            source,
            target,
            _Images(images[: setting.images]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=setting.method,
            nodes_to_exclude=left_out,
        )


def _before(graph: onnx.GraphProto, output: str) -> set[str]:
    """The names of the nodes that an output is computed by."""
    maker = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    waiting = [output]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting += node.input
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what onnxruntime prints while it calibrates."""
    with redirect_stdout(io.StringIO()):
        yield
