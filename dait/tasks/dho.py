"""Dual-head distillation: one head learns the labels, another one the frozen teacher's answers."""

from __future__ import annotations

from torch import Tensor, nn

from dait.config.arms import DhoConfig
from dait.data.base import ViewKind
from dait.losses import classification, distillation, zero_shot_logits
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput, weighted_sum
from dait.tasks.logits import SECOND


class DhoTask(Task):
    """``λ · CE(W_1 p, y) + (1 − λ) · τ² KL(z_V/τ ‖ W_2 p/τ)`` (DHO, Kang et al. 2025).

    From the paper: two linear heads on one pooled vector, labels and teacher apart, unlabelled
    images for the second, and in use a mixture of both whose weights are chosen on validation. Our
    choice: the recipe it is trained under, and τ. prototypes: ``(C, d)`` of the frozen teacher;
    logit_scale: its κ.
    """

    stage = "student"
    needs_vlm = True
    prototypes: Tensor

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        prototypes: Tensor,
        logit_scale: float,
        config: DhoConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views)
        self.config = config
        self.head = "both"
        self.logit_scale = logit_scale
        self.label_smoothing = label_smoothing
        self.register_buffer("prototypes", prototypes, persistent=False)
        self.projections[SECOND] = nn.Linear(network.pooled_width, network.num_classes)

    def second_head(self) -> nn.Module:
        """The head that the teacher trains."""
        return self.projections[SECOND]

    def forward(self, batch: Batch) -> TaskOutput:
        if batch.vlm is None:
            raise ValueError("dual-head distillation needs the frozen teacher's embeddings")
        share, output = self.config.classification_share, self.network(batch.images)
        teacher = zero_shot_logits(batch.vlm, self.prototypes, self.logit_scale)
        second = self.second_head()(output.pooled)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing),
            "logits": distillation(second, teacher, self.config.temperature),
        }
        weights = {"classification": share, "logits": 1 - share}
        return TaskOutput(weighted_sum(parts, weights), output.logits, parts)
