"""Direct distillation: the frozen teacher's features and logits, straight to the student."""

from __future__ import annotations

from torch import Tensor

from dait.config.arms import DirectConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, zero_shot_logits
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput, projection


class DirectTask(Task):
    """``CE + λ_f · (1 − cos(P_S p_S, v)) + λ_k · τ² KL(z_V/τ ‖ W_S p_S/τ)``.

    prototypes: ``(C, d)`` of the frozen teacher; logit_scale: its κ.
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
        self.register_buffer("prototypes", prototypes, persistent=False)
        self.projections["student_to_vlm"] = projection(network.pooled_width, prototypes.shape[1])

    def forward(self, batch: Batch) -> TaskOutput:
        if batch.vlm is None:
            raise ValueError("direct distillation needs the frozen teacher's embeddings")
        output = self.network(batch.images)
        projected = self.projections["student_to_vlm"](output.pooled)
        teacher = zero_shot_logits(batch.vlm, self.prototypes, self.logit_scale)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing),
            "feature": cosine_distance(projected, batch.vlm),
            "logits": distillation(output.logits, teacher, self.config.temperature),
        }
        loss = (
            parts["classification"]
            + self.config.feature_weight * parts["feature"]
            + self.config.logit_weight * parts["logits"]
        )
        return TaskOutput(loss, output.logits, parts)
