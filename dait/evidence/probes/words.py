"""Zero-shot figures of a teacher that reads text: classes, captions and attributes.

Every figure is a share of images with its 95 % bootstrap interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dait.data.fieldguide.captions import with_article
from dait.data.fieldguide.world import Attribute, load_world
from dait.evaluation.metrics import bootstrap_interval, top_k_correct
from dait.evaluation.results.probes import (
    AttributeFigures,
    AttributeScore,
    Proportion,
    Retrieval,
    ZeroShotShares,
)
from dait.evidence.probes.new_birds import NewBirds
from dait.teachers.base import Reader

HABITAT = "habitat"
RANKS = (1, 5)


def share(correct: np.ndarray) -> Proportion:
    """``(N,)`` bool → the share of True with its interval."""
    low, high = bootstrap_interval(correct)
    return Proportion(value=float(np.mean(correct)), low=low, high=high, count=len(correct))


def zero_shot(
    embeddings: Tensor, prototypes: Tensor, labels: np.ndarray, split: str
) -> ZeroShotShares:
    """``(N, d)`` image embeddings against ``(C, d)`` prototypes."""
    logits = (embeddings @ prototypes.T).numpy()
    return ZeroShotShares(
        split=split,
        classes=len(prototypes),
        top1=share(top_k_correct(logits, labels, 1)),
        top5=share(top_k_correct(logits, labels, 5)),
    )


def retrieval(images: Tensor, texts: Tensor, unambiguous: float) -> Retrieval:
    """``(N, d)`` embeddings of N images and, in the same order, of their captions."""
    similarity = images @ texts.T
    return Retrieval(
        pairs=len(images),
        image_to_text=_found(similarity),
        text_to_image=_found(similarity.T),
        unambiguous=unambiguous,
    )


def _found(similarity: Tensor) -> dict[int, Proportion]:
    # A tie counts against the pair: otherwise a model that says the same of everything would win.
    rivals = (similarity >= similarity.diagonal()[:, None]).sum(dim=1).numpy() - 1
    return {rank: share(rivals < rank) for rank in RANKS}


def attribute_figures(
    reader: Reader,
    species: tuple[Tensor, Sequence[dict[str, str]]],
    birds: tuple[Tensor, NewBirds],
) -> tuple[AttributeFigures, ...]:
    """Every attribute of the Field Guide, and last the habitat, chosen among its values by words.

    species: ``(N, d)`` embeddings of a split and for each image its attributes and ``habitat``;
    birds: ``(M, d)`` embeddings of new birds, and these.
    """
    rows = []
    for index, attribute in enumerate((*load_world().attributes.values(), _habitat())):
        prompts = reader.embed_text(attribute_prompts(attribute)).float().cpu()
        wanted = [attribute.values.index(table[attribute.name]) for table in species[1]]
        if attribute.name == HABITAT:
            drawn = np.array([attribute.values.index(str(name)) for name in birds[1].habitats])
        else:
            drawn = birds[1].tables[:, index].astype(np.int64)
        rows.append(
            AttributeFigures(
                name=attribute.name,
                values=len(attribute.values),
                species=_score(species[0], prompts, np.array(wanted)),
                birds=_score(birds[0], prompts, drawn),
            )
        )
    return tuple(rows)


def attribute_prompts(attribute: Attribute) -> list[str]:
    """One sentence for each value: ``a bird with a red crown``, ``a duck``, ``a bird in a marsh``.

    Of the shape, the value stands in place of ``bird``.
    """
    if attribute.name == "shape":
        return [f"a {phrase}" for phrase in attribute.phrases.values()]
    if attribute.name == HABITAT:
        return [f"a bird in {phrase}" for phrase in attribute.phrases.values()]
    return [f"a bird with {with_article(phrase)}" for phrase in attribute.phrases.values()]


def _habitat() -> Attribute:
    return Attribute(HABITAT, "background", load_world().habitats)


@torch.no_grad()
def _score(embeddings: Tensor, prompts: Tensor, wanted: np.ndarray) -> AttributeScore:
    chosen = (embeddings @ prompts.T).argmax(dim=1).numpy()
    counts = np.bincount(wanted)
    return AttributeScore(
        accuracy=share(chosen == wanted), majority=float(counts.max() / len(wanted))
    )
