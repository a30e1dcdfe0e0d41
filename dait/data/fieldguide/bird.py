"""Draws one bird, from the far wing to the near one, onto a ``Canvas``."""

from __future__ import annotations

import numpy as np

from dait.data.fieldguide.canvas import Canvas, Points, darker, ellipse, points, smooth
from dait.data.fieldguide.head import draw_head
from dait.data.fieldguide.plan import PLANS, BodyPlan, Pose, body_outline, legs, neck_outline
from dait.data.fieldguide.wing import draw_far_wing, draw_wing
from dait.data.fieldguide.world import Attributes, Colour, load_world

Palette = dict[str, Colour]


def draw_bird(canvas: Canvas, table: Attributes, pose: Pose, rng: np.random.Generator) -> None:
    """Paint the bird of attribute ``table`` in ``pose``; ``rng`` jitters colours and markings."""
    plan = PLANS[table["shape"]]
    palette = _jittered(rng)
    far, near = legs(plan, canvas.transform, pose)
    if pose.name == "flying":
        draw_far_wing(canvas, plan, palette, table, pose)
    _leg(canvas, plan, palette, table, far, shade=0.28)
    _tail(canvas, plan, palette, table, pose)
    _body(canvas, plan, palette, table, pose, rng)
    if pose.name == "flying":
        _leg(canvas, plan, palette, table, near, shade=0.0)
    draw_head(canvas, plan, palette, table, pose)
    if pose.name != "flying":
        _leg(canvas, plan, palette, table, near, shade=0.0)
    draw_wing(canvas, plan, palette, table, pose)


def _jittered(rng: np.random.Generator) -> Palette:
    """The palette, each colour moved a little: no two birds have quite the same red."""
    result: Palette = {}
    for name, colour in load_world().palette.items():
        moved = np.clip(np.asarray(colour) * rng.uniform(0.92, 1.08) + rng.normal(0, 6, 3), 8, 250)
        result[name] = (int(moved[0]), int(moved[1]), int(moved[2]))
    return result


def _leg(
    canvas: Canvas, plan: BodyPlan, palette: Palette, table: Attributes, leg: Points, shade: float
) -> None:
    colour = darker(palette[table["legs"]], shade)
    hip, ankle, foot = leg
    ahead = np.array([np.cos(canvas.transform.pitch), -np.sin(canvas.transform.pitch)])
    canvas.stroke("legs", np.stack([hip, ankle, foot]), colour, 0.058, 0.35)
    flying = foot[0] < ankle[0] - 0.1
    toes = (-0.3, 0.2) if flying else (-0.55, 0.9, 1.25)
    for reach in toes:
        spread = 0.015 if reach == 1.25 else -0.02
        down = np.array([ahead[1], -ahead[0]]) * spread
        canvas.stroke("legs", np.stack([foot, foot + ahead * 0.105 * reach + down]), colour, 0.042,
                      0.35)  # fmt: skip
    thigh = darker(palette[table["belly"]], shade + 0.08)
    middle = hip + (ankle - hip) * (0.45 if plan.thigh > 0.1 else 0.12)
    drumstick = ellipse(
        (float(middle[0]), float(middle[1]) + 0.04), (plan.thigh, plan.thigh * 1.35)
    )
    canvas.fill("belly", drumstick, thigh, 0.6)


def _tail(canvas: Canvas, plan: BodyPlan, palette: Palette, table: Attributes, pose: Pose) -> None:
    """Feathers from the rump: the outermost first, so that the middle ones lie on top."""
    colour = darker(palette[table["back"]], 0.2)
    kind = table["tail"]
    root = np.array([-plan.body[0] * 0.92, 0.0])
    length = {"short": 0.30, "long": 0.78, "forked": 0.58, "fan": 0.44}[kind] * plan.tail
    spread = {"short": 0.10, "long": 0.05, "forked": 0.24, "fan": 0.56}[kind]
    width = {"short": 0.085, "long": 0.075, "forked": 0.075, "fan": 0.10}[kind]
    tilt = pose.tail_lift - (0.12 if pose.name != "flying" else 0.0)
    angles = np.linspace(-1, 1, 7 if kind == "fan" else 5)
    for order, at in enumerate(sorted(angles, key=lambda a: (-abs(a), a))):
        angle = tilt + spread * at
        # A forked tail's outer feathers are the long ones.
        long = length * (0.62 + 0.42 * abs(at) if kind == "forked" else 1.0 - 0.1 * abs(at))
        along = long * np.array([-np.cos(angle), np.sin(angle)])
        # Neighbouring feathers differ a little in tone, or they would melt into one.
        tone = darker(colour, 0.11 * (order % 2) + 0.06 * abs(at))
        height = 0.5 + 0.05 * order
        canvas.fill("tail", _feather(root, along, width, 0.0), tone, height, 2)
        if kind == "fan":
            canvas.fill("tail", _feather(root, along, width, 0.74), palette["white"], height, 2)


