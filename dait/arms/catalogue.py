"""Every arm by name. A new arm is a module with its plan, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from dait.arms.dait import Dait
from dait.arms.dho import Dho
from dait.arms.direct import Direct
from dait.arms.independent import Independent
from dait.arms.kd import Kd
from dait.arms.plan import ArmPlan
from dait.arms.takd import Takd
from dait.arms.vl2lite import Vl2Lite
from dait.config.arms import Arm

PLANS: Mapping[Arm, ArmPlan] = {
    plan.name: plan for plan in (Independent(), Direct(), Vl2Lite(), Dho(), Kd(), Takd(), Dait())
}


def plan_of(arm: Arm) -> ArmPlan:
    """The plan of an arm."""
    return PLANS[arm]
