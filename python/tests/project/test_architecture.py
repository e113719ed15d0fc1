"""Imports of the package go down only, between directories and files; cycles stay inside a directory and are small.

The rules are those of CONTRIBUTING's table of directories. Imports inside functions and under TYPE_CHECKING count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "data_bridge"

LAYERS = [
    ["_core", "_typing", "list_view"],
    ["errors"],
    ["config", "monitoring", "commands"],
    ["connection"],
    ["query"],
    ["asynchronous", "synchronous"],
    ["odm"],
    ["integrations", "engines"],
]
"""Directories and modules of the package, lowest first. Those of one row do not import each other."""

ODM_LAYERS = [
    ["errors"],
    ["converters"],
    ["filters"],
    ["models"],
    ["queries"],
    ["asynchronous", "synchronous"],
    ["geo", "initialization", "operators"],
]
"""The same inside `odm`."""

EXTENSIONS = "data_bridge.query.extensions"
"""The module that imports upwards by name, on first use."""

LARGEST_CYCLE = 3


class Import(NamedTuple):
    """One imported module."""

    module: str
    line: int


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, text: str, *, is_package: bool, known: set[str]) -> Iterator[Import]:
    """The modules of the package that a module imports, wherever in its text."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "data_bridge":
                    yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join(parts[: len(parts) - node.level + 1] + ([base] if base else []))
            if base.split(".")[0] == "data_bridge":
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield Import(full if full in known or full == "data_bridge._core" else base, node.lineno)


def layer(name: str, layers: list[list[str]]) -> int | None:
    """The row of a directory or module."""
    return next((position for position, row in enumerate(layers) if name in row), None)


def fault(source: str, target: str) -> str | None:
    """The reason that a module must not import another; None when it may."""
    above, below = source.split(".")[1:], target.split(".")[1:]
    if not above or (above == ["odm"] and below[:1] == ["odm"]):
        return None  # the front pages gather the public names
    if not below:
        return "imports the front page of the package"
    layers = LAYERS
    if above[0] == below[0]:
        if above[0] != "odm" or len(above) < 2 or len(below) < 2:
            return None if len(below) > 1 or above[0] != "odm" else "imports the front page of the directory"
        above, below, layers = above[1:], below[1:], ODM_LAYERS
        if above[0] == below[0]:
            return None
    own, other = layer(above[0], layers), layer(below[0], layers)
    if own is None or other is None:
        return f"`{above[0] if own is None else below[0]}` is in no layer: add it to the table in {__name__}"
    return None if other < own else f"`{below[0]}` is not below `{above[0]}`"


def edges() -> dict[str, list[Import]]:
    found = modules()
    known = set(found)
    return {
        name: list(imports(name, path.read_text(), is_package=path.name == "__init__.py", known=known))
        for name, path in found.items()
    }


def test_imports_go_down() -> None:
    faults = [
        f"{name}:{target.line}: imports {target.module}: {reason}"
        for name, targets in edges().items()
        for target in targets
        if (reason := fault(name, target.module))
    ]
    assert not faults, "\n".join(faults)


def test_only_the_table_of_extensions_imports_by_name() -> None:
    from data_bridge.query import extensions

    known = set(modules())
    assert set(extensions.MODULES.values()) <= known
    users = {name for name, path in modules().items() if "import_module(" in path.read_text()}
    # The front page loads `odm` on first use; results load pyarrow, polars and pandas.
    assert users == {"data_bridge", EXTENSIONS, "data_bridge.query.result"}


def test_cycles_are_small_and_stay_in_a_directory() -> None:
    found = edges()
    graph = {name: {target.module for target in targets if target.module in found} for name, targets in found.items()}
    for cycle in components(graph):
        directories = {name.rpartition(".")[0] for name in cycle}
        assert len(cycle) <= LARGEST_CYCLE, sorted(cycle)
        assert len(directories) == 1, sorted(cycle)


def components(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one node (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = set()
            while (last := stack.pop()) != node:
                component.add(last)
            if component:
                result.append(component | {node})

    for node in graph:
        if node not in index:
            visit(node)
    return result


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("data_bridge.query.plan", "data_bridge.commands.encode", True),
        ("data_bridge.commands.encode", "data_bridge.query.plan", False),
        ("data_bridge.asynchronous.client", "data_bridge.synchronous.client", False),
        ("data_bridge.odm.filters.expressions", "data_bridge.odm.converters.converter", True),
        ("data_bridge.odm.converters.converter", "data_bridge.odm.filters.expressions", False),
        ("data_bridge.odm.models.model", "data_bridge.integrations.models", False),
        ("data_bridge.query.plan", "data_bridge", False),
        ("data_bridge.misplaced", "data_bridge.errors", False),
    ],
)
def test_rules(source: str, target: str, allowed: bool) -> None:
    assert (fault(source, target) is None) == allowed


def test_imports_are_found_wherever_they_are() -> None:
    text = "if TYPE_CHECKING:\n    from ..query import plan\ndef f():\n    from . import b\n"
    known = {"data_bridge.query.plan", "data_bridge.odm.b"}
    found = list(imports("data_bridge.odm.a", text, is_package=False, known=known))
    assert found == [Import("data_bridge.query.plan", 2), Import("data_bridge.odm.b", 4)]
    assert components({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
