"""What is installed: both packages with every file in them, and the assets inside of ``dait``."""

from pathlib import Path

from setuptools import find_packages, setup

SHIPPED = ("fieldguide-clip", "fieldguide-clip-generalist", "backbones", "regimes", "runs/demo")
ENDINGS = ("js", "css", "html", "jinja", "yaml", "json", "txt", "csv")


def files(folder: Path) -> list[str]:
    """Every file below a folder of the assets, relative to these."""
    return [str(file.relative_to("assets")) for file in folder.rglob("*") if file.is_file()]


setup(
    packages=[*find_packages(include=["dait", "dait.*", "app", "app.*"]), "dait.assets"],
    package_dir={"dait.assets": "assets"},
    package_data={
        "": [f"**/*.{ending}" for ending in ENDINGS],
        "dait.assets": [name for part in SHIPPED for name in files(Path("assets", part))],
    },
    include_package_data=False,
)
