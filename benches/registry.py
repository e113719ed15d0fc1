"""Benchmarks as groups of jobs: each group implements one task with several readers.

A job is a function that prepares and returns the work. The preparation (imports, a connected client, models) is not
measured. Each job imports its own modules, so that a process loads only its own reader.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FLOOR = ("drain", "socket sized")
"""(group, reader) of the floor of groups without their own socket."""
SOCKET = "socket"
"""The reader that is the floor of its own group."""


def is_floor(group: str, reader: str) -> bool:
    """Return whether the reader is the floor of its group."""
    return reader == (FLOOR[1] if group == FLOOR[0] else SOCKET)


class Target(NamedTuple):
    """The input of a job: a server, a shape loaded there, and the number of calls of the work."""

    uri: str
    shape: str
    calls: int


class Counted(NamedTuple):
    """A result without a document count; `documents` counts them after the measurement."""

    value: Any
    documents: Callable[[], int]


Work = Callable[[], Any]
"""The measured function. Its result is kept until the memory is read, and then counted."""
Job = Callable[[Target], Work]


@dataclass
class Group:
    """A task of several readers.

    Attributes
    ----------
    shapes
        Shapes to measure; None for every shape of SHAPES.
    calls
        Number of calls of the work. With several, the figures are those of one call, in microseconds.
    iterations
        Number of times that a process does the work; each is measured alone, and the figures are medians.
    jobs
        The readers of the task. The name's first word is the module that must be installed.
    only
        Readers that are measured on some of the shapes.
    """

    shapes: tuple[str, ...] | None = None
    calls: int = 1
    iterations: int = 1
    jobs: dict[str, Job] = field(default_factory=dict)
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)


GROUPS: dict[str, Group] = {}


def group(name: str, shapes: tuple[str, ...] | None = None, calls: int = 1, iterations: int = 1) -> None:
    """Declare a group; tables list groups in this order."""
    GROUPS[name] = Group(shapes, calls, iterations)


def job(name: str, reader: str, only: tuple[str, ...] = ()) -> Callable[[Job], Job]:
    """Register a function as the job of a reader in a group; `only` restricts the shapes."""

    def register(function: Job) -> Job:
        GROUPS[name].jobs[reader] = function
        if only:
            GROUPS[name].only[reader] = only
        return function

    return register


def interpreter(reader: str) -> str | None:
    """Return the Python that has the reader's module, or None. A variable names a separate environment:
    XLR8_PYTHON=/path/to/its/venv/bin/python."""
    module = reader.split()[0]
    if module == "xlr8":
        own = os.environ.get("XLR8_PYTHON")
        return own if own and Path(own).exists() else None
    try:
        return sys.executable if importlib.util.find_spec(module) else None
    except ModuleNotFoundError:  # the package of the module is missing
        return None


def repeat(calls: int, call: Work) -> Work:
    """Return work that calls repeatedly, and returns the result of the last call."""

    def work() -> Any:
        result = None
        for _ in range(calls):
            result = call()
        return result

    return work


async def repeat_async(calls: int, call: Callable[[], Awaitable[Any]]) -> Any:
    """Return work like `repeat`, in one run of an event loop."""
    result = None
    for _ in range(calls):
        result = await call()
    return result
