"""VL2Lite: the frozen teacher's image and text embeddings, condensed to the student's width."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dait.config.arms import Vl2LiteConfig
from dait.data.base import ViewKind
from dait.losses import classification, condensed_distance, distillation, zero_shot_logits
from dait.models.heads import TextHead
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput


class Vl2LiteTask(Task):
    """``w · CE + (1 − w) · (½ · L1 + ½ · KL)``, from the published code of VL2Lite (CVPR 2025).

    ``w = epoch / (8 · epochs)``, epochs counting from 0: labels weigh nothing in the first epoch
    and an eighth in the end. ``A`` and ``B`` are two AlignNets, Linear-ReLU-Linear, which condense
    the teacher's embeddings and its class texts to the student's pooled width:

    - ``L1 = mean |norm(p_S) − norm(A(v))|`` over images and dimensions;
    - ``KL = C/2 · τ² KL(κ·v·wᵀ/τ ‖ κ·norm(p_S)·norm(B(w))ᵀ/τ)`` at τ = 2 and κ = 1/0.07, so that
      the student's pooled vector, and not its linear head, names the class.

    Our choice: it is trained under our recipe (optimiser, views, length); class texts are means
    over the recipe's prompts, where the published code has one sentence a class; images are
    replayed views. prototypes: ``(C, d)`` of the frozen teacher.
    """

    stage = "student"
    needs_vlm = True
    prototypes: Tensor

    def __init__(
        self,
        network: Network,
        views: ViewKind,
        prototypes: Tensor,
        config: Vl2LiteConfig,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, views)
        self.config = config
        self.head = config.head
        self.label_smoothing = label_smoothing
        self.classification_share = 0.0
        self.register_buffer("prototypes", prototypes, persistent=False)
        width = network.pooled_width
        if config.feature_weight:
            self.projections["align_image"] = align_net(prototypes.shape[1], width)
        if config.logit_weight:
            self.projections["align_text"] = align_net(prototypes.shape[1], width)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Labels weigh a little more in every epoch."""
        self.classification_share = self.config.classification_share * epoch / epochs

    def forward(self, batch: Batch) -> TaskOutput:
        if batch.vlm is None:
            raise ValueError("VL2Lite needs the frozen teacher's embeddings")
        config, share = self.config, self.classification_share
        output = self.network(batch.images)
        parts = {
            "classification": classification(output.logits, batch.target, self.label_smoothing)
        }
        loss = share * parts["classification"]
        if config.feature_weight:
            condensed = self.projections["align_image"](batch.vlm)
            parts["feature"] = condensed_distance(output.pooled, condensed)
            loss = loss + (1 - share) * config.feature_weight * parts["feature"]
        if config.logit_weight:
            parts["logits"] = self._logits(output.pooled, batch.vlm)
            loss = loss + (1 - share) * config.logit_weight * parts["logits"]
        return TaskOutput(loss, output.logits, parts)

    def second_head(self) -> nn.Module | None:
        """The condensed class texts."""
        if "align_text" not in self.projections:
            return None
        return TextHead(nn.Identity(), self._texts().detach(), self.config.logit_scale)

    def _texts(self) -> Tensor:
        """``(C, p)`` of unit length."""
        return F.normalize(self.projections["align_text"](self.prototypes), dim=1)

    def _logits(self, pooled: Tensor, vlm: Tensor) -> Tensor:
        scale = self.config.logit_scale
        texts = self._texts()
        own = zero_shot_logits(pooled, texts, scale)
        teacher = zero_shot_logits(vlm, self.prototypes, scale)
        return len(texts) / 2 * distillation(own, teacher, self.config.temperature)


def align_net(inputs: int, outputs: int) -> nn.Sequential:
    """The published AlignNet: as wide inside as its output."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))
