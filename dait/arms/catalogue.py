"""Every arm by name. A new arm is one module with its plan and its task, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from dait.arms.dait import Dait
from dait.arms.direct import Direct
from dait.arms.independent import Independent
from dait.arms.plan import ArmPlan
from dait.config.arms import Arm

PLANS: Mapping[Arm, ArmPlan] = {plan.name: plan for plan in (Independent(), Direct(), Dait())}


def plan_of(arm: Arm) -> ArmPlan:
    """The plan of an arm."""
    return PLANS[arm]
