"""DAIT, stage 2: distillation from the adapted teacher, now frozen, to the student."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dait.config.arms import DaitConfig
from dait.data.base import ViewKind
from dait.losses import (
    classification,
    cosine_distance,
    distillation,
    spatial_distance,
    zero_shot_logits,
)
from dait.models.heads import TextHead
from dait.models.network import Network, NetworkOutput
from dait.tasks.base import Batch, TaskOutput, TaughtTask, projection, weighted_sum

TO_VLM = "student_to_vlm"
"""``P_S``, by its name among the projections."""

_NEEDED = {
    "spatial_weight": "map",
    "pooled_weight": "pooled",
    "logit_weight": "logits",
    "text_weight": "pooled",
}
"""What the term of each weight needs of the teacher."""


class DistilTask(TaughtTask):
    """``L_2 = CE + λ·L_spa (+ μ·L_pool) (+ ν·τ² KL to T's logits) (+ ξ·L_text)``; the same view.

    From the paper: the teacher's features are distilled. Our choice, the form: ``L_spa`` is the
    mean over positions of ``1 − cos(R_S(resize(M_S)), M_T)`` with ``R_S`` a 1×1 convolution;
    ``L_pool = 1 − cos(Q_S p_S, p_T)``; ``L_text = τ² KL(κ·norm(P_T p_T)·wᵀ/τ ‖ κ·norm(P_S
    p_S)·wᵀ/τ)``: the student's pooled vector has to come as near to each class text as the
    teacher's. Unlike the teacher's own head, these similarities were learned from the frozen
    teacher and not from the labels, so that they say more than the label of a memorised image.
    Terms of weight 0 are not computed and have no adapter; where none is left the teacher is not
    run.

    texts: the intermediate teacher's, with the projection of stage 1; needed for ``L_text``.
    """

    stage = "student"

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        intermediate: Network,
        config: DaitConfig,
        label_smoothing: float = 0.0,
        texts: TextHead | None = None,
    ) -> None:
        super().__init__(network, views, intermediate)
        if config.text_weight and texts is None:
            raise ValueError("a text_weight needs the intermediate teacher's text head")
        self.config = config
        self.head = config.head
        self.label_smoothing = label_smoothing
        self.projections.update(adapters(network, intermediate, config))
        # In a tuple, as the teacher: it is never trained and never saved.
        self._texts: tuple[TextHead, ...] = ()
        if texts is not None:
            self._texts = (texts.eval().requires_grad_(False),)
        if config.text_weight and texts is not None:
            width, inside = network.pooled_width, texts.prototypes.shape[1]
            self.projections[TO_VLM] = projection(width, inside)

    def second_head(self) -> nn.Module | None:
        """The place among the class texts."""
        if TO_VLM not in self.projections:
            return None
        (texts,) = self._texts
        return TextHead(self.projections[TO_VLM], texts.prototypes, texts.logit_scale)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        for texts in self._texts:  # they move to a device with the task
            texts._apply(fn)
        return super()._apply(fn, recurse)

    @property
    def teacher_outputs(self) -> tuple[str, ...]:
        """What the terms that have a weight need."""
        weights = self.config.model_dump(include=set(_NEEDED))
        return tuple(dict.fromkeys(_NEEDED[name] for name, weight in weights.items() if weight))

    def forward(self, batch: Batch) -> TaskOutput:
        config = self.config
        taught = self.taught(batch) if self.teacher_outputs else None
        output = self.network(batch.images)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing)
        }
        if taught is not None:
            parts |= distillation_terms(output, taught, self.projections, config)
            if config.text_weight:
                parts["texts"] = self._by_texts(output, taught)
        return TaskOutput(stage_2_loss(parts, config), output.logits, parts)

    def _by_texts(self, output: NetworkOutput, taught: NetworkOutput) -> Tensor:
        texts = self._texts[0]
        projected = self.projections[TO_VLM](output.pooled)
        own = zero_shot_logits(projected, texts.prototypes, texts.logit_scale)
        return distillation(own, texts(taught.pooled), self.config.temperature)


def adapters(network: Network, intermediate: Network, config: DaitConfig) -> dict[str, nn.Module]:
    """``R_S`` and ``Q_S``, those that have a weight: from the student's widths to the teacher's."""
    found: dict[str, nn.Module] = {}
    if config.spatial_weight:
        found["map_adapter"] = nn.Conv2d(network.map_channels, intermediate.map_channels, 1)
    if config.pooled_weight:
        found["pooled"] = projection(network.pooled_width, intermediate.pooled_width)
    return found


def distillation_terms(
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
        "texts": config.text_weight,
    }
    return weighted_sum(parts, weights)
