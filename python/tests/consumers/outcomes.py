"""Outcomes of operations, measured in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from consumers import cells

ROOT = Path(__file__).parents[3]
ON_THE_WAY = [str(ROOT / each) for each in ("python/tests", "python/tests/support", "python")]


class Key(NamedTuple):
    """An operation on a column."""

    type: str
    placement: str
    operation: str


class Outcome(NamedTuple):
    """The failure of an operation; `error` is None if there is none, and "crash" for the end of the process."""

    error: str | None
    message: str = ""


def keys(types: str, placements: Sequence[str]) -> list[Key]:
    """Return the operations on all columns in the placements."""
    return [
        Key(column.type, column.placement, operation)
        for column in cells.columns(placements)
        for operation in cells.operations(column, types)
    ]


def run(consumer: str, types: str, wanted: Sequence[Key], alone: Sequence[Key] = ()) -> dict[Key, Outcome]:
    """Run operations in one process, and each of `alone` in its own.

    After the end of a process, another one runs the operations that remain.
    """
    found: dict[Key, Outcome] = {}
    rest = [key for key in wanted if key not in alone]
    while rest:
        found.update(_process(consumer, types, rest))
        rest = [key for key in rest if key not in found]
    for key in alone:
        found.update(_process(consumer, types, [key]))
    return found


def _process(consumer: str, types: str, wanted: Sequence[Key]) -> dict[Key, Outcome]:
    path = os.pathsep.join([*ON_THE_WAY, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "consumers.run_cells", consumer, types],
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        input="".join(json.dumps(key) + "\n" for key in wanted),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines:
        raise RuntimeError(f"no operation of {consumer} ran: {done.stderr[-2000:]}")
    found = {
        Key(*key): Outcome(None) if outcome is None else Outcome(*outcome)
        for key, outcome in zip(lines[::2], lines[1::2], strict=False)
    }
    if len(lines) % 2:
        code = done.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        found[Key(*lines[-1])] = Outcome("crash", name)
    return found
