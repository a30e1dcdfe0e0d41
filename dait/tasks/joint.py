"""DAIT in one stage, an ablation: the student follows a teacher that is still learning."""

from __future__ import annotations

from torch import nn

from dait.data.base import ViewKind
from dait.losses import classification
from dait.models.network import Network, NetworkOutput
from dait.tasks.adapt import AdaptTask
from dait.tasks.base import Batch, Task, TaskOutput
from dait.tasks.distil import adapters, distillation_terms, stage_2_loss


class JointTask(Task):
    """``L_1`` of the intermediate teacher and ``L_2`` of the student on the same views (our form).

    The teacher runs once a batch, in training mode: its BatchNorm sees the batch's own statistics,
    for both losses. ``L_2`` sees a detached copy, so no gradient of the student's reaches it. Both
    networks share the optimiser, and the bound on the gradient's norm is over both.

    adapt: the teacher's stage, built for the same views; its parts are named ``teacher_...`` here.
    """

    stage = "student"

    def __init__(
        self, network: Network, views: ViewKind, adapt: AdaptTask, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(network, views)
        self.adapt = adapt
        self.config = adapt.config
        self.label_smoothing = label_smoothing
        self.needs_vlm = adapt.needs_vlm
        self.notes = adapt.notes
        self.extra_networks = {"intermediate": adapt.network}
        own = adapters(network, adapt.network, self.config)
        self.projections.update({**dict(adapt.projections.items()), **own})

    def learners(self) -> list[Network]:
        """The student and the intermediate teacher."""
        return [self.network, self.adapt.network]

    def trainable(self) -> list[nn.Parameter]:
        """The parameters of both networks and of all projections."""
        return [*super().trainable(), *self.adapt.network.parameters()]

    def forward(self, batch: Batch) -> TaskOutput:
        seen = self.adapt.network(batch.images)
        teachers = self.adapt.parts(seen, batch)
        output = self.network(batch.images)
        own = {"classification": classification(output.logits, batch.target, self.label_smoothing)}
        taught = NetworkOutput(*(tensor.detach() for tensor in seen))
        own |= distillation_terms(output, taught, self.projections, self.config)
        loss = stage_2_loss(own, self.config) + self.adapt.total(teachers)
        named = {f"teacher_{name}": part for name, part in teachers.items()}
        return TaskOutput(loss, output.logits, {**own, **named})
