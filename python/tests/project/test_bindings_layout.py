"""Imports of `python/src` go down only, between its directories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

LAYERS = ["error", "lock", "ffi", "operations", "values", "documents", "models", "reads", "writes", "client", "lib"]
"""Files and directories of the bindings, lowest first."""

UPWARD = {("ffi/objects.rs", "documents"), ("ffi/objects.rs", "models")}
"""The exceptions: invariants of `unsafe` code name the classes that they hold for."""


def edges(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the target of each `crate::X` outside of comments."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in re.finditer(r"\bcrate::(\w+)", line.partition("//")[0]):
            yield number, match[1]


def test_imports_go_down() -> None:
    found, used = [], set()
    for path in sorted(SOURCE.rglob("*.rs")):
        name = path.relative_to(SOURCE).as_posix()
        own = name.split("/")[0].removesuffix(".rs")
        for line, target in edges(path.read_text(encoding="utf-8")):
            if (name, target) in UPWARD:
                used.add((name, target))
            elif target != own and LAYERS.index(target) >= LAYERS.index(own):
                found.append(f"{name}:{line}: {own} imports {target}, which is not below it")
    assert not found, "\n".join(found)
    assert used == UPWARD


def test_an_upward_import_is_found() -> None:
    assert list(
        edges("use crate::reads::run::Run; // crate::client\n//! crate::client\nlet x = crate::error::y();")
    ) == [
        (1, "reads"),
        (3, "error"),
    ]
