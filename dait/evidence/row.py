"""Several networks looking at the same image: what each one sees, and where."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dait.data.base import ClassInfo
from dait.data.decode import decode_picture
from dait.errors import UserError
from dait.evidence.heatmaps import METHODS, default_method, upsample_and_scale
from dait.evidence.heatmaps import explain as raw_heatmaps

TOP = 5
Loader = Callable[[], nn.Module]


@dataclass(frozen=True)
class Member:
    """One network of a row.

    key: ``vlm``, ``intermediate``, or the run folder's name (``dait-s0``).
    role: ``vlm``, ``intermediate``, or the arm: it picks the colour (``dait.evidence.palette``).
    """

    key: str
    role: str
    title: str


@dataclass(frozen=True)
class Explanation:
    """One cell of a heatmap row.

    heat: ``(S, S)`` in [0, 1], divided by its own maximum; all zero when ``empty``.
    raw: ``(h, w)`` as the method gave it, never negative.
    top: the most probable classes, (index, probability), best first.
    target: the class that the heatmap explains.
    note: why there is no heatmap (the sentence of a ``UserError``), else empty. Then ``empty`` is
        True, ``raw`` is ``(0, 0)``, and ``top`` is empty too if the network could not run at all.
    """

    member: Member
    heat: np.ndarray
    raw: np.ndarray
    empty: bool
    top: list[tuple[int, float]]
    target: int
    note: str = ""


class NetworkRow:
    """Networks that know the same classes and see images of one size; each is loaded once.

    members: in the order of the row; classes: in the order of every network's logits.
    May be called from several threads.
    """

    def __init__(
        self,
        members: Sequence[Member],
        classes: Sequence[ClassInfo],
        image_size: int,
        loaders: Mapping[str, Loader],
    ) -> None:
        self.members = tuple(members)
        self.classes = tuple(classes)
        self.image_size = image_size
        self._loaders = dict(loaders)
        self._networks: dict[str, nn.Module | UserError] = {}
        self._loading = threading.Lock()

    def load(self) -> dict[str, str]:
        """Load every network now. Gives the sentence of each that cannot be, by member key."""
        failures = {}
        for member in self.members:
            try:
                self._network(member.key)
            except UserError as error:
                failures[member.key] = str(error)
        return failures

    def prepare(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """Any picture → ``(S, S, 3)`` uint8 RGB: upright, opaque, its centre square.

        An array is ``(H, W, 3)``, ``(H, W, 4)`` or ``(H, W)`` uint8. Raises ``UserError`` for a
        picture that is damaged or too large, ``ValueError`` for another kind of array.
        """
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim not in (2, 3):
                raise ValueError(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
            image = Image.fromarray(image)
        return decode_picture(image, self.image_size)

    def explain(
        self, image: np.ndarray, method: str | None = None, target: int | None = None
    ) -> list[Explanation]:
        """A heatmap by every member for ``(S, S, 3)`` uint8 (see ``prepare``).

        method: a key of ``heatmaps.METHODS``; None takes each network's default.
        target: the class to explain; None explains what each network itself predicts.
        Raises ``UserError`` for an unknown method or class. A network that cannot be loaded or
        explained says so in its own cell, and the others go on.
        """
        if method is not None and method not in METHODS:
            raise UserError(
                f"There is no heatmap method {method!r}; choose one of {', '.join(METHODS)}."
            )
        if target is not None and not 0 <= target < len(self.classes):
            raise UserError(
                f"There is no class {target}: classes are numbered 0 to {len(self.classes) - 1}."
            )
        images = self._tensor(image)
        return [self._explain(member, images, method, target) for member in self.members]

    def predict(self, image: np.ndarray, top: int = TOP) -> dict[str, list[tuple[int, float]]]:
        """The ``top`` most probable classes of ``(S, S, 3)`` uint8, best first, by member key.

        Members that cannot be loaded are left out; ``load`` says why. Raises ``UserError`` when
        none is left, and where a network's outputs are not finite.
        """
        images = self._tensor(image)
        failures = self.load()
        if len(failures) == len(self.members):
            raise UserError(next(iter(failures.values()), "There is no network here."))
        return {
            member.key: most_probable(_logits(self._network(member.key), images, member), top)
            for member in self.members
            if member.key not in failures
        }

    def class_index(self, text: str) -> int:
        """The class with this key, this name (in any case) or this number.

        Raises ``UserError`` with near matches, or with the keys of classes that share a name.
        """
        keys = [info.key for info in self.classes]
        if text in keys:
            return keys.index(text)
        folded = text.strip().casefold()
        named = [i for i, info in enumerate(self.classes) if info.name.casefold() == folded]
        if len(named) == 1:
            return named[0]
        if named:
            raise UserError(
                f"{len(named)} classes are called {text!r}; give the key of one: "
                f"{', '.join(keys[index] for index in named)}."
            )
        if folded.isdecimal() and int(folded) < len(keys):
            return int(folded)
        raise UserError(f"There is no class {text!r}. {self._near(folded)}")

    def named(self, top: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
        """(class index, probability) pairs as ``index``, ``key``, ``name``, ``probability``."""
        return [
            {
                "index": index,
                "key": self.classes[index].key,
                "name": self.classes[index].name,
                "probability": probability,
            }
            for index, probability in top
        ]

    def _near(self, folded: str) -> str:
        known: dict[str, str] = {}
        for info in self.classes:
            known.setdefault(info.key.casefold(), info.key)
            known.setdefault(info.name.casefold(), info.name)
        near = [known[match] for match in difflib.get_close_matches(folded, known, n=3)]
        if near:
            return f"Did you mean {' or '.join(near)}?"
        first, rest = [info.key for info in self.classes[:8]], len(self.classes) - 8
        more = f" and {rest} more" if rest > 0 else ""
        return f"Give a key, a name, or a number from 0: {', '.join(first)}{more}."

    def _network(self, key: str) -> nn.Module:
        with self._loading:
            if key not in self._networks:
                try:
                    self._networks[key] = self._loaders[key]()
                except UserError as error:
                    # Kept: a download that failed would else be waited for with every image.
                    self._networks[key] = error
            found = self._networks[key]
        if isinstance(found, UserError):
            raise UserError(str(found))
        return found

    def _explain(
        self, member: Member, images: Tensor, method: str | None, target: int | None
    ) -> Explanation:
        size = self.image_size
        try:
            network = self._network(member.key)
            chosen = None if target is None else torch.tensor([target])
            found = raw_heatmaps(network, images, chosen, method or default_method(network))
        except UserError as error:
            top = self._top_without_heatmap(member, images)
            named = target if target is not None else (top[0][0] if top else 0)
            heat, raw = np.zeros((size, size), np.float32), np.zeros((0, 0), np.float32)
            return Explanation(member, heat, raw, True, top, named, str(error))
        return Explanation(
            member=member,
            heat=upsample_and_scale(found.raw, size)[0].numpy(),
            raw=found.raw[0].numpy(),
            empty=bool(found.empty[0]),
            top=most_probable(found.logits[0]),
            target=int(found.target[0]),
        )

    def _top_without_heatmap(self, member: Member, images: Tensor) -> list[tuple[int, float]]:
        """What a network without a heatmap predicts; nothing where it does not even run."""
        try:
            return most_probable(_logits(self._network(member.key), images, member))
        except UserError:
            return []  # for the reason that the heatmap's failure has given already

    def _tensor(self, image: np.ndarray) -> Tensor:
        """``(S, S, 3)`` uint8 → ``(1, 3, S, S)`` float in [0, 1]."""
        size = self.image_size
        if image.dtype != np.uint8 or image.shape != (size, size, 3):
            raise ValueError(
                f"an image is ({size}, {size}, 3) uint8, not {image.shape} {image.dtype}: "
                "use prepare()"
            )
        return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def most_probable(logits: Tensor, top: int = TOP) -> list[tuple[int, float]]:
    """``(C,)`` logits → at most ``top`` (class index, probability), best first."""
    found = logits.softmax(dim=0).topk(min(top, len(logits)))
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor, member: Member) -> Tensor:
    output = network(images)
    logits: Tensor = getattr(output, "logits", output)[0].float().cpu()
    if not torch.isfinite(logits).all():
        raise UserError(
            f"The outputs of {member.title} are not finite: its training diverged. Train it again "
            "with a lower learning rate."
        )
    return logits
