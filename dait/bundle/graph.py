"""A network as one ONNX graph, with its normalisation and both heads inside."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.models.create import first_line
from dait.models.network import Network

OPSET = 18
"""Of ONNX: what torch writes without converting, and what runtimes on phones read too."""

INPUT = "image"
LOGITS, FEATURES, MAPS = OUTPUTS = ("logits", "features", "maps")
HEAD = "head"
"""The output with the linear head's weights, where the class activation map is exact."""

UNLIKE = "unlike"
"""The output that says how far an image is from anything trained on."""

_BATCH = 32
_ALIKE = 1e-3
"""By how much ONNX may differ from PyTorch, as a fraction of the largest output."""


class _Graph(nn.Module):
    """``(B, 3, S, S)`` in [0, 1] → the outputs ``names``."""

    cam_weights: Tensor | None

    def __init__(
        self, network: Network, head: Tensor | None, familiarity: Mapping[str, np.ndarray] | None
    ) -> None:
        super().__init__()
        self.network = network
        self.cam_weights = None if head is None else nn.Buffer(head)
        self.distance = None if familiarity is None else _Distance(familiarity)
        self.names = list(OUTPUTS)
        self.names += [HEAD] if head is not None else []
        self.names += [UNLIKE] if familiarity is not None else []

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        output = self.network(image)
        outputs = [output.logits, output.pooled, output.map]
        if self.cam_weights is not None:
            outputs.append(self.cam_weights.clone())
        if self.distance is not None:
            outputs.append(self.distance(output.pooled))
        return tuple(outputs)


class _Distance(nn.Module):
    """``(B, p)`` features → ``(B,)``, how far they are from anything trained on.

    The distance of ``dait.evaluation.features.familiarity``, of whose arrays it is made.
    """

    means: Tensor
    directions: Tensor
    variances: Tensor

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        for name in ("means", "directions", "variances"):
            self.register_buffer(name, torch.from_numpy(np.array(arrays[name], np.float32)))
        self.rest = float(arrays["rest"])

    def forward(self, features: Tensor) -> Tensor:
        apart = features[:, None] - self.means  # (B, M, p)
        along = (apart @ self.directions.T) ** 2
        others = ((apart**2).sum(2) - along.sum(2)).clamp(min=0)
        return ((along / self.variances).sum(2) + others / self.rest).amin(1)


def export_onnx(
    network: Network,
    path: Path,
    metadata: Mapping[str, Any],
    familiarity: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write ``network`` (in eval mode, on the CPU) to one ONNX file, and compare the two.

    Input: ``image``, float32 ``(B, 3, S, S)`` RGB in [0, 1]; B is free. Outputs: ``logits``
    ``(B, classes)``, of both heads where the network has two; ``features``, the pooled vectors
    ``(B, p)``; ``maps``, the last feature maps ``(B, C, h, w)``; and where the logits are linear in
    the mean of the maps ``head``, its weights ``(classes, C)``: the class activation map of class c
    is ``sum_k head[c, k] · maps[:, k]`` (Zhou et al. 2016). With familiarity (the arrays of
    a ``Familiarity``) also ``unlike`` ``(B,)``, to be compared with its threshold.

    metadata: kept in the file as JSON, a key each. Raises ``UserError`` for a network that has an
    operator which ONNX lacks, or whose graph answers otherwise, and ``OSError``.
    """
    size = network.image_size
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, size, size, generator=generator)
    graph = _Graph(network, cam_weights(network), familiarity).eval()
    try:
        with torch.no_grad(), _quiet():
            program: Any = torch.onnx.export(
                graph,
                (images,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=graph.names,
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
    except Exception as error:  # the exporter raises its own errors and nearly any other
        raise _not_exported(network, error) from error
    model = program.model_proto
    model.producer_name = "dait-studio"
    model.graph.name = network.spec.name
    onnx.helper.set_model_props(
        model, {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    )
    path.write_bytes(model.SerializeToString())
    _compare(graph, path, images)


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    """The graph in onnxruntime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


def logits_of(session: onnxruntime.InferenceSession, images: np.ndarray) -> np.ndarray:
    """``(N, classes)`` of images ``(N, 3, S, S)`` float32 in [0, 1]."""
    parts = [
        session.run([LOGITS], {INPUT: images[at : at + _BATCH]})[0]
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)


@torch.no_grad()
def cam_weights(network: Network) -> Tensor | None:
    """The head's weights ``(classes, C)``, if the logits are linear in the mean of the last map.

    None for a network with layers between that mean and the head (MobileNetV3, GhostNet), with
    tokens for a map, with two heads mixed: their maps would be another thing than Grad-CAM's.
    """
    heads = network.heads()
    weight = getattr(heads[0], "weight", None) if len(heads) == 1 else None
    if network.mix is not None and network.mix.own_weight != 1:
        return None
    if weight is None or weight.shape[:2] != (network.num_classes, network.map_channels):
        return None
    size = network.image_size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    output = network(images)
    weight = weight.flatten(1)
    linear = output.map.mean(dim=(2, 3)) @ weight.T
    bias = getattr(heads[0], "bias", None)
    linear = linear if bias is None else linear + bias
    scale = float(output.logits.abs().amax())
    if torch.allclose(linear, output.logits, rtol=1e-3, atol=1e-4 * scale):
        return weight.detach().clone()
    return None


def _compare(graph: _Graph, path: Path, images: Tensor) -> None:
    """Raise ``UserError`` unless the file answers as the network does, one image or two."""
    session = open_graph(path)
    for count in (1, 2):
        with torch.no_grad():
            expected = graph(images[:count])
        found = session.run(graph.names, {INPUT: images[:count].numpy()})
        for name, ours, theirs in zip(graph.names, expected, found, strict=True):
            largest = max(1.0, float(ours.abs().amax()))
            if not np.allclose(ours.numpy(), theirs, rtol=_ALIKE, atol=_ALIKE * largest):
                far = float(np.abs(ours.numpy() - np.asarray(theirs)).max())
                raise UserError(
                    f"The ONNX graph's {name} differ from PyTorch's by {far:.2g}; it is not "
                    "written. Export without ONNX, or train a network that exports."
                )


def _not_exported(network: Network, error: Exception) -> UserError:
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and isinstance(cause, Exception):
        causes.append(cause)
    return UserError(
        f"{network.spec.name} cannot be written as ONNX ({first_line(causes[-1])[:300]}). Export "
        "it without ONNX; docs/export.md lists the networks that export."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter prints and warns of: it is for its own authors."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
