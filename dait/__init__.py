"""DAIT: distil a vision-language model into a small classifier via an intermediate teacher.

    import dait

    dait.run_study("tiny", "runs/first", arms=["independent", "dait"])
    study = dait.load_study("runs/first")
    dait.predict(study, ["bird.jpg"])

``import dait`` imports nothing heavy; a name of ``__all__`` is imported with its libraries when it
is first used (``dait.api``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dait.api import (
        Advice,
        Bundle,
        Comparison,
        Explanation,
        Recipe,
        advise,
        explain,
        export_model,
        list_datasets,
        load_network,
        load_recipe,
        load_study,
        load_teacher,
        open_dataset,
        predict,
        run_study,
    )

__all__ = [
    "Advice",
    "Bundle",
    "Comparison",
    "Explanation",
    "Recipe",
    "advise",
    "explain",
    "export_model",
    "list_datasets",
    "load_network",
    "load_recipe",
    "load_study",
    "load_teacher",
    "open_dataset",
    "predict",
    "run_study",
]


def __getattr__(name: str) -> Any:
    """A public name, from ``dait.api``."""
    if name in __all__:
        return getattr(import_module("dait.api"), name)
    raise AttributeError(f"module 'dait' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
