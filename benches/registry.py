"""What a benchmark is: groups of jobs, each group the same need met by several readers.

A job is a function that makes the work: what the work needs beforehand (imports, a connected client, models) is not
measured. Each job imports what it needs, so that a process pays only for its own reader.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FLOOR = ("drain", "socket")
"""(group, reader) of what a group is measured against that has no socket of its own."""


class Target(NamedTuple):
    """What a job works on: a server, a shape that is loaded there, and how often the work calls what is measured."""

    uri: str
    shape: str
    calls: int


class Counted(NamedTuple):
    """A result that does not tell how many documents there were; `documents` finds out, after the measurement."""

    value: Any
    documents: Callable[[], int]


Work = Callable[[], Any]
"""What is measured. Its result is kept until the memory was read, and counted."""
Job = Callable[[Target], Work]


@dataclass
class Group:
    """One need.

    Attributes
    ----------
    shapes
        Where it is measured; None for every shape of SHAPES.
    calls
        How often the work does it. More than one: the figures are those of one call, and shown in microseconds.
    iterations
        How often a process does the work, each time measured by itself: its figures are the medians.
    jobs
        The readers that meet it. The name's first word is the module that must be installed.
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
    """Declare a group, in the place where tables shall show it."""
    GROUPS[name] = Group(shapes, calls, iterations)


def job(name: str, reader: str, only: tuple[str, ...] = ()) -> Callable[[Job], Job]:
    """Make a function the job of a reader in a group; `only` on these shapes, if any are given."""

    def register(function: Job) -> Job:
        GROUPS[name].jobs[reader] = function
        if only:
            GROUPS[name].only[reader] = only
        return function

    return register


def interpreter(reader: str) -> str | None:
    """The Python that has the reader's module, or None. One that cannot be installed beside the rest has a variable:
    XLR8_PYTHON=/path/to/its/venv/bin/python."""
    module = reader.split()[0]
    if module == "xlr8":
        own = os.environ.get("XLR8_PYTHON")
        return own if own and Path(own).exists() else None
    try:
        return sys.executable if importlib.util.find_spec(module) else None
    except ModuleNotFoundError:  # the package that a module would be in
        return None


def repeat(calls: int, call: Work) -> Work:
    """Work that calls so many times, and gives what the last call gave."""

    def work() -> Any:
        result = None
        for _ in range(calls):
            result = call()
        return result

    return work


async def repeat_async(calls: int, call: Callable[[], Awaitable[Any]]) -> Any:
    """As `repeat`, in one run of an event loop."""
    result = None
    for _ in range(calls):
        result = await call()
    return result
