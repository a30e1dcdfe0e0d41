"""The four body plans and the three poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dait.data.fieldguide.canvas import PixelTransform, Points, points
from dait.data.fieldguide.world import Attributes

PoseName = Literal["perched", "standing", "flying"]
POSES: tuple[PoseName, ...] = get_args(PoseName)


@dataclass(frozen=True)
class BodyPlan:
    """The proportions of a body plan, in body lengths.

    body: half length and half height. head: its centre. neck: half width. leg, tail, bill: lengths,
    the last two as factors. wing: length of the spread wing. thigh: half width of the feathered
    part of the leg. pitch: range of the body's angle when it does not fly, in radians. fit: factor
    that makes a plan's birds about as large in the picture as the others.
    """

    body: tuple[float, float]
    head: tuple[float, float]
    head_radius: float
    neck: float
    leg: float
    thigh: float
    tail: float
    bill: float
    wing: float
    pitch: tuple[float, float]
    fit: float


PLANS = {
    "songbird": BodyPlan(
        (0.50, 0.31), (0.43, 0.31), 0.245, 0.27, 0.26, 0.07, 1.0, 1.0, 1.0, (0.05, 0.5), 1.0
    ),
    "wader": BodyPlan(
        (0.48, 0.25), (0.58, 0.58), 0.185, 0.13, 0.60, 0.06, 0.8, 1.3, 1.05, (-0.05, 0.22), 0.84
    ),
    "raptor": BodyPlan(
        (0.56, 0.33), (0.52, 0.36), 0.235, 0.27, 0.24, 0.13, 1.15, 0.95, 1.3, (0.35, 0.85), 0.92
    ),
    "duck": BodyPlan(
        (0.60, 0.28), (0.60, 0.44), 0.215, 0.15, 0.17, 0.07, 0.75, 1.15, 1.0, (-0.04, 0.14), 0.94
    ),
}


@dataclass(frozen=True)
class Pose:
    """How the bird holds itself; angles in radians, ``swing`` in body lengths."""

    name: PoseName
    head_tilt: float
    swing: float
    wing_lift: float
    tail_lift: float


def choose_pose(
    attributes: Attributes, side: int, rng: np.random.Generator
) -> tuple[PixelTransform, Pose]:
    """A pose, and a place on a canvas ``side`` pixels square.

    The same numbers are drawn whatever the attributes, so that the same ``rng`` state gives two
    species of one shape the same pose and place.
    """
    plan = PLANS[attributes["shape"]]
    roll, lean, tilt = rng.random(3)
    perches = attributes["shape"] in ("songbird", "raptor")
    name: PoseName = (
        "flying" if roll < 0.22 else "perched" if perches and roll < 0.7 else "standing"
    )
    low, high = (-0.08, 0.3) if name == "flying" else plan.pitch
    if name == "standing":
        high = (low + high) / 2
    pitch = float(low + (high - low) * lean)
    mirrored = bool(rng.random() < 0.5)
    roomy = plan.fit * (0.84 if name == "flying" else 1.0)
    unit = side * float(rng.uniform(0.42, 0.55)) * roomy
    # The body is not the bird's middle: bill, tail, legs and a raised wing reach out from it.
    ahead = plan.head[0] + plan.head_radius + 0.28 * plan.bill
    behind = plan.body[0] + 0.42 * plan.tail
    offset = (behind - ahead) / 2 * np.cos(pitch) * unit * (-1 if mirrored else 1)
    lower = 0.24 * unit if name == "flying" else (0.12 - 0.30 * plan.leg) * unit
    centre = (
        side * (0.5 + float(rng.uniform(-0.07, 0.07))) + float(offset),
        side * (0.5 + float(rng.uniform(-0.06, 0.06))) + lower,
    )
    lift, tail, swing = rng.uniform(-1, 1, 3)
    pose = Pose(name, 0.28 * (float(tilt) - 0.5) - 0.75 * pitch, 0.07 * float(swing),
                0.16 * float(lift), 0.12 * float(tail))  # fmt: skip
    return PixelTransform(centre, unit, pitch, mirrored), pose


def legs(plan: BodyPlan, transform: PixelTransform, pose: Pose) -> tuple[Points, Points]:
    """Far and near leg as ``(3, 2)`` hip, ankle, foot in body coordinates.

    Legs hang straight down in the picture, however the body is pitched; in flight they trail.
    """
    down = np.array([-np.sin(transform.pitch), -np.cos(transform.pitch)])
    ahead = np.array([np.cos(transform.pitch), -np.sin(transform.pitch)])
    both = []
    for near, x in ((False, -0.06), (True, 0.05)):
        hip = np.array([x, -plan.body[1] * 0.72])
        if pose.name == "flying":
            ankle = hip + np.array([-0.16 - 0.3 * plan.leg, -0.16])
            foot = ankle + np.array([-0.10 - 0.55 * plan.leg, -0.02])
        else:
            swing = pose.swing if near else -pose.swing
            reach = plan.leg + plan.body[1] * 0.28
            ankle = hip + down * reach * 0.52 - ahead * (0.05 - swing * 0.5)
            foot = hip + down * (reach if near else reach * 0.96) + ahead * (0.02 + swing)
        both.append(np.stack([hip, ankle, foot]))
    return both[0], both[1]


def body_outline(plan: BodyPlan) -> Points:
    """The body without neck: full at the breast, tapering to the tail."""
    rx, ry = plan.body
    return points(
        (1.0, 0.05), (0.88, 0.58), (0.48, 0.92), (-0.08, 0.93), (-0.58, 0.66), (-0.98, 0.30),
        (-1.10, 0.02), (-0.92, -0.32), (-0.5, -0.76), (0.0, -1.0), (0.52, -0.92), (0.88, -0.5),
    ) * np.array([rx, ry])  # fmt: skip


def neck_outline(plan: BodyPlan) -> Points:
    """What joins head and body, from nape to breast."""
    (rx, ry), (hx, hy), n = plan.body, plan.head, plan.neck
    return points(
        (rx * -0.05, ry * 0.80), (rx * 0.30, ry * 0.98), (hx - n * 0.88, hy - 0.02),
        (hx, hy + n * 0.4),
        (hx + n * 0.70, hy - 0.04), (max(rx * 0.97, hx + n * 0.3), (hy + ry * 0.3) / 2),
        (rx * 0.97, -ry * 0.05), (rx * 0.5, -ry * 0.4), (rx * 0.1, 0.0),
    )  # fmt: skip
