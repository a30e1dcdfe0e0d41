"""Direct distillation: the frozen teacher's features and logits, straight to the student."""

from __future__ import annotations

from torch import Tensor

from dait.config.arms import DirectConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, zero_shot_logits
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput, projection, weighted_sum


class DirectTask(Task):
    """``γ · CE + λ_f · (1 − cos(P_S p_S, v)) + λ_k · τ² KL(z_V/τ ‖ W_S p_S/τ)``.

    The arm is the paper's; the form of its losses is our choice. Parts that weigh nothing are not
    computed. prototypes: ``(C, d)`` of the frozen teacher; logit_scale: its κ.
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
        config: DirectConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views)
        self.config = config
        self.logit_scale = logit_scale
        self.label_smoothing = label_smoothing
        self.needs_vlm = bool(config.feature_weight or config.logit_weight)
        self.register_buffer("prototypes", prototypes, persistent=False)
        if config.feature_weight:
            self.projections["student_to_vlm"] = projection(
                network.pooled_width, prototypes.shape[1]
            )

    def forward(self, batch: Batch) -> TaskOutput:
        if self.needs_vlm and batch.vlm is None:
            raise ValueError("direct distillation needs the frozen teacher's embeddings")
        config, parts = self.config, dict[str, Tensor]()
        output = self.network(batch.images)
        if config.classification_weight:
            parts["classification"] = classification(
                output.logits, batch.target, self.label_smoothing
            )
        if batch.vlm is not None and config.feature_weight:
            projected = self.projections["student_to_vlm"](output.pooled)
            parts["feature"] = cosine_distance(projected, batch.vlm)
        if batch.vlm is not None and config.logit_weight:
            teacher = zero_shot_logits(batch.vlm, self.prototypes, self.logit_scale)
            parts["logits"] = distillation(output.logits, teacher, config.temperature)
        weights = {
            "classification": config.classification_weight,
            "feature": config.feature_weight,
            "logits": config.logit_weight,
        }
        return TaskOutput(weighted_sum(parts, weights), output.logits, parts)
