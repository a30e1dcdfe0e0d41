"""DAIT, stage 2: the adapted teacher, now frozen, hands its feature maps to the student."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dait.config.arms import DaitConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, spatial_distance
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput, projection


class DistilTask(Task):
    """``L_2 = CE + λ · L_spa (+ μ · L_pool) (+ ν · τ² KL to T's logits)``; both see the same view.

    ``L_spa`` is the mean over positions of ``1 − cos(R_S(resize(M_S)), M_T)`` with ``R_S`` a 1×1
    convolution; ``L_pool = 1 − cos(Q_S p_S, p_T)``.
    """

    stage = "student"

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        intermediate: Network,
        config: DaitConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views)
        self.config = config
        self.label_smoothing = label_smoothing
        # In a tuple, so that it is no submodule: never trained, never saved, never set to train().
        self._intermediate = (intermediate.eval().requires_grad_(False),)
        self.projections["map_adapter"] = nn.Conv2d(
            network.map_channels, intermediate.map_channels, 1
        )
        if config.pooled_weight:
            self.projections["pooled"] = projection(network.pooled_width, intermediate.pooled_width)

    @property
    def intermediate(self) -> Network:
        """The frozen intermediate teacher."""
        return self._intermediate[0]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._intermediate[0]._apply(fn)  # it moves to a device with the task
        return super()._apply(fn, recurse)

    def forward(self, batch: Batch) -> TaskOutput:
        with torch.no_grad():
            taught = self.intermediate(batch.images)
        output = self.network(batch.images)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing),
            "spatial": spatial_distance(self.projections["map_adapter"](output.map), taught.map),
        }
        loss = parts["classification"] + self.config.spatial_weight * parts["spatial"]
        if self.config.pooled_weight:
            parts["pooled"] = cosine_distance(
                self.projections["pooled"](output.pooled), taught.pooled
            )
            loss = loss + self.config.pooled_weight * parts["pooled"]
        if self.config.logit_weight:
            parts["logits"] = distillation(output.logits, taught.logits, self.config.temperature)
            loss = loss + self.config.logit_weight * parts["logits"]
        return TaskOutput(loss, output.logits, parts)
