"""One optimiser step: forward and backward in micro-batches, mixed precision, and the update."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from dait.config.train import TrainConfig
from dait.distributed import World, sum_over
from dait.errors import UserError
from dait.tasks.base import Batch, Task
from dait.training.batches import micro_batches
from dait.training.optimizer import build_optimizer
from dait.training.precision import autocast

_OUT_OF_MEMORY = ("DefaultCPUAllocator", "not enough memory: you tried to allocate")
_SHORT = 1e-5  # torch divides by the norm and a millionth, so it clips a little below the limit


class Losses(NamedTuple):
    """The loss and its parts: their names, and their values ``(names,)`` on the device."""

    names: list[str]
    values: Tensor


class Step:
    """Steps one task. ``optimizer`` and ``scaler`` are what a checkpoint has to keep."""

    def __init__(self, task: Task, config: TrainConfig, world: World, device: torch.device) -> None:
        self.task, self.config, self.world, self.device = task, config, world, device
        self.optimizer = build_optimizer(task, config)
        # Keeps small gradients from vanishing in fp16; does nothing in other precisions.
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._parameters = task.trainable()
        self._forward = torch.compile(task) if config.compile else task

    def forward_backward(self, batch: Batch, images: int) -> Losses:
        """Compute the gradients of ``batch``; the losses are means over ``images``.

        batch: this process's share; images: of the whole batch, over all processes.
        """
        self.optimizer.zero_grad(set_to_none=True)
        names, total = list[str](), None
        for part in micro_batches(batch, self.config.accumulation):
            with autocast(self.config.precision, self.device):
                output = self._forward(part)
            # Of the whole batch, so that parts and processes of any size add up to its mean.
            weight = len(part.labels) / images
            loss = output.loss if weight == 1 else output.loss * weight
            self.scaler.scale(loss).backward()
            named = {"loss": output.loss, **output.parts}
            values = torch.stack([value.detach().float() for value in named.values()]) * weight
            names, total = list(named), values if total is None else total + values
        assert total is not None
        sum_over(self.world, [*self._gradients(), total])
        return Losses(names, total)

    def update(self, losses: Losses, rate: float, number: int) -> dict[str, float]:
        """Clip the gradients, step with the learning rate ``rate``, and return the losses.

        number: of the step, from 1. Raises ``UserError``, with the weights as they were, where the
        loss or the gradient is not finite.
        """
        for group in self.optimizer.param_groups:
            # Checkpoints of older versions know no share: they gave every group all of it.
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self.scaler.unscale_(self.optimizer)
        # Whether or not it is clipped: it has to be finite.
        norm = torch.nn.utils.get_total_norm(self._gradients()).float()
        *numbers, gradient = torch.cat([losses.values, norm.view(1)]).tolist()
        values = dict(zip(losses.names, numbers, strict=True))
        # In fp16 a step whose gradient overflows is left out by the scaler, which then scales less.
        if not math.isfinite(values["loss"] + (0 if self.scaler.is_enabled() else gradient)):
            raise self._not_finite(values, gradient, rate, number)
        limit = self.config.gradient_clip
        if limit and not gradient < limit - _SHORT:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, limit, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]

    def _not_finite(
        self, values: Mapping[str, float], gradient: float, rate: float, number: int
    ) -> UserError:
        parts = ", ".join(f"{name} {part:.4g}" for name, part in values.items() if name != "loss")
        what, value = ("loss", values["loss"])
        if math.isfinite(value):
            what, value = "gradient", gradient
        return UserError(
            f"The {what} of the stage “{self.task.stage}” is {value} at step {number} with a "
            f"learning rate of {rate:.3g} ({parts}). Lower train.learning_rate, or the weight of "
            "the part that is not finite."
        )


@contextmanager
def enough_memory(config: TrainConfig) -> Iterator[None]:
    """Turns a failed allocation within the block into a ``UserError`` that names the options."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        pieces = f" in {config.accumulation} pieces" if config.accumulation > 1 else ""
        raise UserError(
            f"A batch of {config.batch_size} images{pieces} does not fit into the memory "
            f"({str(error).splitlines()[0]}). Raise train.accumulation, which computes the "
            "same step in more pieces, or lower train.batch_size."
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in _OUT_OF_MEMORY)
