"""The base class of tasks: one way of training one network, as a module that gives a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dait.config.arms import Head
from dait.data.base import ViewKind
from dait.models.network import Network, NetworkOutput

Role = Literal["student", "intermediate", "classifier", "assistant"]
"""What a network is to an arm; its weights' file is called so."""


@dataclass(frozen=True)
class Batch:
    """images ``(B, 3, S, S)`` in [0, 1], labels ``(B,)``, vlm ``(B, d)`` of the same views.

    shares: ``(B, C)``, how much of each class is in an image, where images are mixed.
    taught: the trained teacher's outputs for the same views, where they are computed already.
    """

    images: Tensor
    labels: Tensor
    vlm: Tensor | None = None
    shares: Tensor | None = None
    taught: NetworkOutput | None = None

    @property
    def target(self) -> Tensor:
        """What ``losses.classification`` wants: the labels, or the shares of mixed images."""
        return self.labels if self.shares is None else self.shares


@dataclass(frozen=True)
class TaskOutput:
    """The loss to descend, the network's logits ``(B, C)``, and the loss's named parts."""

    loss: Tensor
    logits: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Task(nn.Module):
    """A network in training together with what the training needs besides it.

    ``network`` is what is evaluated and exported. ``projections`` are training-time parts, saved
    apart. A frozen teacher is held by a subclass outside ``parameters()`` of training (see
    ``trainable``) and stays in eval mode. ``extra_networks`` belong to the result too: they are
    trained beside the first, or fixed from the start. ``notes`` are sentences for the log at the
    start. ``adam_betas`` are β₁ and β₂ of AdamW. ``head`` is the one that answers in the end.
    """

    stage: str
    adam_betas = (0.9, 0.999)
    needs_vlm = False
    views: ViewKind
    extra_networks: Mapping[Role, Network] = MappingProxyType({})
    notes: tuple[str, ...] = ()
    head: Head = "own"

    def __init__(self, network: Network, views: ViewKind) -> None:
        super().__init__()
        self.network = network
        self.views = views
        self.projections = nn.ModuleDict()

    def forward(self, batch: Batch) -> TaskOutput:
        raise NotImplementedError

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Called before the first batch of every epoch, ``epoch`` counting from 0 to ``epochs``.

        After a resume it is called for the epoch that is continued, so what it sets must depend on
        its arguments alone. A task whose loss changes with time overrides it.
        """

    def second_head(self) -> nn.Module | None:
        """The head beside the network's own that the teacher trains, ``(B, p)`` → ``(B, C)``."""
        return None

    def learners(self) -> list[Network]:
        """The networks that learn here: the first, and companions that are trained beside it."""
        return [self.network]

    def trainable(self) -> list[nn.Parameter]:
        """The network's and the projections' parameters, nothing of any teacher."""
        return [*self.network.parameters(), *self.projections.parameters()]


class TaughtTask(Task):
    """A task with a trained network as its teacher, which does not learn here.

    The teacher is frozen and set to eval mode. It moves to a device with the task, and is no part
    of ``parameters()`` or ``state_dict()``.
    """

    def __init__(self, network: Network, views: ViewKind, teacher: Network) -> None:
        super().__init__(network, views)
        # In a tuple, so that it is no submodule: never trained, never saved, never set to train().
        self._teacher = (teacher.eval().requires_grad_(False),)

    @property
    def teacher(self) -> Network:
        """The frozen network."""
        return self._teacher[0]

    @property
    def teacher_outputs(self) -> tuple[str, ...]:
        """The fields of ``NetworkOutput`` that the loss needs of the teacher."""
        raise NotImplementedError

    def needed(self, output: NetworkOutput) -> NetworkOutput:
        """The teacher's outputs, those that the loss does not need emptied to ``(B, 0)``."""
        return NetworkOutput(
            *(
                value if name in self.teacher_outputs else value.new_empty(len(value), 0)
                for name, value in zip(output._fields, output, strict=True)
            )
        )

    def taught(self, batch: Batch) -> NetworkOutput:
        """The teacher's outputs for the batch; those that the loss does not need may be empty."""
        if batch.taught is not None:
            return batch.taught
        with torch.no_grad():
            output: NetworkOutput = self.teacher(batch.images)
        return output

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._teacher[0]._apply(fn)  # it moves to a device with the task
        return super()._apply(fn, recurse)


def weighted_sum(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """``Σ weight · part``, in the order of the parts."""
    return reduce(torch.add, [weights[name] * part for name, part in parts.items()])


def projection(inputs: int, outputs: int) -> nn.Linear:
    """A linear projection between embedding spaces."""
    return nn.Linear(inputs, outputs)
