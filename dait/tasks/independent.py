"""The independent student: labels alone."""

from __future__ import annotations

from dait.data.base import ViewKind
from dait.losses import classification
from dait.models.network import Network
from dait.tasks.base import Batch, Task, TaskOutput


class IndependentTask(Task):
    """``CE(W_S p_S, y)``."""

    stage = "student"

    def __init__(self, network: Network, views: ViewKind, label_smoothing: float = 0.0) -> None:
        super().__init__(network, views)
        self.label_smoothing = label_smoothing

    def forward(self, batch: Batch) -> TaskOutput:
        logits = self.network(batch.images).logits
        loss = classification(logits, batch.target, self.label_smoothing)
        return TaskOutput(loss, logits, {"classification": loss})
