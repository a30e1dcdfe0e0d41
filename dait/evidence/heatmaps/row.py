"""Several networks side by side on the same image: their predictions and heatmaps.

Imports nothing heavy: ``dait.evidence.heatmaps.engine``, which runs networks, is imported with the
first of them.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dait.data.base import ClassInfo
from dait.data.folders.names import nfc
from dait.data.images.decode import decode_picture
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.evaluation.records import ComparedNetwork
from dait.events import Emit, ignore
from dait.evidence.heatmaps.explanation import (
    TOP,
    Explanation,
    Loader,
    NetworkPrediction,
    Question,
    Trained,
)

if TYPE_CHECKING:
    from dait.evidence.heatmaps.engine import NetworkEngine


class NetworkRow:
    """Networks that know the same classes and see images of one size; each is loaded once.

    members: in the order of the row; classes: in the order of every network's logits; framing: the
    preprocessing of photographs that they learned with; loaders, and trained (all but
    frozen teachers), go by member key.
    May be called from several threads.
    """

    def __init__(
        self,
        members: Sequence[ComparedNetwork],
        classes: Sequence[ClassInfo],
        framing: Framing,
        loaders: Mapping[str, Loader],
        trained: Mapping[str, Trained],
    ) -> None:
        self.members = tuple(members)
        self.classes = tuple(classes)
        self.framing = framing
        self.image_size = framing.size
        self._loaders, self._trained = dict(loaders), dict(trained)
        self._engine: NetworkEngine | None = None
        self._starting = threading.Lock()

    def load(self) -> dict[str, str]:
        """Load every network now. Returns why a network cannot be loaded, by member key."""
        return self._running().load()

    def measure_familiarity(self, emit: Emit = ignore) -> None:
        """Have every trained network know what is unlike anything that it was trained on.

        What a run's folder keeps is read at any time; this measures and keeps what is missing
        there, which runs the networks over training and validation images. Nothing is downloaded;
        a note says where it cannot be had.
        """
        from dait.evaluation.evaluate import familiarity_of  # brings PyTorch

        for run in {one.run.path: one.run for one in self._trained.values()}.values():
            familiarity_of(run, emit)

    def prepare(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """Any picture → ``(S, S, 3)`` uint8 RGB: upright, opaque, cut as test images are.

        An array is ``(H, W, 3)``, ``(H, W, 4)`` or ``(H, W)`` uint8. Raises ``UserError`` for a
        picture that is damaged or too large, ``ValueError`` for another kind of array.
        """
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim not in (2, 3):
                raise ValueError(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
            image = Image.fromarray(image)
        return decode_picture(image, self.framing)

    def explain(
        self,
        image: np.ndarray,
        method: str | None = None,
        target: int | str | None = None,
        layer: str | None = None,
    ) -> list[Explanation]:
        """A heatmap by every member for ``(S, S, 3)`` uint8 (see ``prepare``).

        method: a key of ``heatmaps.METHODS``; None takes each network's default.
        target: the class to explain, or a sentence, which only a frozen teacher that reads text
            can look for; None explains what each network itself predicts.
        layer: the library's name of a layer (``layer3``); None takes each network's own.
        Raises ``UserError`` for an unknown method or class. A network that cannot be loaded, that
        has no such layer or cannot read says so in its own cell, and the others are still
        explained.
        """
        if isinstance(target, int) and not 0 <= target < len(self.classes):
            raise UserError(
                f"There is no class {target}: classes are numbered 0 to {len(self.classes) - 1}."
            )
        sentence, index = (target, None) if isinstance(target, str) else ("", target)
        return self._running().explain(image, Question(method, index, sentence, layer))

    def layers(self) -> dict[str, tuple[str, ...]]:
        """The names that ``explain`` takes as a layer, by member key; none of a network that
        cannot be loaded. Loads every network and runs it once."""
        return self._running().layers()

    def predict(self, image: np.ndarray, top: int = TOP) -> dict[str, list[tuple[int, float]]]:
        """The ``top`` most probable classes of ``(S, S, 3)`` uint8, best first, by member key.

        Members that cannot be loaded are left out; ``load`` says why. Raises ``UserError`` when
        none is left, and where a network's outputs are not finite.
        """
        return {key: found.top for key, found in self.predict_timed(image, top).items()}

    def predict_timed(
        self, image: np.ndarray, top: int = TOP, passes: int = 1
    ) -> dict[str, NetworkPrediction]:
        """``predict`` with the time it took, the least of several passes."""
        return self.predict_batch([image], top, passes)[0]

    def predict_batch(
        self, images: Sequence[np.ndarray], top: int = TOP, passes: int = 1
    ) -> list[dict[str, NetworkPrediction]]:
        """``predict_timed`` for each of B images, with one forward pass of every network."""
        return self._running().predict_batch(images, top, passes)

    def class_index(self, text: str) -> int:
        """The class with this key, this name (in any case) or this number.

        Raises ``UserError`` with near matches, or with the keys of classes that share a name.
        """
        keys = [nfc(info.key) for info in self.classes]
        if nfc(text) in keys:
            return keys.index(nfc(text))
        folded = nfc(text).strip().casefold()
        named = self._called(folded)
        if len(named) == 1:
            return named[0]
        if named:
            raise UserError(
                f"{len(named)} classes are called {text!r}; give the key of one: "
                f"{', '.join(keys[index] for index in named)}."
            )
        if folded.isdecimal() and int(folded) < len(keys):
            return int(folded)
        near = self._near(folded)
        if near:
            raise UserError(f"There is no class {text!r}. Did you mean {' or '.join(near)}?")
        first, rest = keys[:8], len(keys) - 8
        more = f" and {rest} more" if rest > 0 else ""
        raise UserError(
            f"There is no class {text!r}. Give a key, a name, or a number from 0: "
            f"{', '.join(first)}{more}."
        )

    def class_or_sentence(self, text: str) -> int | str:
        """The class as ``class_index`` finds it, or ``text`` itself where it can be no class.

        A sentence has several words and is near to no class. Raises ``UserError`` otherwise.
        """
        try:
            return self.class_index(text)
        except UserError:
            folded = nfc(text).strip().casefold()
            if len(folded.split()) < 2 or self._near(folded) or self._called(folded):
                raise
            return text.strip()

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

    def _called(self, folded: str) -> list[int]:
        return [i for i, info in enumerate(self.classes) if nfc(info.name).casefold() == folded]

    def _near(self, folded: str) -> list[str]:
        known: dict[str, str] = {}
        for info in self.classes:
            known.setdefault(nfc(info.key).casefold(), info.key)
            known.setdefault(nfc(info.name).casefold(), info.name)
        return [known[match] for match in difflib.get_close_matches(folded, known, n=3)]

    def _running(self) -> NetworkEngine:
        """What runs the networks: PyTorch is imported here, with the first of them."""
        from dait.evidence.heatmaps.engine import NetworkEngine

        with self._starting:
            if self._engine is None:
                self._engine = NetworkEngine(
                    self.members,
                    len(self.classes),
                    self.image_size,
                    self._loaders,
                    self._trained,
                )
            return self._engine
