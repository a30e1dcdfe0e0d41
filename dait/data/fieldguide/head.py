"""The head: face, cap, eye and bill, turned together by the pose's tilt."""

from __future__ import annotations

import numpy as np

from dait.data.fieldguide.canvas import Canvas, Points, darker, ellipse, points, smooth, turned
from dait.data.fieldguide.plan import BodyPlan, Pose
from dait.data.fieldguide.world import Attributes, Colour

_DARK: Colour = (18, 16, 18)
_GLINT: Colour = (245, 245, 245)


def draw_head(
    canvas: Canvas, plan: BodyPlan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    """Paint the head of attribute ``table``; shapes are in head radii about the head's centre."""
    centre, r = plan.head, plan.head_radius

    def at(*pairs: tuple[float, float]) -> Points:
        return turned(points(*pairs) * r + np.asarray(centre), centre, pose.head_tilt)

    def round_at(x: float, y: float, radius: float) -> Points:
        return turned(
            ellipse((centre[0] + x * r, centre[1] + y * r), (radius, radius), count=18),
            centre,
            pose.head_tilt,
        )

    crown, back = palette[table["crown"]], palette[table["back"]]
    if table["head"] == "crest":
        for k, (x, y) in enumerate(((-1.95, 0.75), (-1.9, 1.2), (-1.55, 1.6))):
            spike = at((0.3, 0.9), (x * 0.5, y * 0.5 + 0.55), (x, y), (-0.75, 0.25))
            canvas.fill("head", spike, darker(crown, 0.16 - 0.08 * k), 0.9 + 0.04 * k)
    _bill(canvas, plan, palette, table, pose)
    skull = smooth(at((1.0, -0.02), (0.86, 0.5), (0.4, 0.86), (-0.2, 0.94), (-0.75, 0.66),
                      (-1.0, 0.1), (-0.86, -0.5), (-0.35, -0.9), (0.3, -0.88),
                      (0.84, -0.46)))  # fmt: skip
    face = canvas.fill("head", skull, back, 1.25)
    # Below the eye a face is paler towards the bill.
    cheek = smooth(
        at((0.9, 0.0), (0.2, 0.1), (-0.5, -0.05), (-0.55, -0.5), (0.0, -0.8), (0.7, -0.5))
    )
    cheeks = canvas.fill("head", cheek, darker(back, -0.14), 1.25, within=[face])
    chin = smooth(at((1.05, -0.20), (0.55, -0.16), (0.12, -0.42), (-0.30, -0.86), (0.1, -1.15),
                     (0.8, -0.9)))  # fmt: skip
    below = canvas.fill("throat", chin, palette[table["throat"]], 1.22, within=[face, cheeks])
    cap = smooth(at((1.02, 0.20), (0.87, 0.58), (0.4, 0.93), (-0.25, 1.0), (-0.84, 0.72),
                    (-1.06, 0.16),
                    (-0.7, 0.14), (-0.1, 0.36), (0.5, 0.40)))  # fmt: skip
    top = canvas.fill("crown", cap, crown, 1.28, within=[face, cheeks])
    whole = [face, cheeks, below, top]
    if table["head"] == "mask":
        stripe = smooth(at((1.02, 0.08), (0.6, 0.34), (0.1, 0.38), (-0.5, 0.22), (-1.0, -0.02),
                           (-0.8, -0.26), (-0.2, -0.28), (0.4, -0.26), (0.9, -0.14)))  # fmt: skip
        canvas.fill("head", stripe, palette["black"], 1.27, within=whole)
    elif table["head"] == "brow":
        stripe = smooth(at((1.0, 0.24), (0.6, 0.54), (0.1, 0.60), (-0.5, 0.44), (-1.05, 0.08),
                           (-1.0, -0.10), (-0.5, 0.14), (0.1, 0.34), (0.6, 0.32)))  # fmt: skip
        canvas.fill("head", stripe, palette["white"], 1.3, within=whole)
    eye = (0.30, 0.06)
    if table["eye"] != "none":
        canvas.fill("eye", round_at(*eye, 0.098), palette[table["eye"]], 1.3, 0)
    canvas.fill("eye", round_at(*eye, 0.056), _DARK, 1.36, 0)
    canvas.fill("eye", round_at(eye[0] + 0.08, eye[1] + 0.09, 0.017), _GLINT, 1.36, 0)


# Upper and lower half of each bill: x from its root in body lengths (times ``BodyPlan.bill``), y
# about the middle of the face.
_BILLS: dict[str, tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]] = {
    "conical": (
        ((-0.03, 0.10), (0.07, 0.075), (0.21, -0.015), (-0.03, -0.02)),
        ((-0.03, -0.02), (0.19, -0.02), (0.08, -0.085), (-0.03, -0.10)),
    ),
    "needle": (
        ((-0.03, 0.045), (0.14, 0.020), (0.50, -0.010), (-0.03, -0.015)),
        ((-0.03, -0.015), (0.48, -0.014), (0.14, -0.045), (-0.03, -0.06)),
    ),
    "curved": (
        ((-0.03, 0.06), (0.14, 0.055), (0.30, -0.03), (0.40, -0.17), (0.43, -0.28), (0.34, -0.15),
         (0.20, -0.03), (-0.03, -0.01)),
        ((-0.03, -0.01), (0.20, -0.03), (0.34, -0.15), (0.40, -0.26), (0.29, -0.14), (0.15, -0.07),
         (-0.03, -0.07)),
    ),
    "hooked": (
        ((-0.03, 0.09), (0.07, 0.085), (0.15, 0.04), (0.195, -0.05), (0.18, -0.155), (0.13, -0.06),
         (-0.03, -0.025)),
        ((-0.03, -0.025), (0.12, -0.05), (0.09, -0.085), (-0.03, -0.09)),
    ),
    "flat": (
        ((-0.03, 0.09), (0.08, 0.05), (0.20, 0.005), (0.33, 0.015), (0.40, -0.03), (0.34, -0.06),
         (-0.03, -0.03)),
        ((-0.03, -0.03), (0.34, -0.06), (0.36, -0.09), (0.16, -0.10), (-0.03, -0.10)),
    ),
}  # fmt: skip


def _bill(
    canvas: Canvas, plan: BodyPlan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    kind = table["bill"]
    colour = darker(palette["orange"], 0.1) if kind == "flat" else darker(palette["grey"], 0.5)
    root = np.array([plan.head[0] + plan.head_radius * 0.86, plan.head[1] - 0.01])
    upper, lower = _BILLS[kind]
    for half, tone, height in ((lower, 0.25, 0.75), (upper, 0.0, 0.9)):
        shape = points(*half) * np.array([plan.bill, 1.0]) + root
        canvas.fill(
            "bill", turned(shape, plan.head, pose.head_tilt), darker(colour, tone), height, 0
        )
