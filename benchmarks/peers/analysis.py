"""t-SNE, similarity and evaluation, beside scikit-learn called plainly and openTSNE."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import openTSNE
import torch
from openTSNE.affinity import PerplexityBasedNN
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    top_k_accuracy_score,
)
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.output import add_json_option, print_end, require_positive
from benchmarks.peers.pairs import in_turn, machine, print_pairs
from dait.evaluation.features.projection import tsne
from dait.evaluation.features.similarity import intra_inter, knn_accuracy, unit_length
from dait.evaluation.metrics import evaluate_logits

WIDTH, CLASSES, PERPLEXITY, DIMENSIONS = 512, 40, 30.0, 50


def features_of(points: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 512)`` around a centre for each of 40 classes, and the labels ``(N,)``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(points) % CLASSES
    centres = rng.normal(size=(CLASSES, WIDTH))
    return (centres[labels] + 2 * rng.normal(size=(points, WIDTH))).astype(np.float32), labels


def divergence(reduced: np.ndarray, placed: np.ndarray) -> float:
    """``KL(P ‖ Q)`` of a map ``(N, 2)``, with the P of openTSNE, over all pairs: the same for all.

    P is sparse, so Q is summed over all pairs once and read where P is not zero.
    """
    P = PerplexityBasedNN(reduced, perplexity=PERPLEXITY, random_state=0).P.tocoo()
    total = 0.0
    for start in range(0, len(placed), 1000):
        difference = placed[start : start + 1000, None] - placed[None]
        total += (1 / (1 + np.square(difference).sum(-1))).sum()
    near = 1 / (1 + np.square(placed[P.row] - placed[P.col]).sum(-1))
    return float((P.data * np.log(P.data / (near / (total - len(placed))))).sum())


def measure_tsne(points: int, rounds: int) -> dict[str, Any]:
    """Ours (PCA to 50, then scikit-learn's Barnes-Hut), the same by hand, and openTSNE."""
    features, _ = features_of(points)
    rows = unit_length(features)
    maps: dict[str, np.ndarray] = {}

    def ours() -> None:
        maps["ours"] = tsne({"network": features}, PERPLEXITY, seed=0)["network"]

    def by_hand() -> None:
        reduced = PCA(DIMENSIONS, random_state=0).fit_transform(rows)
        maps["scikit-learn"] = TSNE(
            perplexity=PERPLEXITY, init="pca", random_state=0
        ).fit_transform(reduced)

    def plainly() -> None:
        maps["scikit-learn, no PCA"] = TSNE(perplexity=PERPLEXITY, random_state=0).fit_transform(
            rows
        )

    def opened(method: str) -> None:
        reduced = PCA(DIMENSIONS, random_state=0).fit_transform(rows)
        model = openTSNE.TSNE(
            perplexity=PERPLEXITY,
            initialization="pca",
            random_state=0,
            n_jobs=1,
            negative_gradient_method=method,
        )
        maps[f"openTSNE, {method}"] = np.asarray(model.fit(reduced))

    works = {
        "ours": ours,
        "scikit-learn": by_hand,
        "scikit-learn, no PCA": plainly,
        "openTSNE, bh": lambda: opened("bh"),
        "openTSNE, fft": lambda: opened("fft"),
    }
    figures = print_pairs(in_turn(works, rounds), "ours")
    reduced = PCA(DIMENSIONS, random_state=0).fit_transform(rows)
    for name, placed in maps.items():
        quality = {
            "kl": divergence(reduced, placed),
            "trustworthiness": float(trustworthiness(rows, placed, n_neighbors=12)),
        }
        figures[name] |= quality
        print(
            f"{name:<28}KL {quality['kl']:.3f}   trustworthiness {quality['trustworthiness']:.4f}"
        )
    return figures


def measure_similarity(points: int, rounds: int) -> dict[str, Any]:
    """Mean cosines within and across classes, and nearest neighbours."""
    features, labels = features_of(points)

    def table() -> None:
        cosines = cosine_similarity(features)
        same = labels[:, None] == labels[None]
        others = ~np.eye(points, dtype=bool)
        cosines[same & others].mean()
        cosines[~same].mean()

    def neighbours() -> None:
        # Itself is among them: one more, and its own vote counts, as a plain call has it.
        model = KNeighborsClassifier(6, metric="cosine", n_jobs=1).fit(features, labels)
        model.score(features, labels)

    pairs = print_pairs(
        in_turn({"intra_inter": lambda: intra_inter(features, labels), "table": table}, rounds),
        "intra_inter",
    )
    nearest = {"knn_accuracy": lambda: knn_accuracy(features, labels), "KNeighbors": neighbours}
    return pairs | print_pairs(in_turn(nearest, rounds), "knn_accuracy")


def measure_evaluation(points: int, rounds: int) -> dict[str, Any]:
    """A run's figures from its logits, and those of them that scikit-learn has."""
    rng = np.random.default_rng(0)
    labels = np.arange(points) % CLASSES
    logits = rng.normal(size=(points, CLASSES)).astype(np.float32)
    logits[np.arange(points), labels] += 1

    def sklearn() -> None:
        predicted = logits.argmax(axis=1)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        accuracy_score(labels, predicted)
        top_k_accuracy_score(labels, logits, k=5)
        balanced_accuracy_score(labels, predicted)
        f1_score(labels, predicted, average="macro")
        log_loss(labels, shares)

    works = {"evaluate_logits": lambda: evaluate_logits(logits, labels), "scikit-learn": sklearn}
    return print_pairs(in_turn(works, rounds), "evaluate_logits")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``analysis`` and its options."""
    parser.description = "t-SNE, similarity and evaluation of N points of 512 numbers, in turn."
    parser.add_argument("--points", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for each."""
    require_positive(args, "points", "rounds")
    torch.set_num_threads(1)
    figures = {
        "tsne": measure_tsne(args.points, args.rounds),
        "similarity": measure_similarity(args.points, args.rounds),
        "evaluation": measure_evaluation(args.points, args.rounds),
    }
    return print_end(figures | {"points": args.points} | machine(), args.json, "rely on cpu s")
