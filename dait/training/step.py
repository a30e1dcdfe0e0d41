"""One step of the optimiser, on one batch: in pieces, in few bits, among several processes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dait.config.train import TrainConfig
from dait.distributed import World, sum_over
from dait.errors import UserError
from dait.tasks.base import Batch, Task
from dait.training.batches import pieces
from dait.training.optimizer import build_optimizer
from dait.training.precision import autocast, grad_scaler

_SHORT = 1e-5  # torch divides by the norm and a millionth, so it clips a little below the limit


class Step:
    """Steps one task. ``optimizer`` and ``scaler`` are what a checkpoint has to keep."""

    def __init__(self, task: Task, config: TrainConfig, world: World, device: torch.device) -> None:
        self.task, self.config, self.world, self.device = task, config, world, device
        self.optimizer = build_optimizer(task, config)
        self.scaler = grad_scaler(config.precision, device)
        self._parameters = task.trainable()
        self._forward = torch.compile(task) if config.compile else task

    def __call__(self, batch: Batch, images: int, rate: float, number: int) -> dict[str, float]:
        """Step down the loss of ``batch``; the loss and its parts, as means over ``images``.

        batch: this process's share; images: of the whole batch, over all processes. number: of the
        step, from 1. Raises ``UserError``, with the weights as they were, where the loss or the
        gradient is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        names, values = self._gradients(batch, images)
        norm = self._norm()
        found = dict(zip([*names, "gradient"], torch.cat([values, norm]).tolist(), strict=True))
        gradient = found.pop("gradient")
        # In fp16 a step whose gradient overflows is left out by the scaler, which then scales less.
        if not math.isfinite(found["loss"] + (0 if self.scaler.is_enabled() else gradient)):
            raise self._not_finite(found, gradient, rate, number)
        self._clip(norm, gradient)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return found

    def _gradients(self, batch: Batch, images: int) -> tuple[list[str], Tensor]:
        """Fills the gradients; the names of the loss and its parts, and their values."""
        names, total = list[str](), None
        for piece in pieces(batch, self.config.accumulation):
            with autocast(self.config.precision, self.device):
                output = self._forward(piece)
            # Of the whole batch: so pieces and processes add up to its gradient, however unequal.
            weight = len(piece.labels) / images
            loss = output.loss if weight == 1 else output.loss * weight
            self.scaler.scale(loss).backward()
            named = {"loss": output.loss, **output.parts}
            values = torch.stack([value.detach().float() for value in named.values()]) * weight
            names, total = list(named), values if total is None else total + values
        assert total is not None
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        sum_over(self.world, [*gradients, total])
        return names, total

    def _norm(self) -> Tensor:
        """The gradient's norm, ``(1,)``, whether or not it is clipped: it has to be finite."""
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients).float().view(1)

    def _clip(self, norm: Tensor, value: float) -> None:
        """Shorten a gradient that is too long. One that is not would be multiplied by 1."""
        most = self.config.gradient_clip
        if most and not value < most - _SHORT:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, most, norm.view(()))

    def _not_finite(
        self, found: Mapping[str, float], gradient: float, rate: float, number: int
    ) -> UserError:
        parts = ", ".join(f"{name} {part:.4g}" for name, part in found.items() if name != "loss")
        what, value = ("loss", found["loss"])
        if math.isfinite(value):
            what, value = "gradient", gradient
        return UserError(
            f"The {what} of the stage “{self.task.stage}” is {value} at step {number} with a "
            f"learning rate of {rate:.3g} ({parts}). Lower train.learning_rate, or the weight of "
            "the part that is not finite."
        )
