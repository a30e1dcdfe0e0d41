"""DAIT, stage 1: the intermediate teacher learns from the frozen one under the task's labels."""

from __future__ import annotations

from torch import Tensor

from dait.config.arms import DaitConfig
from dait.data.base import ViewKind
from dait.losses import classification, cosine_distance, distillation, zero_shot_logits
from dait.models.network import Network, NetworkOutput
from dait.tasks.base import Batch, Task, TaskOutput, projection, weighted_sum

UNTRAINED_HEAD = (
    "Without a classification term the intermediate teacher's own head never learns: its accuracy "
    "says nothing, and only its features are distilled."
)


TO_VLM = "intermediate_to_vlm"
"""``P_T``, by its name among the projections."""


class AdaptTask(Task):
    """``L_1 = γ · L_cls + α · L_rep + β · L_sem`` on augmented views that the frozen teacher sees.

    From the paper: a trainable teacher under the task's labels, semantic and representation
    alignment. Our choice, the form: ``L_rep = 1 − cos(P_T p_T, v)``;
    ``L_sem = τ² KL(softmax(z_V/τ) ‖ softmax(κ·norm(P_T p_T)·wᵀ/τ))``, so the same projection
    also has to place the image among the class texts. Parts that weigh nothing are not computed;
    without both alignments the frozen teacher is not asked.
    """

    stage = "intermediate teacher"
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
        self.needs_vlm = bool(config.representation_weight or config.semantic_weight)
        if self.needs_vlm:
            self.projections[TO_VLM] = projection(network.pooled_width, prototypes.shape[1])
        if not config.classification_weight:
            self.notes = (UNTRAINED_HEAD,)

    def forward(self, batch: Batch) -> TaskOutput:
        output = self.network(batch.images)
        parts = self.parts(output, batch)
        return TaskOutput(self.total(parts), output.logits, parts)

    def parts(self, output: NetworkOutput, batch: Batch) -> dict[str, Tensor]:
        """The terms of ``L_1`` that weigh something, unweighted, for what the network gave."""
        config, parts = self.config, dict[str, Tensor]()
        if config.classification_weight:
            parts["classification"] = classification(
                output.logits, batch.target, self.label_smoothing
            )
        if not self.needs_vlm:
            return parts
        if batch.vlm is None:
            raise ValueError("stage 1 of DAIT needs the frozen teacher's embeddings")
        projected = self.projections[TO_VLM](output.pooled)
        if config.representation_weight:
            parts["representation"] = cosine_distance(projected, batch.vlm)
        if config.semantic_weight:
            taught = zero_shot_logits(projected, self.prototypes, self.logit_scale)
            teacher = zero_shot_logits(batch.vlm, self.prototypes, self.logit_scale)
            parts["semantic"] = distillation(taught, teacher, config.temperature)
        return parts

    def total(self, parts: dict[str, Tensor]) -> Tensor:
        """``L_1`` of its parts."""
        return weighted_sum(
            parts,
            {
                "classification": self.config.classification_weight,
                "representation": self.config.representation_weight,
                "semantic": self.config.semantic_weight,
            },
        )
