"""Several networks looking at the same image: what each one sees, and where.

What needs no network (a study's figures, its test images) is shown before PyTorch is there, so
it is imported where networks run.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from PIL import Image

from dait.data.base import ClassInfo
from dait.data.folders.names import nfc
from dait.data.images.decode import decode_picture
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.evaluation.records import ComparedNetwork

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dait.evidence.heatmaps.cam import Heatmaps
    from dait.evidence.heatmaps.layers import Explainable

TOP = 5
Loader: TypeAlias = "Callable[[], nn.Module]"


@dataclass(frozen=True)
class Explanation:
    """One cell of a heatmap row.

    heat: ``(S, S)`` in [0, 1], divided by its own maximum; all zero when ``empty``.
    raw: ``(h, w)`` as the method gave it, never negative.
    top: the most probable classes, (index, probability), best first.
    target: the class that the heatmap explains; of a sentence, the class that is predicted.
    sentence: what the heatmap explains instead of a class, else empty; ``similarity`` is then its
        cosine with the image.
    note: why there is no heatmap (the sentence of a ``UserError``), else empty. Then ``empty`` is
        True, ``raw`` is ``(0, 0)``, and ``top`` is empty too if the network could not run at all.
    """

    member: ComparedNetwork
    heat: np.ndarray
    raw: np.ndarray
    empty: bool
    top: list[tuple[int, float]]
    target: int
    note: str = ""
    sentence: str = ""
    similarity: float | None = None


@dataclass(frozen=True)
class NetworkAnswer:
    """What one network says of one image.

    top: the most probable classes, (index, probability), best first; seconds: of its forward pass
    on this machine, shared by the images of a batch.
    """

    top: list[tuple[int, float]]
    seconds: float


@dataclass(frozen=True)
class Question:
    """What is asked of every network of a row.

    method: a key of ``heatmaps.METHODS``; None takes each network's default.
    target: the class to explain; None explains what each network itself predicts.
    sentence: instead of a class, for the frozen teacher alone: the others know no words.
    layer: the library's name of a layer; None takes each network's own.
    """

    method: str | None = None
    target: int | None = None
    sentence: str = ""
    layer: str | None = None


class NetworkRow:
    """Networks that know the same classes and see images of one size; each is loaded once.

    members: in the order of the row; classes: in the order of every network's logits; framing: the
    preprocessing of photographs that they learned with.
    May be called from several threads.
    """

    def __init__(
        self,
        members: Sequence[ComparedNetwork],
        classes: Sequence[ClassInfo],
        framing: Framing,
        loaders: Mapping[str, Loader],
    ) -> None:
        self.members = tuple(members)
        self.classes = tuple(classes)
        self.framing = framing
        self.image_size = framing.size
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
        has no such layer or cannot read says so in its own cell, and the others go on.
        """
        from dait.evidence.heatmaps.cam import METHODS

        if method is not None and method not in METHODS:
            raise UserError(
                f"There is no heatmap method {method!r}; choose one of {', '.join(METHODS)}."
            )
        if isinstance(target, int) and not 0 <= target < len(self.classes):
            raise UserError(
                f"There is no class {target}: classes are numbered 0 to {len(self.classes) - 1}."
            )
        sentence, index = (target, None) if isinstance(target, str) else ("", target)
        question = Question(method, index, sentence, layer)
        images = self._tensor(image)
        return [self._explain(member, images, question) for member in self.members]

    def layers(self) -> dict[str, tuple[str, ...]]:
        """The names that ``explain`` takes as a layer, by member key; none of a network that
        cannot be loaded. It loads every network and asks it once."""
        from dait.evidence.heatmaps.layers import layer_names

        failures = self.load()
        images = self._tensor(np.zeros((self.image_size, self.image_size, 3), np.uint8))
        return {
            member.key: layer_names(cast("Explainable", self._network(member.key)), images)
            for member in self.members
            if member.key not in failures
        }

    def predict(self, image: np.ndarray, top: int = TOP) -> dict[str, list[tuple[int, float]]]:
        """The ``top`` most probable classes of ``(S, S, 3)`` uint8, best first, by member key.

        Members that cannot be loaded are left out; ``load`` says why. Raises ``UserError`` when
        none is left, and where a network's outputs are not finite.
        """
        return {key: found.top for key, found in self.answers(image, top).items()}

    def answers(
        self, image: np.ndarray, top: int = TOP, passes: int = 1
    ) -> dict[str, NetworkAnswer]:
        """``predict``, with what each answer took; of several passes the fastest counts."""
        return self.answers_to([image], top, passes)[0]

    def answers_to(
        self, images: Sequence[np.ndarray], top: int = TOP, passes: int = 1
    ) -> list[dict[str, NetworkAnswer]]:
        """``answers`` to each of B images, from one forward pass of every network over them all."""
        import torch

        batch = torch.cat([self._tensor(image) for image in images])
        failures = self.load()
        if len(failures) == len(self.members):
            raise UserError(next(iter(failures.values()), "There is no network here."))
        found = {
            member.key: _answers(self._network(member.key), batch, member, top, passes)
            for member in self.members
            if member.key not in failures
        }
        return [{key: own[place] for key, own in found.items()} for place in range(len(images))]

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

    def _explain(self, member: ComparedNetwork, images: Tensor, question: Question) -> Explanation:
        import torch

        size = self.image_size
        try:
            network = self._network(member.key)
            if question.sentence:
                return self._of_sentence(member, network, images, question)
            chosen = None if question.target is None else torch.tensor([question.target])
            found = _maps(network, images, chosen, question)
        except UserError as error:
            top = self._top_without_heatmap(member, images)
            named = question.target if question.target is not None else (top[0][0] if top else 0)
            heat, raw = np.zeros((size, size), np.float32), np.zeros((0, 0), np.float32)
            return Explanation(member, heat, raw, True, top, named, str(error), question.sentence)
        return self._cell(member, found, most_probable(found.logits[0]), int(found.target[0]))

    def _of_sentence(
        self, member: ComparedNetwork, network: nn.Module, images: Tensor, question: Question
    ) -> Explanation:
        import torch

        from dait.evaluation.networks import TeacherScores

        if not isinstance(network, TeacherScores):
            raise UserError(
                f"{member.title} knows classes, not words: only a teacher that reads text can look "
                f"for “{question.sentence}”."
            )
        count = len(self.classes)
        found = _maps(network.asked(question.sentence), images, torch.tensor([count]), question)
        top = most_probable(found.logits[0, :count])
        cell = self._cell(member, found, top, top[0][0])
        similarity = float(found.logits[0, count]) / network.logit_scale
        return replace(cell, sentence=question.sentence, similarity=similarity)

    def _cell(
        self, member: ComparedNetwork, found: Heatmaps, top: list[tuple[int, float]], target: int
    ) -> Explanation:
        from dait.evidence.heatmaps.cam import upsample_and_scale

        return Explanation(
            member=member,
            heat=upsample_and_scale(found.raw, self.image_size)[0].numpy(),
            raw=found.raw[0].numpy(),
            empty=bool(found.empty[0]),
            top=top,
            target=target,
        )

    def _top_without_heatmap(
        self, member: ComparedNetwork, images: Tensor
    ) -> list[tuple[int, float]]:
        """What a network without a heatmap predicts; nothing where it does not even run."""
        try:
            return most_probable(_logits(self._network(member.key), images, member)[0])
        except UserError:
            return []  # for the reason that the heatmap's failure has given already

    def _tensor(self, image: np.ndarray) -> Tensor:
        """``(S, S, 3)`` uint8 → ``(1, 3, S, S)`` float in [0, 1]."""
        import torch

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


def _answers(
    network: nn.Module, images: Tensor, member: ComparedNetwork, top: int, passes: int
) -> list[NetworkAnswer]:
    from dait.evidence.heatmaps.cam import lock_of

    seconds = []
    with lock_of(network):
        for _ in range(passes):
            start = time.perf_counter()
            logits = _logits(network, images, member)
            seconds.append(time.perf_counter() - start)
    share = min(seconds) / len(images)
    return [NetworkAnswer(most_probable(own, top), share) for own in logits]


def _maps(
    network: nn.Module, images: Tensor, target: Tensor | None, question: Question
) -> Heatmaps:
    from dait.evidence.heatmaps.cam import default_method, explain

    method = question.method or default_method(network)
    return explain(network, images, target, method, question.layer)


def _logits(network: nn.Module, images: Tensor, member: ComparedNetwork) -> Tensor:
    """``(B, C)``."""
    import torch

    with torch.no_grad():
        output = network(images)
    logits: Tensor = getattr(output, "logits", output).float().cpu()
    if not torch.isfinite(logits).all():
        raise UserError(
            f"The outputs of {member.title} are not finite: its training diverged. Train it again "
            "with a lower learning rate."
        )
    return logits
