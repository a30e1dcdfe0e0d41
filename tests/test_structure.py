"""How modules may depend on one another, read from the sources; nothing is imported.

A unit is a module directly in ``app/`` or ``dait/``, else the package below these with everything
in it: ``dait.data``. Imports within functions and for type checkers count as any other.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
Graph = dict[str, set[str]]

MOST_LOCAL_IMPORTS = 34
"""Optional libraries, and modules of a light start; this may only become smaller."""


def sources() -> dict[str, ast.Module]:
    """Module names of ``app`` and ``dait``, with their syntax trees."""
    found = {}
    for path in sorted([*PROJECT.glob("app/**/*.py"), *PROJECT.glob("dait/**/*.py")]):
        name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


SOURCES = sources()


def imported(tree: ast.AST) -> Iterable[str]:
    """What a tree imports, each name as ``package.module`` or ``package.module.name``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(group: Callable[[str], str] = lambda name: name) -> Graph:
    """Which groups of modules import which."""
    edges: Graph = defaultdict(set)
    for module, tree in SOURCES.items():
        if module in ("app", "dait"):
            continue  # what they name for others (``dait.api``) is no dependency of theirs
        for name in imported(tree):
            target = name if name in SOURCES else name.rpartition(".")[0]
            if target in SOURCES and group(target) != group(module):
                edges[group(module)].add(group(target))
    return edges


def unit(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circles(edges: Graph) -> list[frozenset[str]]:
    """Sets of two and more nodes that all reach one another."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for target in edges.get(waiting.pop(), ()):
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        return found

    reach = {node: reached(node) for node in edges}
    return list(
        {
            frozenset(other for other in reach[node] if node in reach.get(other, ()))
            for node in edges
            if node in reach[node]
        }
    )


def test_circles_are_found() -> None:
    edges: Graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "e": {"a"}}
    assert circles(edges) == [frozenset({"b", "c"})]


@pytest.mark.parametrize("group", [lambda name: name, unit], ids=["modules", "units"])
def test_nothing_imports_in_a_circle(group: Callable[[str], str]) -> None:
    assert [sorted(circle) for circle in circles(graph(group))] == []


def test_the_engine_imports_neither_the_app_nor_gradio() -> None:
    for module, tree in SOURCES.items():
        if unit(module).startswith("dait"):
            tops = {name.split(".")[0] for name in imported(tree)}
            assert not tops & {"app", "gradio", "benchmarks", "pretraining"}, module


def test_imports_stand_at_the_top() -> None:
    """Those that do not each cost a reader a look; a start that must be light needs a few."""
    local = [
        f"{module}:{node.lineno}"
        for module, tree in SOURCES.items()
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert len(set(local)) <= MOST_LOCAL_IMPORTS, sorted(set(local))


@pytest.mark.parametrize("folder", ["app", "dait", "benchmarks", "pretraining", "tests"])
def test_what_is_imported_of_ours_exists(folder: str) -> None:
    """The type checker takes a missing module for one of a library without types."""
    for path in PROJECT.glob(f"{folder}/**/*.py"):
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            package = PROJECT / name.split(".")[0]
            if package.name in ("app", "dait", "benchmarks", "pretraining"):
                module = PROJECT.joinpath(*name.split("."))
                places = (module, module.with_suffix(".py"), module.parent.with_suffix(".py"))
                package_itself = module.parent / "__init__.py"
                assert any(place.exists() for place in (*places, package_itself)), (path, name)
