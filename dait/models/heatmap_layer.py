"""Which layer of a network a heatmap is read at, found by trying.

A network is asked once: the layer must give one map an image, and the logits must depend on most
positions of it. The last such layer is taken. After the last block of a transformer that pools its
class token nothing reaches the logits from the other tokens, so names alone do not tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Rows, columns, and the tokens before those of the patches."""

AppConfig = tuple[str, Grid | None]
"""A layer's name, and how its output lies: tokens of a grid, or None for a map ``(B, C, h, w)``."""

MOST_PREFIX = 8
"""Class, distillation and register tokens."""


def find_heatmap_layer(network: nn.Module, model: str, images: Tensor) -> AppConfig | None:
    """The layer to explain ``network`` at, or None where there is none.

    network: images ``(1, 3, S, S)`` → an object with ``map`` ``(1, C, h, w)`` and ``logits``.
    model: the name in it of the library's own network. Its last block's ``norm1`` comes first: that
    is where ViTs are explained, by habit and by measurement.
    """
    inside = {
        name: module
        for name, module in network.named_modules()
        if name.startswith(f"{model}.")
        and not isinstance(module, nn.Identity)
        # Queries and keys (B, heads, n, d) may look like a map by chance.
        and not any("att" in part for part in name.split(".")[len(model.split(".")) :])
    }
    norms = [name for name in inside if name.startswith(f"{model}.blocks.")]
    usual = [name for name in norms if name.count(".") == 3 and name.endswith(".norm1")][-1:]
    for names in (usual, inside):
        found = next(_with_gradient(network, images, names), None)
        if found is not None:
            return found
    return None


def _with_gradient(network: nn.Module, images: Tensor, names: Iterable[str]) -> Iterator[AppConfig]:
    """Of the layers called so, those that will do; the last to run comes first."""
    outputs: list[tuple[str, Tensor]] = []

    def watch(name: str) -> Any:
        def keep(module: nn.Module, args: Any, output: Any) -> Tensor | None:
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return None
            # The parameters are frozen meanwhile: the graph begins at the first of these outputs.
            outputs.append((name, output if output.requires_grad else output.requires_grad_()))
            return output.clone()  # the next module may work in place

        return keep

    handles = [network.get_submodule(name).register_forward_hook(watch(name)) for name in names]
    try:
        with _frozen(network), torch.enable_grad():
            answer = network(images)
            if not outputs:
                return
            score = (answer.logits * torch.linspace(1, 2, answer.logits.shape[1])).sum()
            tensors = [output for _, output in outputs]
            gradients = torch.autograd.grad(score, tensors, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    times = Counter(name for name, _ in outputs)
    rows, columns = answer.map.shape[2:]
    for (name, output), gradient in reversed(list(zip(outputs, gradients, strict=True))):
        if gradient is None or times[name] > 1:
            continue
        if output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            felt, grid = gradient.abs().sum(dim=1), None
        elif output.ndim == 3 and 0 <= output.shape[1] - rows * columns <= MOST_PREFIX:
            grid = (rows, columns, output.shape[1] - rows * columns)
            felt = gradient[:, grid[2] :].abs().sum(dim=2)
        else:
            continue
        if (felt > 0).float().mean() > 0.5:
            yield name, grid


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
