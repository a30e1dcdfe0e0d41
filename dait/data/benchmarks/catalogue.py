"""Which benchmarks there are: every module of this package that has one."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import dait.data.benchmarks as package
from dait.data.benchmarks.benchmark import Benchmark, list_benchmark
from dait.data.benchmarks.obtain import obtain
from dait.data.folders.listing import Listing
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.storage.paths import downloads_folder


@lru_cache(maxsize=1)
def benchmarks() -> Mapping[str, Benchmark]:
    """All benchmarks by name, in the names' order."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        benchmark = getattr(
            importlib.import_module(f"{package.__name__}.{module.name}"), "BENCHMARK", None
        )
        if isinstance(benchmark, Benchmark):
            found[benchmark.name] = benchmark
    return MappingProxyType(dict(sorted(found.items())))


def open_listing(
    source: str,
    *,
    folder: Path | None = None,
    mirror: str = "",
    val_fraction: float = 0.1,
    split_seed: int = 0,
    emit: Emit = ignore,
) -> Listing:
    """A benchmark by name, ``"fgvc-aircraft"`` or ``"fgvc-aircraft:family"``, got if need be.

    folder: of its files, by default in ``downloads_folder()``. mirror: an address that has the
    published files under their own names. Raises ``UserError`` as ``obtain`` and
    ``list_benchmark`` do, and for an unknown name or variant.
    """
    name, _, variant = source.partition(":")
    benchmark = benchmarks().get(name)
    if benchmark is None:
        raise UserError(f"There is no benchmark ‘{name}’. Use one of: {', '.join(benchmarks())}.")
    variant = variant or benchmark.variants[0]
    if variant not in benchmark.variants or (":" in source and not variant):
        raise UserError(_no_variant(benchmark, variant))
    folder = folder or downloads_folder() / benchmark.name
    places = obtain(benchmark, folder, mirror=mirror, emit=emit)
    return list_benchmark(
        benchmark, variant, folder, places, val_fraction=val_fraction, split_seed=split_seed
    )


def _no_variant(benchmark: Benchmark, variant: str) -> str:
    if benchmark.variants == ("",):
        return f"‘{benchmark.name}’ has no variants; use ‘{benchmark.name}’ alone."
    near = difflib.get_close_matches(variant, benchmark.variants, n=1)
    hint = f" Did you mean ‘{near[0]}’?" if near else ""
    return (
        f"‘{benchmark.name}’ has no variant ‘{variant}’. Use one of: "
        f"{', '.join(f'{benchmark.name}:{name}' for name in benchmark.variants)}.{hint}"
    )
