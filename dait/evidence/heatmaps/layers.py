"""The layers that a heatmap can be read at: the network's own choice, or any by its name.

Names are those of the library's own network (``layer3``, ``blocks.9.norm1``). Whether a layer's
output is a map, and how it lies, follows from its shape alone, so that no architecture needs to be
known: images are square, and so is every map of them.
"""

from __future__ import annotations

import difflib
import math
import threading
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from dait.errors import UserError

Grid = tuple[int, int, int]
"""Rows, columns, and the tokens before those of the patches."""

_MOST_PREFIX = 8  # class, distillation and register tokens
_MOST_NAMED = 20
_INSIDE = ("teacher", "network", "model", "visual", "trunk")
"""Attributes that lead from a wrapper to the library's own network, in this order."""


class Explainable(Protocol):
    """What ``explain`` needs of an ``nn.Module``; ``dait.models.network.Network`` has it."""

    def __call__(self, images: Tensor) -> Any:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, C)`` logits, or an object with ``logits``."""
        ...

    def heatmap_layer(self) -> nn.Module:
        """The module whose output is explained."""
        ...

    def heatmap_grid(self) -> Grid | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a map."""
        ...


@dataclass(frozen=True)
class OutputLayout:
    """How an output lies: tokens ``(B, prefix + rows · columns, d)`` of a ``grid``, or, where that
    is None, a map ``(B, d, h, w)``, or ``(B, h, w, d)`` if ``channels_last``."""

    grid: Grid | None = None
    channels_last: bool = False

    def as_map(self, output: Tensor) -> Tensor:
        """The output as ``(B, d, h, w)``. Raises ``ValueError`` where it lies otherwise."""
        if self.grid is None:
            if output.ndim != 4:
                raise ValueError(f"a map (B, d, h, w) was promised, found {tuple(output.shape)}")
            return output.permute(0, 3, 1, 2) if self.channels_last else output
        rows, columns, prefix = self.grid
        if output.ndim != 3 or output.shape[1] != prefix + rows * columns:
            raise ValueError(
                f"{prefix} + {rows}·{columns} tokens were promised, found {tuple(output.shape)}"
            )
        return output[:, prefix:].unflatten(1, (rows, columns)).permute(0, 3, 1, 2)


def layout_of(output: object, batch: int, patches: Grid | None) -> OutputLayout | None:
    """How the output of any layer lies, or None where it is no map of so many images.

    patches: the network's own ``heatmap_grid``.
    """
    if not isinstance(output, Tensor) or output.shape[:1] != (batch,):
        return None
    if output.ndim == 4:
        _, first, second, third = output.shape
        if second == third > 1:
            return OutputLayout()
        return OutputLayout(channels_last=True) if first == second > 1 else None
    if output.ndim != 3:
        return None
    tokens = output.shape[1]
    if patches is not None and 0 <= tokens - patches[0] * patches[1] <= _MOST_PREFIX:
        return OutputLayout((patches[0], patches[1], tokens - patches[0] * patches[1]))
    side = math.isqrt(tokens)
    return OutputLayout((side, side, 0)) if side * side == tokens > 1 else None


def layer_called(network: Explainable, name: str) -> nn.Module | None:
    """The module with this name in the library's own network, or None."""
    return dict(_root(network).named_modules()).get(name) if name else None


@torch.no_grad()
def layer_names(network: Explainable, images: Tensor) -> tuple[str, ...]:
    """Every layer that gives a map of ``images`` ``(B, 3, S, S)`` once in a forward pass."""
    root, thread = _root(network), threading.get_ident()
    patches = network.heatmap_grid()
    found: dict[str, list[OutputLayout | None]] = {}

    def watch(name: str) -> Any:
        def look(module: nn.Module, args: Any, output: Any) -> None:
            if threading.get_ident() == thread:
                found.setdefault(name, []).append(layout_of(output, len(images), patches))

        return look

    watched = [
        module.register_forward_hook(watch(name))
        for name, module in root.named_modules()
        if name and not isinstance(module, nn.Identity) and not _inside_attention(name)
    ]
    try:
        network(images)
    finally:
        for handle in watched:
            handle.remove()
    return tuple(name for name, layouts in found.items() if len(layouts) == 1 and layouts[0])


def no_such_layer(network: Explainable, name: str, images: Tensor) -> UserError:
    """The sentence for a layer that cannot be explained, with those that can."""
    known = sorted(layer_names(network, images), key=lambda other: other.count("."))
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    # The outer ones come first: they are those that people know.
    listed, others = known[:_MOST_NAMED], known[_MOST_NAMED:]
    inside = f", or one of {len(others)} inside these, such as {others[-1]}" if others else ""
    return UserError(
        f"‘{name}’ is no layer of this {type(_root(network)).__name__} that gives one map an "
        f"image.{hint} Choose one of {', '.join(listed)}{inside}."
    )


def _root(network: Explainable) -> nn.Module:
    found = cast(nn.Module, network)
    for attribute in _INSIDE:
        inner = getattr(found, attribute, None)
        if isinstance(inner, nn.Module):
            found = inner
    return found


def _inside_attention(name: str) -> bool:
    """Queries and keys are (B, heads, n, d), which may look like a map by chance."""
    return any("attn" in part for part in name.split(".")[:-1])
