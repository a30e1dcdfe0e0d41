"""Draws one bird as layered polygons, with the part that owns each pixel.

Body coordinates: the body's centre is (0, 0), x points to the bill, y points up, and the body is
about one unit long. ``Placement`` carries them to the canvas.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from dait.data.fieldguide.world import PARTS, Attributes, Colour, load_world

Points = np.ndarray  # (n, 2) float, body coordinates


@dataclass(frozen=True)
class Plan:
    """The proportions of a body plan, in body lengths."""

    body: tuple[float, float]
    head: tuple[float, float]
    head_radius: float
    leg: float
    tail: float
    bill: float
    neck: float


PLANS = {
    "songbird": Plan((0.50, 0.33), (0.44, 0.34), 0.25, 0.30, 1.0, 1.0, 0.30),
    "wader": Plan((0.47, 0.26), (0.56, 0.60), 0.19, 0.62, 0.8, 1.35, 0.15),
    "raptor": Plan((0.56, 0.36), (0.46, 0.44), 0.24, 0.26, 1.2, 0.95, 0.32),
    "duck": Plan((0.58, 0.29), (0.58, 0.42), 0.23, 0.20, 0.7, 1.15, 0.19),
}


@dataclass(frozen=True)
class Pose:
    """How the bird holds itself: wings raised in flight, legs bent back, the head's tilt."""

    flying: bool
    head_tilt: float
    leg_swing: float
    wing_lift: float


