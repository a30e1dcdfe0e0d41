"""Networks run on single images: what each predicts, and heatmaps of it.

What ``NetworkRow`` needs PyTorch for, in a module of its own: a study's figures and test images are
shown before PyTorch is loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.evaluation.evaluate import stored_familiarity
from dait.evaluation.features.familiarity import Familiarity
from dait.evaluation.networks import TeacherScores
from dait.evaluation.records import ComparedNetwork
from dait.evidence.heatmaps.cam import (
    METHODS,
    Heatmaps,
    default_method,
    explain,
    lock_of,
    upsample_and_scale,
)
from dait.evidence.heatmaps.explanation import (
    TOP,
    Explanation,
    Loader,
    NetworkPrediction,
    Question,
    Trained,
)
from dait.evidence.heatmaps.layers import Explainable, layer_names
from dait.models.network import NetworkOutput

BARELY = 0.1
"""Of the way from the median class to the best one. Our choice: on drawn birds it lets through
what is in the image, and stops trucks and features that are not."""


class NetworkEngine:
    """The networks of a row, each loaded once when it is first needed; safe for several threads.

    classes: how many there are; image_size: side of the images in pixels; loaders and trained: by
    member key.
    """

    def __init__(
        self,
        members: Sequence[ComparedNetwork],
        classes: int,
        image_size: int,
        loaders: Mapping[str, Loader],
        trained: Mapping[str, Trained],
    ) -> None:
        self._members, self._classes, self._size = members, classes, image_size
        self._loaders, self._trained = loaders, trained
        self._networks: dict[str, nn.Module | UserError] = {}
        self._known: dict[str, Familiarity] = {}
        self._loading = threading.Lock()

    def load(self) -> dict[str, str]:
        """As ``NetworkRow.load``."""
        failures = {}
        for member in self._members:
            try:
                self._network(member.key)
            except UserError as error:
                failures[member.key] = str(error)
        return failures

    def layers(self) -> dict[str, tuple[str, ...]]:
        """As ``NetworkRow.layers``."""
        failures = self.load()
        images = self._tensor(np.zeros((self._size, self._size, 3), np.uint8))
        return {
            member.key: layer_names(cast(Explainable, self._network(member.key)), images)
            for member in self._members
            if member.key not in failures
        }

    def explain(self, image: np.ndarray, question: Question) -> list[Explanation]:
        """As ``NetworkRow.explain``."""
        if question.method is not None and question.method not in METHODS:
            raise UserError(
                f"There is no heatmap method {question.method!r}; choose one of "
                f"{', '.join(METHODS)}."
            )
        images = self._tensor(image)
        return [self._explain(member, images, question) for member in self._members]

    def predict_batch(
        self, images: Sequence[np.ndarray], top: int, passes: int
    ) -> list[dict[str, NetworkPrediction]]:
        """As ``NetworkRow.predict_batch``."""
        batch = torch.cat([self._tensor(image) for image in images])
        failures = self.load()
        if len(failures) == len(self._members):
            raise UserError(next(iter(failures.values()), "There is no network here."))
        found = {
            member.key: self._predictions(member, batch, top, passes)
            for member in self._members
            if member.key not in failures
        }
        return [{key: own[place] for key, own in found.items()} for place in range(len(images))]

    def _network(self, key: str) -> nn.Module:
        with self._loading:
            if key not in self._networks:
                try:
                    self._networks[key] = self._loaders[key]()
                except UserError as error:
                    # Kept, so that a failed download is not tried again with every image.
                    self._networks[key] = error
            found = self._networks[key]
        if isinstance(found, UserError):
            raise UserError(str(found))
        return found

    def _predictions(
        self, member: ComparedNetwork, images: Tensor, top: int, passes: int
    ) -> list[NetworkPrediction]:
        network, seconds = self._network(member.key), []
        with lock_of(network):
            for _ in range(passes):
                start = time.perf_counter()
                output = _run(network, images)
                seconds.append(time.perf_counter() - start)
        logits, share = _finite_logits(output, member), min(seconds) / len(images)
        familiarity = self._familiarity(member.key)
        unlike: list[bool | None] = [None] * len(images)
        if familiarity is not None and isinstance(output, NetworkOutput):
            unlike = familiarity.unlike(output.pooled.float().cpu().numpy()).tolist()
        return [
            NetworkPrediction(_most_probable(own, top), share, odd)
            for own, odd in zip(logits, unlike, strict=True)
        ]

    def _familiarity(self, key: str) -> Familiarity | None:
        """Read again while there is none: it may be measured meanwhile."""
        with self._loading:
            if key not in self._known and key in self._trained:
                stored = self._trained[key]
                found = stored_familiarity(stored.run).get(stored.role)
                if found is None:
                    return None
                self._known[key] = found
            return self._known.get(key)

    def _explain(self, member: ComparedNetwork, images: Tensor, question: Question) -> Explanation:
        try:
            network = self._network(member.key)
            if question.sentence:
                return self._explain_sentence(member, network, images, question)
            chosen = None if question.target is None else torch.tensor([question.target])
            found = _heatmaps(network, images, chosen, question)
        except UserError as error:
            top = self._top_without_heatmap(member, images)
            named = question.target if question.target is not None else (top[0][0] if top else 0)
            heat = np.zeros((self._size, self._size), np.float32)
            raw = np.zeros((0, 0), np.float32)
            return Explanation(member, heat, raw, True, top, named, str(error), question.sentence)
        return self._explanation(member, found, _most_probable(found.logits[0]), found.target[0])

    def _explain_sentence(
        self, member: ComparedNetwork, network: nn.Module, images: Tensor, question: Question
    ) -> Explanation:
        if not isinstance(network, TeacherScores):
            raise UserError(
                f"{member.title} knows classes, not words: only a teacher that reads text can look "
                f"for “{question.sentence}”."
            )
        sentence = torch.tensor([self._classes])  # one more class, the last
        found = _heatmaps(network.asked(question.sentence), images, sentence, question)
        top = _most_probable(found.logits[0, : self._classes])
        cell = self._explanation(member, found, top, top[0][0])
        return replace(
            cell,
            sentence=question.sentence,
            similarity=float(found.logits[0, self._classes]) / network.logit_scale,
            barely=_barely_matches(found.logits[0]),
        )

    def _explanation(
        self,
        member: ComparedNetwork,
        found: Heatmaps,
        top: list[tuple[int, float]],
        target: int | Tensor,
    ) -> Explanation:
        return Explanation(
            member=member,
            heat=upsample_and_scale(found.raw, self._size)[0].numpy(),
            raw=found.raw[0].numpy(),
            empty=bool(found.empty[0]),
            top=top,
            target=int(target),
        )

    def _top_without_heatmap(
        self, member: ComparedNetwork, images: Tensor
    ) -> list[tuple[int, float]]:
        """What a network without a heatmap predicts; nothing where it does not even run."""
        try:
            return _most_probable(_logits(self._network(member.key), images, member)[0])
        except UserError:
            return []  # for the reason that the heatmap's failure has given already

    def _tensor(self, image: np.ndarray) -> Tensor:
        """``(S, S, 3)`` uint8 → ``(1, 3, S, S)`` float in [0, 1]."""
        size = self._size
        if image.dtype != np.uint8 or image.shape != (size, size, 3):
            raise ValueError(
                f"an image is ({size}, {size}, 3) uint8, not {image.shape} {image.dtype}: "
                "use prepare()"
            )
        return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def _most_probable(logits: Tensor, top: int = TOP) -> list[tuple[int, float]]:
    """``(C,)`` logits → at most ``top`` (class index, probability), best first."""
    found = logits.softmax(dim=0).topk(min(top, len(logits)))
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def _barely_matches(logits: Tensor) -> bool:
    """Of ``(C + 1,)`` logits, whether the last one, of a sentence, stands among those of any class.

    Cosines of a teacher's texts lie in a range of its own, which the classes show.
    """
    classes, sentence = logits[:-1], logits[-1]
    usual, best = classes.median(), classes.max()
    return bool(sentence < usual + BARELY * (best - usual))


def _heatmaps(
    network: nn.Module, images: Tensor, target: Tensor | None, question: Question
) -> Heatmaps:
    method = question.method or default_method(network)
    return explain(network, images, target, method, question.layer)


def _logits(network: nn.Module, images: Tensor, member: ComparedNetwork) -> Tensor:
    """``(B, C)``."""
    return _finite_logits(_run(network, images), member)


@torch.no_grad()
def _run(network: nn.Module, images: Tensor) -> Any:
    """A ``NetworkOutput``, or the logits of a frozen teacher."""
    return network(images)


def _finite_logits(output: Any, member: ComparedNetwork) -> Tensor:
    logits: Tensor = getattr(output, "logits", output).float().cpu()
    if not torch.isfinite(logits).all():
        raise UserError(
            f"The outputs of {member.title} are not finite: its training diverged. Train it again "
            "with a lower learning rate."
        )
    return logits
