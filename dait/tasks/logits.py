"""Logit distillation from a trained network: a classifier, or an assistant."""

from __future__ import annotations

import torch
from torch import nn

from dait.config.arms import KdConfig, TakdConfig
from dait.data.base import ViewKind
from dait.losses import classification, distillation
from dait.models.network import Network
from dait.tasks.base import Batch, TaskOutput, TaughtTask, weighted_sum

SECOND = "second_head"
"""The head that learns from the teacher, by its name among the projections."""


class LogitTask(TaughtTask):
    """``γ · CE + λ · τ² KL(teacher/τ ‖ student/τ)``; both see the same view.

    Hinton, Vinyals and Dean 2015; its place in a chain of teachers is Mirzadeh et al. 2020. Both
    write it as a weighted mean of the two terms; a sum with two weights is our choice. With
    ``config.head`` other than ``own`` a second linear head learns the teacher's logits.
    """

    stage = "student"

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        teacher: Network,
        config: KdConfig | TakdConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views, teacher)
        self.config = config
        self.head = config.head
        self.label_smoothing = label_smoothing
        if self.head != "own":
            self.projections[SECOND] = nn.Linear(network.pooled_width, network.num_classes)

    def second_head(self) -> nn.Module | None:
        """A linear head of its own for the teacher's logits."""
        return self.projections[SECOND] if self.head != "own" else None

    @property
    def teacher_outputs(self) -> tuple[str, ...]:
        """The logits, where they have a weight."""
        return ("logits",) if self.config.logit_weight else ()

    def forward(self, batch: Batch) -> TaskOutput:
        config, parts = self.config, dict[str, torch.Tensor]()
        output = self.network(batch.images)
        if config.classification_weight:
            parts["classification"] = classification(
                output.logits, batch.target, self.label_smoothing
            )
        if config.logit_weight:
            taught = self.taught(batch).logits
            second = self.second_head()
            learns = output.logits if second is None else second(output.pooled)
            parts["logits"] = distillation(learns, taught, config.temperature)
        weights = {"classification": config.classification_weight, "logits": config.logit_weight}
        return TaskOutput(weighted_sum(parts, weights), output.logits, parts)
