"""DAIT, stage 2: the adapted teacher, now frozen, hands its feature maps to the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dait.config.arms import DaitConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, spatial_distance
from dait.models.network import Network, NetworkOutput
from dait.tasks.base import Batch, TaskOutput, TaughtTask, projection, weighted_sum


class DistilTask(TaughtTask):
    """``L_2 = CE + λ · L_spa (+ μ · L_pool) (+ ν · τ² KL to T's logits)``; both see the same view.

    From the paper: what the teacher makes of the image is handed on by features. Our choice, the
    form: ``L_spa`` is the mean over positions of ``1 − cos(R_S(resize(M_S)), M_T)`` with ``R_S`` a
    1×1 convolution; ``L_pool = 1 − cos(Q_S p_S, p_T)``. Parts that weigh nothing are not computed
    and have no adapter; where none is left the teacher is not asked.
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
        super().__init__(network, views, intermediate)
        self.config = config
        self.label_smoothing = label_smoothing
        self.projections.update(adapters(network, intermediate, config))

    def forward(self, batch: Batch) -> TaskOutput:
        config = self.config
        taught = None
        if config.spatial_weight or config.pooled_weight or config.logit_weight:
            with torch.no_grad():
                taught = self.teacher(batch.images)
        output = self.network(batch.images)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing)
        }
        if taught is not None:
            parts |= handed_on(output, taught, self.projections, config)
        return TaskOutput(stage_2_loss(parts, config), output.logits, parts)


def adapters(network: Network, intermediate: Network, config: DaitConfig) -> dict[str, nn.Module]:
    """``R_S`` and ``Q_S``, those that have a weight: from the student's widths to the teacher's."""
    found: dict[str, nn.Module] = {}
    if config.spatial_weight:
        found["map_adapter"] = nn.Conv2d(network.map_channels, intermediate.map_channels, 1)
    if config.pooled_weight:
        found["pooled"] = projection(network.pooled_width, intermediate.pooled_width)
    return found


def handed_on(
    output: NetworkOutput, taught: NetworkOutput, adapters: nn.ModuleDict, config: DaitConfig
) -> dict[str, Tensor]:
    """The terms of ``L_2`` between the student and its teacher that weigh something, unweighted."""
    parts: dict[str, Tensor] = {}
    if config.spatial_weight:
        parts["spatial"] = spatial_distance(adapters["map_adapter"](output.map), taught.map)
    if config.pooled_weight:
        parts["pooled"] = cosine_distance(adapters["pooled"](output.pooled), taught.pooled)
    if config.logit_weight:
        parts["logits"] = distillation(output.logits, taught.logits, config.temperature)
    return parts


def stage_2_loss(parts: dict[str, Tensor], config: DaitConfig) -> Tensor:
    """``L_2`` of its parts."""
    weights = {
        "classification": 1.0,
        "spatial": config.spatial_weight,
        "pooled": config.pooled_weight,
        "logits": config.logit_weight,
    }
    return weighted_sum(parts, weights)
