"""What decides a trained network's weights besides its settings, kept in the network's own file.

Equal settings are not enough to reuse a network: images, start weights, teacher, code or libraries
may have changed under the same names.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dait.evaluation.measure import runtime, versions
from dait.models.catalogue import TORCHVISION
from dait.models.checkpoint import describe_network
from dait.models.network import Network
from dait.models.tensors import tensors_sha256
from dait.runs.folder import RunFolder, to_json
from dait.study.context import StudyContext
from dait.teachers.weights import source_of_network
from dait.teachers.zero_shot_figures import prompts_digest

PACKAGE = Path(__file__).resolve().parents[1]

ROUNDED = "sums are rounded in another order, so weights differ in their last digits"
"""What another number of threads or processes, or another device, does."""

KEY = "made_of"
"""Under which a network's file keeps its provenance, as JSON."""

CODE = (
    *("arms/*.py", "data/**/*.py", "models/*.py", "tasks/*.py", "teachers/**/*.py"),
    *("training/*.py", "study/stage.py", "distributed.py", "losses.py"),
)
"""The modules that decide weights, below ``dait/``."""

_WORDS = {
    "data": "the images (their fingerprint)",
    "start": "the weights that training starts from",
    "teacher": "the frozen teacher's weights",
    "prompts": "the sentences about the classes",
    "code": "the code that trains",
    "versions_before": "the library versions of its first part, before it was resumed",
}


def provenance(context: StudyContext, start: Network, folder: RunFolder) -> dict[str, Any]:
    """Everything but the recipe, arm and seed; ``start``: the network before its first step.

    ``versions_before``: of the processes that worked on this run before, where they differed.
    """
    prompts = context.recipe.teacher.prompts
    before = folder.status().get("versions_before")
    return {
        "data": context.data.fingerprint,
        "start": tensors_sha256(start.state_dict()),
        "start_from": _started_from(start),
        "teacher": context.teacher.weights_hash,
        "prompts": prompts_digest(context.teacher, context.data, prompts),
        "code": code_digest(),
        "versions": versions(),
        **({"versions_before": before} if before else {}),
        "runtime": runtime(),
    }


def kept_provenance(file: Path) -> dict[str, Any] | None:
    """What a network's file says of it; None for one of an older version, which says nothing.

    Raises ``UserError`` for a missing, damaged or foreign file.
    """
    text = describe_network(file).extra.get(KEY)
    facts = json.loads(text) if text else None
    return facts if isinstance(facts, dict) else None


def differing(was: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """In words, what differs of all that decides weights; empty where they would be the same."""
    if was is None:
        return ["it does not say what it was made of, being of an older version"]
    differences = [words for key, words in _WORDS.items() if was.get(key) != now.get(key)]
    theirs, ours = was.get("versions") or {}, now["versions"]
    return differences + [
        f"{name} is {theirs.get(name, 'unknown')} there and {version} here"
        for name, version in ours.items()
        if theirs.get(name) != version
    ]


def runtime_differs(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In words, what differs of threads, processes and device; empty where nothing does."""
    return ", ".join(
        f"{key.replace('_', ' ')} {was[key]} then and {value} now"
        for key, value in now.items()
        if key in was and was[key] != value
    )


def _started_from(network: Network) -> str:
    spec, start = network.spec, network.started_from or "random"
    if not spec.pretrained or spec.name.startswith(TORCHVISION):
        return start
    return f"{start}, {source_of_network(spec.name)}"


@cache
def code_digest() -> str:
    """Of the statements of ``CODE``: comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for file in sorted({file for pattern in CODE for file in PACKAGE.glob(pattern)}):
        tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                node.body = [part for part in node.body if not _is_text(part)]
        digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def provenance_digest(facts: Mapping[str, Any] | None) -> str:
    """Short; equal for networks that ``differing`` finds no difference between."""
    kept = {key: (facts or {}).get(key) for key in (*_WORDS, "versions")}
    return hashlib.sha256(to_json(kept).encode()).hexdigest()[:8]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
