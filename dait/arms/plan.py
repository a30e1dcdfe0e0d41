"""An arm: the networks that it trains, one after the other, and the task of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.models.spec import NetworkSpec
from dait.tasks.base import Role, Task

ROLE_TITLES: Mapping[Role, str] = {
    "student": "student",
    "intermediate": "intermediate teacher",
    "classifier": "classifier",
    "assistant": "assistant",
}


ROLE_SEEDS: Mapping[Role, int] = {
    "student": 0,
    "intermediate": 1_000_003,
    "classifier": 2_000_003,
    "assistant": 3_000_017,
}
"""Added to the seed for a role's initial weights: were an intermediate teacher's the student's own,
feature distillation would start from a match that no other arm has."""


@dataclass(frozen=True)
class TrainingStage:
    """One network's training: which network, what it is to the arm, and how long it learns.

    settings: those of the arm that its training depends on, besides the recipe's data,
    frozen teacher, views and ``train``. unlabelled: whether it learns from unlabelled images too,
    where the data has some. A stage that does not takes as many steps all the same: its epochs go
    several times round the labelled images (our choice, see ``dait.training.batches``).
    """

    role: Role
    network: NetworkSpec
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: bool = False

    @property
    def title(self) -> str:
        """What people read: the role in words."""
        return ROLE_TITLES[self.role]


@dataclass(frozen=True)
class TaskContext:
    """What a stage's task may use besides the network in training.

    prototypes: ``(C, d)`` of the frozen teacher, with its ``logit_scale`` κ; trained: the networks
    of the stages before; new_network: a network with the initial weights that belong to a role;
    projections: those that the stages before used in training, by role and name.
    """

    recipe: Recipe
    prototypes: Tensor
    logit_scale: float
    trained: Mapping[Role, Network]
    new_network: Callable[[Role, NetworkSpec], Network]
    projections: Mapping[Role, Mapping[str, Tensor]] = field(default_factory=dict)


class ArmPlan(Protocol):
    """An arm. The last stage trains the student, and every arm trains the same one.

    asks_teacher: whether any of its networks learns from the frozen teacher.
    """

    name: Arm
    asks_teacher: bool

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The stages in their order."""
        ...

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """The task of the stage that trains ``role``; ``network`` is the one in training."""
        ...
