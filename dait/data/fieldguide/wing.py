"""Wings, folded and spread: coverts, bars, panel and flight feathers on one bent coordinate grid.

A place on a wing is ``(s, t)``: s from the shoulder (0) to the tip (1), t from the leading edge (0)
to the trailing edge (1). Each edge is a curve in body coordinates.
"""

from __future__ import annotations

import numpy as np

from dait.data.fieldguide.canvas import Canvas, Points, darker, points, smooth, turned
from dait.data.fieldguide.plan import BodyPlan, Pose
from dait.data.fieldguide.world import Attributes, Colour

_FOLDED = (
    points((0.32, 0.19), (0.14, 0.27), (-0.15, 0.25), (-0.48, 0.13), (-0.74, 0.02), (-0.92, -0.05)),
    points(
        (0.34, 0.08), (0.24, -0.03), (0.00, -0.10), (-0.32, -0.11), (-0.66, -0.09), (-0.92, -0.07)
    ),
)
_SPREAD = (
    points((0.28, 0.14), (0.34, 0.40), (0.27, 0.62), (0.06, 0.84), (-0.22, 1.02), (-0.60, 1.16)),
    points(
        (-0.40, 0.08), (-0.42, 0.26), (-0.40, 0.44), (-0.43, 0.66), (-0.52, 0.90), (-0.64, 1.14)
    ),
)
_COVERT, _MEDIAN = 0.40, 0.20
"""Where greater and median coverts end: the two places of wing bars."""


class _Wing:
    """The grid of one wing."""

    def __init__(
        self, plan: BodyPlan, edges: tuple[Points, Points], stretch: float, angle: float
    ) -> None:
        scale = np.array([plan.body[0] / 0.5, plan.body[1] / 0.31]) if stretch == 0 else np.array(
            [plan.body[0] / 0.5, stretch]
        )  # fmt: skip
        pivot = (0.25 * float(scale[0]), 0.1)
        shaped = [turned(edge * scale, pivot, angle) for edge in edges]
        self._top, self._bottom = (smooth(edge, closed=False, steps=8) for edge in shaped)

    def transform(self, s: np.ndarray, t: np.ndarray) -> Points:
        """``(n,)`` s and t → ``(n, 2)`` body coordinates."""
        at = np.clip(s, 0, 1) * (len(self._top) - 1)
        low = np.minimum(at.astype(int), len(self._top) - 2)
        part = (at - low)[:, None]
        top = self._top[low] * (1 - part) + self._top[low + 1] * part
        bottom = self._bottom[low] * (1 - part) + self._bottom[low + 1] * part
        return top * (1 - t[:, None]) + bottom * t[:, None]

    def outline(self, fingers: int) -> Points:
        """The rim; with ``fingers`` the trailing edge is notched between the feathers."""
        along = np.linspace(0, 1, 24)
        t = np.ones(24)
        if fingers:
            t = 1.0 - 0.09 * np.abs(np.sin(along * np.pi * fingers)) * (0.4 + along)
        leading = self.transform(along, np.zeros(24))
        return np.concatenate([leading, self.transform(along[::-1], t[::-1])])

    def strip(self, s: float, width: float, t0: float, t1: float, scallops: int = 4) -> Points:
        """A band across the wing whose rear edge is scalloped like the tips of coverts."""
        t = np.linspace(t0, t1, 4 * scallops + 1)
        wave = 0.016 * np.abs(np.sin(np.pi * scallops * (t - t0) / (t1 - t0)))
        lean = 0.10 * (t - 0.5)  # coverts lie slanted
        front = self.transform(s + lean + wave, t)
        rear = self.transform(s + width + lean + wave, t)
        return np.concatenate([front, rear[::-1]])

    def shoulder(self, s: float) -> Points:
        """Everything from the shoulder to the scalloped line at ``s``."""
        edge = self.strip(s, 0.0, 0.0, 1.0)[: 4 * 4 + 1]
        back = np.linspace(0.0, 1.0, 9)
        start = self.transform(np.zeros(9), back[::-1])
        lower = self.transform(np.linspace(s + 0.05, 0, 6), np.ones(6))
        upper = self.transform(np.linspace(0, s - 0.05, 6), np.zeros(6))
        return np.concatenate([edge, lower, start, upper])


def draw_far_wing(
    canvas: Canvas, plan: BodyPlan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    """The wing behind the body in flight: its underside, paler and without marks."""
    wing = _Wing(plan, _SPREAD, plan.wing * 0.92, pose.wing_lift - 0.55)
    under = darker(palette[table["back"]], 0.38)
    canvas.fill("wing", wing.outline(fingers=9), under, 0.3, 2)
    for t in np.linspace(0.2, 0.9, 5):
        line = wing.transform(np.linspace(0.35, 0.97, 7), np.full(7, t))
        canvas.stroke("wing", line, darker(under, 0.2), 0.010, 0.3, plumage=2)


def draw_wing(
    canvas: Canvas, plan: BodyPlan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    """The near wing, folded along the body or raised in flight."""
    flying = pose.name == "flying"
    if flying:
        wing = _Wing(plan, _SPREAD, plan.wing, pose.wing_lift)
    else:
        wing = _Wing(plan, _FOLDED, 0.0, 0.25 * pose.wing_lift)
    back, white = palette[table["back"]], palette["white"]
    flight = darker(back, 0.30)
    base = canvas.fill("wing", wing.outline(9 if flying else 0), flight, 1.35, 2)
    inside = [base]
    tip = wing.strip(0.76, 0.5, 0.0, 1.0)
    inside.append(canvas.fill("wing", tip, darker(flight, 0.28), 1.32, 2, within=inside))
    if table["wing"] == "patch":
        panel = wing.strip(0.46, 0.24, 0.34, 0.96, scallops=3)
        inside.append(canvas.fill("wing", panel, white, 1.36, 2, within=inside))
    quill = darker(flight, 0.42)
    for t in np.linspace(0.16, 0.88, 6 if flying else 5):
        line = wing.transform(np.linspace(_COVERT, 0.98, 8), np.full(8, t))
        inside.append(canvas.stroke("wing", line, quill, 0.011, 1.33, within=inside, plumage=2))
    greater = canvas.fill(
        "wing", wing.shoulder(_COVERT), darker(back, 0.17), 1.45, 2, within=inside
    )
    inside.append(greater)
    for t in np.linspace(0.2, 0.84, 4):
        line = wing.transform(np.linspace(_MEDIAN, _COVERT, 4), np.full(4, t))
        inside.append(canvas.stroke("wing", line, darker(back, 0.36), 0.009, 1.42, inside, 2))
    median = canvas.fill("wing", wing.shoulder(_MEDIAN), darker(back, 0.06), 1.55, 1, within=inside)
    inside.append(median)
    if table["wing"] in ("one", "two"):
        canvas.fill("wing", wing.strip(_COVERT - 0.05, 0.075, 0.04, 0.97), white, 1.46, 2, inside)
    if table["wing"] == "two":
        canvas.fill("wing", wing.strip(_MEDIAN - 0.05, 0.065, 0.06, 0.97), white, 1.56, 2, inside)
