"""Direct distillation: the frozen teacher's features and logits, straight to the student."""

from __future__ import annotations

from torch import Tensor, nn

from dait.config.arms import DirectConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, zero_shot_logits
from dait.models.heads import TextHead
from dait.models.network import Network, NetworkOutput
from dait.tasks.base import Batch, Task, TaskOutput, projection, weighted_sum

TO_VLM = "student_to_vlm"
"""``P_S``, by its name among the projections."""


class DirectTask(Task):
    """``γ · CE + λ_f · (1 − cos(P_S p_S, v)) + λ_k · τ² KL(z_V/τ ‖ W_S p_S/τ) + λ_t · L_sem``.

    The arm is the paper's; the form of its losses is our choice. ``L_sem`` is that of DAIT's stage
    1, with the student in the intermediate teacher's place:
    ``τ² KL(z_V/τ ‖ κ·norm(P_S p_S)·wᵀ/τ)`` with the ``P_S`` of the feature term. Parts that weigh
    nothing are not computed. prototypes: ``(C, d)`` of the frozen teacher; logit_scale: its κ.
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
        self.needs_vlm = bool(config.feature_weight or config.logit_weight or config.text_weight)
        self.register_buffer("prototypes", prototypes, persistent=False)
        self.head = config.head
        if config.feature_weight or config.text_weight:
            self.projections[TO_VLM] = projection(network.pooled_width, prototypes.shape[1])

    def forward(self, batch: Batch) -> TaskOutput:
        if self.needs_vlm and batch.vlm is None:
            raise ValueError("direct distillation needs the frozen teacher's embeddings")
        config, parts = self.config, dict[str, Tensor]()
        output = self.network(batch.images)
        if config.classification_weight:
            parts["classification"] = classification(
                output.logits, batch.target, self.label_smoothing
            )
        if batch.vlm is not None:
            parts |= self._distilled(output, batch.vlm)
        weights = {
            "classification": config.classification_weight,
            "feature": config.feature_weight,
            "logits": config.logit_weight,
            "texts": config.text_weight,
        }
        return TaskOutput(weighted_sum(parts, weights), output.logits, parts)

    def second_head(self) -> nn.Module | None:
        """The place among the class texts."""
        if TO_VLM not in self.projections:
            return None
        return TextHead(self.projections[TO_VLM], self.prototypes, self.logit_scale)

    def _distilled(self, output: NetworkOutput, vlm: Tensor) -> dict[str, Tensor]:
        """The terms that weigh something and have the frozen teacher in them, unweighted."""
        config, parts = self.config, dict[str, Tensor]()
        teacher = zero_shot_logits(vlm, self.prototypes, self.logit_scale)
        if TO_VLM in self.projections:
            projected = self.projections[TO_VLM](output.pooled)
        if config.feature_weight:
            parts["feature"] = cosine_distance(projected, vlm)
        if config.logit_weight:
            parts["logits"] = distillation(output.logits, teacher, config.temperature)
        if config.text_weight:
            place = zero_shot_logits(projected, self.prototypes, self.logit_scale)
            parts["texts"] = distillation(place, teacher, config.temperature)
        return parts