def _feather(root: np.ndarray, along: np.ndarray, half: float, start: float) -> Points:
    """A tail feather from ``start`` (0 to 1 of its length) to its tip, ``half`` wide each side."""
    across = np.array([-along[1], along[0]]) / np.hypot(*along)
    steps = np.array([start, (start + 1.0) / 2, 0.97, 1.0])
    widths = half * np.array([0.75 if start == 0 else 1.0, 1.0, 0.8, 0.25])
    line = root + along * steps[:, None]
    edge = across * widths[:, None]
    return np.concatenate([line + edge, (line - edge)[::-1]])


def _body(
    canvas: Canvas,
    plan: BodyPlan,
    palette: Palette,
    table: Attributes,
    pose: Pose,
    rng: np.random.Generator,
) -> None:
    (rx, ry), (hx, hy), n = plan.body, plan.head, plan.neck
    belly, back = palette[table["belly"]], palette[table["back"]]
    base = [
        canvas.fill("belly", smooth(neck_outline(plan)), belly, 0.9),
        canvas.fill("belly", smooth(body_outline(plan)), belly, 1.0),
    ]
    vent = points((-rx * 1.15, 0.1), (-rx * 0.5, -ry * 0.5), (-rx * 0.45, -ry * 1.1),
                  (-rx * 1.2, -ry * 0.6))  # fmt: skip
    base.append(canvas.fill("belly", vent, darker(belly, 0.10), 0.95, within=base))
    throat = points(
        (hx - n * 0.05, hy - plan.head_radius * 0.55), (hx + plan.head_radius, hy - 0.06),
        (rx * 1.1, ry * 0.40), (rx * 1.02, ry * 0.06), (rx * 0.70, ry * 0.02),
        (rx * 0.58, ry * 0.30),
    )  # fmt: skip
    bib = canvas.fill("throat", smooth(throat), palette[table["throat"]], 1.0, within=base)
    _breast(canvas, plan, palette, table, rng, base)
    upper = points(
        (hx + n * 0.2, hy + plan.head_radius), (hx - n * 1.5, hy + 0.25), (-rx * 0.2, ry * 1.4),
        (-rx * 1.4, ry * 0.7), (-rx * 1.35, -ry * 0.1), (-rx * 0.85, -ry * 0.02),
        (-rx * 0.1, ry * 0.02), (rx * 0.42, ry * 0.30),
        (hx - n * 0.22, hy - plan.head_radius * 0.55),
    )  # fmt: skip
    canvas.fill("back", smooth(upper), back, 1.04, within=[*base, bib])
    rump = points((-rx * 0.72, ry * 0.9), (-rx * 1.25, ry * 0.5), (-rx * 1.2, -ry * 0.1),
                  (-rx * 0.82, ry * 0.1))  # fmt: skip
    top = len(canvas.layers)
    canvas.fill("back", smooth(rump), darker(back, 0.1), 1.0, within=[top])


# Where marks lie: (x, y) in half lengths of the body.
_MARKS = (
    (0.90, -0.02), (0.74, -0.14), (0.92, -0.34), (0.55, -0.06), (0.76, -0.46), (0.58, -0.32),
    (0.36, -0.24), (0.60, -0.70), (0.40, -0.52), (0.18, -0.42), (0.38, -0.82), (0.16, -0.72),
    (-0.04, -0.58), (-0.24, -0.70), (-0.08, -0.88),
)  # fmt: skip


def _breast(
    canvas: Canvas,
    plan: BodyPlan,
    palette: Palette,
    table: Attributes,
    rng: np.random.Generator,
    base: list[int],
) -> None:
    rx, ry = plan.body
    dark = darker(palette["brown"], 0.5)
    moves = rng.normal(0, 0.01, (len(_MARKS), 2))
    if table["breast"] == "banded":
        band = points(
            (rx * 1.06, ry * 0.06), (rx * 1.02, -ry * 0.30), (rx * 0.72, -ry * 0.46),
            (rx * 0.34, -ry * 0.30), (rx * 0.22, ry * 0.02), (rx * 0.42, ry * 0.08),
            (rx * 0.66, -ry * 0.10), (rx * 0.88, ry * 0.02),
        )  # fmt: skip
        base.append(canvas.fill("breast", smooth(band), dark, 1.0, within=base))
    elif table["breast"] in ("spotted", "streaked"):
        for (x, y), move in zip(_MARKS, moves, strict=True):
            at = np.array([x * rx, y * ry]) + move
            if table["breast"] == "spotted":
                mark = ellipse((float(at[0]), float(at[1])), (0.040, 0.036), count=10)
            else:
                mark = at + points((0.012, 0.085), (0.034, 0.0), (0.0, -0.085), (-0.024, 0.0))
            base.append(canvas.fill("breast", mark, dark, 1.0, within=base))
