"""DAIT, stage 1: the intermediate teacher learns from the frozen one under the task's labels."""

from __future__ import annotations

from torch import Tensor

from dait.config.arms import DaitConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, zero_shot_logits
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput, projection


class AdaptTask(Task):
    """``L_1 = L_cls + α · L_rep + β · L_sem`` on augmented views shared with the frozen teacher.

    ``L_rep = 1 − cos(P_T p_T, v)``;
    ``L_sem = τ² KL(softmax(z_V/τ) ‖ softmax(κ·norm(P_T p_T)·wᵀ/τ))``, so the same projection
    also has to place the image among the class texts.
    """

    stage = "intermediate teacher"
    needs_vlm = True
    prototypes: Tensor

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        prototypes: Tensor,
        logit_scale: float,
        config: DaitConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views)
        self.config = config
        self.logit_scale = logit_scale
        self.label_smoothing = label_smoothing
        self.register_buffer("prototypes", prototypes, persistent=False)
        self.projections["intermediate_to_vlm"] = projection(
            network.pooled_width, prototypes.shape[1]
        )

    def forward(self, batch: Batch) -> TaskOutput:
        if batch.vlm is None:
            raise ValueError("stage 1 of DAIT needs the frozen teacher's embeddings")
        output = self.network(batch.images)
        projected = self.projections["intermediate_to_vlm"](output.pooled)
        taught = zero_shot_logits(projected, self.prototypes, self.logit_scale)
        teacher = zero_shot_logits(batch.vlm, self.prototypes, self.logit_scale)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing),
            "representation": cosine_distance(projected, batch.vlm),
            "semantic": distillation(taught, teacher, self.config.temperature),
        }
        loss = (
            parts["classification"]
            + self.config.representation_weight * parts["representation"]
            + self.config.semantic_weight * parts["semantic"]
        )
        return TaskOutput(loss, output.logits, parts)
