"""What a study is made of before an image is read: how many of them, and which networks."""

from __future__ import annotations

from dataclasses import dataclass

from dait.config.recipe import OWN_FOLDER, Recipe
from dait.errors import UserError
from dait.events import ignore
from dait.models.spec import NetworkSpec
from dait.runs.data import open_data


@dataclass(frozen=True)
class Shapes:
    """Of a data set: images per split, classes."""

    train: int
    val: int
    test: int
    classes: int


def shapes_of(recipe: Recipe) -> Shapes:
    """What is known of a recipe's data before an image is read.

    Raises ``UserError`` for data that is not on this machine, or cannot be listed.
    """
    from dait.data.benchmarks.catalogue import benchmarks
    from dait.data.benchmarks.obtain import available

    source = recipe.data.source
    if source == OWN_FOLDER:
        raise UserError(f"The recipe {recipe.name} needs photographs: name their folder.")
    known = benchmarks().get(source.partition(":")[0])
    if source.startswith("hf:") or (known is not None and not available(known)):
        raise UserError(
            f"The cost is estimated for data that lies on this machine, and {source} is downloaded "
            "first."
        )
    data = open_data(recipe, ignore)
    counts = data.counts()
    return Shapes(counts["train"], counts["val"], counts["test"], len(data.classes))


def without_weights(recipe: Recipe) -> Recipe:
    """The same networks beginning with random weights: others may have to be downloaded."""

    def bare(spec: NetworkSpec | None) -> NetworkSpec | None:
        return spec and spec.model_copy(update={"pretrained": False, "weights": None})

    return recipe.model_copy(
        update={
            "student": bare(recipe.student),
            "intermediate": bare(recipe.intermediate),
            "kd": recipe.kd.model_copy(update={"network": bare(recipe.kd.network)}),
            "takd": recipe.takd.model_copy(update={"network": bare(recipe.takd.network)}),
        }
    )