@dataclass(frozen=True)
class Placement:
    """Body coordinates to pixels of the canvas: pitch (radians), unit (pixels), centre, mirror."""

    centre: tuple[float, float]
    unit: float
    pitch: float
    mirrored: bool

    def to_pixels(self, points: Points) -> Points:
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        x = points[:, 0] * cos - points[:, 1] * sin
        y = points[:, 0] * sin + points[:, 1] * cos
        if self.mirrored:
            x = -x
        return np.stack(
            [self.centre[0] + self.unit * x, self.centre[1] - self.unit * y],
            axis=1,
        )

    def to_body(self, px: np.ndarray, py: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates back to body coordinates."""
        x = (px - self.centre[0]) / self.unit
        y = (self.centre[1] - py) / self.unit
        if self.mirrored:
            x = -x
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        return x * cos + y * sin, y * cos - x * sin


@dataclass
class Canvas:
    """The picture and the map of part labels, painted together."""

    picture: Image.Image
    parts: Image.Image
    place: Placement
    _rgb: ImageDraw.ImageDraw = field(init=False)
    _label: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self._rgb = ImageDraw.Draw(self.picture)
        self._label = ImageDraw.Draw(self.parts)

    def polygon(self, part: str, points: Points, colour: Colour, outline: float = 0.0) -> None:
        """Fill ``points``; ``outline`` > 0 adds an edge darkened by that fraction."""
        flat = [tuple(p) for p in self.place.to_pixels(points).tolist()]
        edge = darker(colour, outline) if outline else None
        width = max(1, round(self.place.unit * 0.012)) if outline else 0
        self._rgb.polygon(flat, fill=colour, outline=edge, width=width)
        label = PARTS.index(part) + 1
        self._label.polygon(flat, fill=label)
        if outline:
            # The edge covers pixels that the filling does not, and Pillow leaves out an edge of
            # the filling's own colour.
            self._label.polygon(flat, outline=label, width=width)

    def line(self, part: str, points: Points, colour: Colour, width: float) -> None:
        """A stroke ``width`` body lengths wide, at least one pixel of the reduced image."""
        flat = [tuple(p) for p in self.place.to_pixels(points).tolist()]
        pixels = max(2, round(width * self.place.unit))
        self._rgb.line(flat, fill=colour, width=pixels, joint="curve")
        self._label.line(flat, fill=PARTS.index(part) + 1, width=pixels, joint="curve")


def darker(colour: Colour, amount: float) -> Colour:
    """``colour`` with ``amount`` (0 to 1) of its light taken away."""
    r, g, b = (int(c * (1 - amount)) for c in colour)
    return r, g, b


def _ellipse(
    centre: tuple[float, float],
    radii: tuple[float, float],
    start: float = 0.0,
    stop: float = 360.0,
    count: int = 28,
) -> Points:
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack(
        [centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1
    )


def _points(*pairs: tuple[float, float]) -> Points:
    return np.asarray(pairs, dtype=float)


def _turned(points: Points, about: tuple[float, float], angle: float) -> Points:
    centre = np.asarray(about)
    cos, sin = np.cos(angle), np.sin(angle)
    return (points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre


def draw_bird(canvas: Canvas, table: Attributes, pose: Pose, rng: np.random.Generator) -> None:
    """Paint the bird of attribute ``table`` in ``pose``; ``rng`` jitters colours and markings."""
    plan = PLANS[table["shape"]]
    palette = _jittered(rng)
    _legs(canvas, plan, palette, table, pose, near=False)
    _tail(canvas, plan, palette, table, rng)
    _body(canvas, plan, palette, table)
    _breast(canvas, plan, palette, table, rng)
    _head(canvas, plan, palette, table, pose)
    _legs(canvas, plan, palette, table, pose, near=True)
    _wing(canvas, plan, palette, table, pose)


def _jittered(rng: np.random.Generator) -> dict[str, Colour]:
    """The palette, each colour moved a little: no two birds have quite the same red."""
    result: dict[str, Colour] = {}
    for name, colour in load_world().palette.items():
        moved = np.clip(np.asarray(colour) * rng.uniform(0.9, 1.1) + rng.normal(0, 7, 3), 8, 250)
        result[name] = (int(moved[0]), int(moved[1]), int(moved[2]))
    return result


def _legs(
    canvas: Canvas,
    plan: Plan,
    palette: dict[str, Colour],
    table: Attributes,
    pose: Pose,
    near: bool,
) -> None:
    colour = palette[table["legs"]]
    colour = colour if near else darker(colour, 0.25)
    x = 0.02 if near else -0.10
    top = (x, -plan.body[1] * 0.75)
    if pose.flying:
        foot = (x - 0.30 - plan.leg * 0.5, -plan.body[1] - 0.16)
        canvas.line("legs", _points(top, foot), colour, 0.055)
        canvas.line("legs", _points(foot, (foot[0] - 0.12, foot[1] + 0.02)), colour, 0.05)
        return
    swing = pose.leg_swing if near else -pose.leg_swing
    knee = (x - 0.05 + swing * 0.5, -plan.body[1] - plan.leg * 0.45)
    foot = (x + 0.03 + swing, -plan.body[1] - plan.leg)
    canvas.line("legs", _points(top, knee, foot), colour, 0.06)
    canvas.line("legs", _points((foot[0] - 0.07, foot[1]), (foot[0] + 0.13, foot[1])), colour, 0.05)


def _tail(
    canvas: Canvas,
    plan: Plan,
    palette: dict[str, Colour],
    table: Attributes,
    rng: np.random.Generator,
) -> None:
    colour = darker(palette[table["back"]], 0.18)
    root = -plan.body[0] * 0.80
    droop = float(rng.uniform(-0.10, 0.06))
    kind = table["tail"]
    length = {"short": 0.26, "long": 0.72, "forked": 0.52, "fan": 0.40}[kind] * plan.tail
    end = root - length
    if kind == "fan":
        blade = _points((root, 0.10), (end, 0.30), (end - 0.06, 0.02), (end, -0.24), (root, -0.12))
        canvas.polygon("tail", blade + np.array([0.0, droop]), colour, 0.3)
        tip = _points(
            (end + 0.09, 0.265), (end, 0.30), (end - 0.06, 0.02), (end, -0.24), (end + 0.09, -0.20),
            (end + 0.05, 0.02),
        )  # fmt: skip
        canvas.polygon("tail", tip + np.array([0.0, droop]), palette["white"])
    elif kind == "forked":
        blade = _points(
            (root, 0.10), (end, 0.26), (end + 0.24 * plan.tail, 0.0), (end, -0.22), (root, -0.12)
        )
        canvas.polygon("tail", blade + np.array([0.0, droop]), colour, 0.3)
    else:
        half = 0.07 if kind == "long" else 0.10
        blade = _points((root, 0.12), (end, half + droop), (end, -half + droop), (root, -0.12))
        canvas.polygon("tail", blade, colour, 0.3)


def _body(canvas: Canvas, plan: Plan, palette: dict[str, Colour], table: Attributes) -> None:
    rx, ry = plan.body
    hx, hy = plan.head
    back, belly = palette[table["back"]], palette[table["belly"]]
    neck = plan.neck
    collar = _points(
        (rx * 0.25, ry * 0.75), (hx - neck * 0.75, hy), (hx + neck * 0.55, hy - 0.05),
        (rx * 0.92, ry * 0.05), (rx * 0.5, -ry * 0.3),
    )  # fmt: skip
    canvas.polygon("belly", collar, belly)
    canvas.polygon("belly", _ellipse((0, 0), (rx, ry)), belly, 0.3)
    nape = _points(
        (-rx * 0.1, ry * 0.6), (hx - neck * 0.85, hy), (hx - neck * 0.05, hy),
        (rx * 0.55, ry * 0.45), (rx * 0.2, ry * 0.1),
    )  # fmt: skip
    canvas.polygon("back", nape, back)
    saddle = np.concatenate(
        [
            _ellipse((0, 0), (rx, ry), 42, 190),
            _points((-rx * 0.5, -ry * 0.12), (rx * 0.1, ry * 0.05), (rx * 0.5, ry * 0.3)),
        ]
    )
    canvas.polygon("back", saddle, back)
    throat = _points(
        (hx - neck * 0.02, hy - plan.head_radius * 0.5), (hx + plan.head_radius * 0.75, hy - 0.08),
        (rx * 0.98, ry * 0.22), (rx * 0.62, ry * 0.12),
    )  # fmt: skip
    canvas.polygon("throat", throat, palette[table["throat"]])


def _breast(
    canvas: Canvas,
    plan: Plan,
    palette: dict[str, Colour],
    table: Attributes,
    rng: np.random.Generator,
) -> None:
    rx, ry = plan.body
    dark = darker(palette["brown"], 0.45)
    kind = table["breast"]
    if kind == "plain":
        return
    if kind == "banded":
        band = _points(
            (rx * 1.00, ry * 0.02), (rx * 0.95, -ry * 0.32), (rx * 0.62, -ry * 0.42),
            (rx * 0.30, -ry * 0.20), (rx * 0.42, ry * 0.06), (rx * 0.66, -ry * 0.06),
        )  # fmt: skip
        canvas.polygon("breast", band, dark)
        return
    for x, y in ((0.86, -0.1), (0.72, -0.3), (0.56, -0.12), (0.5, -0.52), (0.34, -0.32),
    (0.2, -0.6),
                 (0.02, -0.42), (0.66, -0.62), (-0.15, -0.68)):  # fmt: skip
        cx = x * rx + float(rng.normal(0, 0.012))
        cy = y * ry + float(rng.normal(0, 0.012))
        if kind == "spotted":
            canvas.polygon("breast", _ellipse((cx, cy), (0.042, 0.042), count=10), dark)
        else:
            streak = _points((cx - 0.02, cy + 0.10), (cx + 0.02, cy + 0.08), (cx - 0.01, cy - 0.10))
            canvas.polygon("breast", streak, dark)


def _head(
    canvas: Canvas, plan: Plan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    centre, r = plan.head, plan.head_radius
    hx, hy = centre

    def at(points: Points) -> Points:
        return _turned(points, centre, pose.head_tilt)

    back, crown = palette[table["back"]], palette[table["crown"]]
    _bill(canvas, plan, palette, table, pose)
    if table["head"] == "crest":
        crest = _points(
            (hx - r * 0.1, hy + r * 0.75),
            (hx - r * 1.75, hy + r * 1.55),
            (hx - r * 0.85, hy + r * 0.3),
        )
        canvas.polygon("head", at(crest), crown, 0.25)
    canvas.polygon("head", at(_ellipse(centre, (r, r * 0.95))), back, 0.3)
    chin = np.concatenate(
        [_ellipse(centre, (r, r * 0.95), 250, 345), _points((hx + r * 0.25, hy - r * 0.12))]
    )
    canvas.polygon("throat", at(chin), palette[table["throat"]])
    cap = np.concatenate(
        [_ellipse(centre, (r * 1.02, r * 0.98), 22, 172), _points((hx + r * 0.1, hy + r * 0.30))]
    )
    canvas.polygon("crown", at(cap), crown)
    eye = (hx + r * 0.30, hy + r * 0.08)
    if table["head"] == "mask":
        stripe = _points(
            (hx + r * 0.98, hy + r * 0.02), (hx + r * 0.2, hy + r * 0.36),
            (hx - r * 0.85, hy + r * 0.1),
            (hx - r * 0.6, hy - r * 0.22), (hx + r * 0.3, hy - r * 0.24),
        )  # fmt: skip
        canvas.polygon("head", at(stripe), palette["black"])
    elif table["head"] == "brow":
        stripe = _points(
            (hx + r * 0.95, hy + r * 0.24), (hx + r * 0.2, hy + r * 0.58),
            (hx - r * 0.95, hy + r * 0.16),
            (hx - r * 0.9, hy - r * 0.04), (hx + r * 0.2, hy + r * 0.32),
        )  # fmt: skip
        canvas.polygon("head", at(stripe), palette["white"])
    if table["eye"] != "none":
        canvas.polygon("eye", at(_ellipse(eye, (0.098, 0.098), count=16)), palette[table["eye"]])
    canvas.polygon("eye", at(_ellipse(eye, (0.052, 0.052), count=12)), (16, 14, 16))
    glint = (eye[0] + 0.015, eye[1] + 0.018)
    canvas.polygon("eye", at(_ellipse(glint, (0.014, 0.014), count=6)), (235, 235, 235))


def _bill(
    canvas: Canvas, plan: Plan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    hx, hy = plan.head
    r, k = plan.head_radius, plan.bill
    root = hx + r * 0.80
    kind = table["bill"]
    top, low = hy + 0.06, hy - 0.08
    if kind == "conical":
        shape = _points((root, top + 0.03), (root + 0.20 * k, hy - 0.02), (root, low - 0.02))
    elif kind == "needle":
        shape = _points((root, top - 0.02), (root + 0.50 * k, hy - 0.02), (root, low + 0.02))
    elif kind == "curved":
        shape = _points(
            (root, top), (root + 0.22 * k, hy + 0.03), (root + 0.38 * k, hy - 0.10),
            (root + 0.43 * k, hy - 0.27), (root + 0.31 * k, hy - 0.14),
            (root + 0.16 * k, hy - 0.06),
            (root, low),
        )  # fmt: skip
    elif kind == "hooked":
        shape = _points(
            (root, top + 0.04), (root + 0.17 * k, top + 0.01), (root + 0.25 * k, hy - 0.05),
            (root + 0.21 * k, hy - 0.20), (root + 0.13 * k, hy - 0.08), (root, low),
        )  # fmt: skip
    else:
        shape = _points(
            (root, top), (root + 0.18 * k, hy - 0.01), (root + 0.34 * k, hy + 0.03),
            (root + 0.38 * k, hy - 0.05), (root + 0.32 * k, hy - 0.12), (root, low - 0.01),
        )  # fmt: skip
    colour = darker(palette["grey"], 0.45) if kind != "flat" else darker(palette["orange"], 0.15)
    canvas.polygon("bill", _turned(shape, plan.head, pose.head_tilt), colour, 0.35)


def _wing(
    canvas: Canvas, plan: Plan, palette: dict[str, Colour], table: Attributes, pose: Pose
) -> None:
    rx, ry = plan.body
    colour = darker(palette[table["back"]], 0.22)
    pale = palette["white"]
    if pose.flying:
        outline = _points(
            (rx * 0.42, ry * 0.35), (rx * 0.30, ry * 1.3), (-rx * 0.05, ry * 2.6),
            (-rx * 0.55, ry * 3.0),
            (-rx * 0.72, ry * 2.0), (-rx * 0.70, ry * 0.9), (-rx * 0.45, ry * 0.05),
        )  # fmt: skip
        along, across = np.array([-rx * 0.48, ry * 2.1]), np.array([-rx * 0.82, -ry * 0.38])
        start = np.array([rx * 0.34, ry * 0.62])
    else:
        outline = _points(
            (rx * 0.48, ry * 0.30), (rx * 0.15, ry * 0.62), (-rx * 0.45, ry * 0.46),
            (-rx * 1.02, -ry * 0.02),
            (-rx * 1.22, -ry * 0.24), (-rx * 0.55, -ry * 0.40), (rx * 0.10, -ry * 0.36),
            (rx * 0.42, -ry * 0.06),
        )  # fmt: skip
        along, across = np.array([-rx * 1.05, 0.0]), np.array([-rx * 0.12, -ry * 0.82])
        start = np.array([rx * 0.26, ry * 0.46])
    turn = pose.wing_lift
    pivot = (rx * 0.45, ry * 0.3)
    canvas.polygon("wing", _turned(outline, pivot, turn), colour, 0.4)
    bars = {"plain": (), "one": (0.30,), "two": (0.16, 0.46), "patch": ()}[table["wing"]]
    for t in bars:
        a = start + t * along
        stripe = np.stack([a, a + across, a + across + 0.115 * along, a + 0.115 * along])
        canvas.polygon("wing", _turned(stripe, pivot, turn), pale)
    if table["wing"] == "patch":
        a = start + 0.36 * along + 0.22 * across
        block = np.stack([a, a + 0.62 * across, a + 0.62 * across + 0.34 * along, a + 0.34 * along])
        canvas.polygon("wing", _turned(block, pivot, turn), pale)
    feather = darker(colour, 0.3)
    for t in (0.68, 0.82) if pose.flying else (0.72, 0.88):
        a = start + t * along + 0.3 * across
        canvas.line("wing", _turned(np.stack([a, a + 0.6 * across]), pivot, turn), feather, 0.012)
