"""Measurements with their machine and versions; stored as JSON, they can be displayed again."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import Measurement
from registry import FLOOR, interpreter, is_floor

PACKAGES = ("pymongo", "pymongoarrow", "pyarrow", "polars", "pandas", "beanie", "mongoengine", "xlr8")
Key = tuple[str, str]  # group, reader


@dataclass
class ShapeFigures:
    """The measurements of one shape, and the failures. `calls`: number of calls of groups with more than one."""

    documents: int
    size: int
    measurements: dict[Key, list[Measurement]] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def groups(self) -> list[str]:
        return list(dict.fromkeys(group for group, _ in self.measurements))

    def medians(self, group: str) -> dict[str, Measurement]:
        """Return reader -> the median of each figure, the shortest wall time first."""
        found = {
            reader: Measurement(*(statistics.median(column) for column in zip(*measured, strict=True)))
            for (of, reader), measured in self.measurements.items()
            if of == group and measured
        }
        return dict(sorted(found.items(), key=lambda item: item[1].wall))

    def floor(self, group: str) -> Measurement:
        """Return the group's own socket, or the one that drains the collection."""
        own = (each for reader, each in self.medians(group).items() if is_floor(group, reader))
        return next(own, None) or self.medians(FLOOR[0])[FLOOR[1]]

    def spread(self, group: str, reader: str) -> float:
        walls = [each.wall for each in self.measurements[group, reader]]
        return (max(walls) - min(walls)) / statistics.median(walls)

    def disagreements(self) -> list[str]:
        """Return the groups whose readers returned different numbers of documents, or values."""
        lines = []
        for group in self.groups():
            counts = {
                reader: sorted({each.results for each in measured})
                for (of, reader), measured in self.measurements.items()
                if of == group and measured and not (reader.startswith("socket") and group in VALUES)
            }
            if len({count for each in counts.values() for count in each}) > 1:
                told = ", ".join(f"{reader} {'/'.join(map(str, each))}" for reader, each in counts.items())
                lines.append(f"{group}: the results differ in size: {told}")
        return lines


VALUES = ("models, read 1", "models, read all", "find many, read all")
"""Groups that count values; a socket cannot count them."""


@dataclass
class Figures:
    """All shapes of one run of the benchmark."""

    date: str
    command: str
    environment: dict[str, str]
    shapes: dict[str, ShapeFigures] = field(default_factory=dict)

    def to_json(self) -> str:
        shapes = {}
        for name, each in self.shapes.items():
            nested: dict[str, dict[str, Any]] = {}
            for (group, reader), measured in each.measurements.items():
                nested.setdefault(group, {})[reader] = [one._asdict() for one in measured]
            failed = [[*key, reason] for key, reason in each.failed.items()]
            shapes[name] = {
                "documents": each.documents,
                "bytes": each.size,
                "calls": each.calls,
                "measurements": nested,
                "failed": failed,
            }
        return json.dumps(
            {"date": self.date, "command": self.command, "environment": self.environment, "shapes": shapes}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> Figures:
        read = json.loads(text)
        figures = cls(read["date"], read["command"], read["environment"])
        for name, each in read["shapes"].items():
            figures.shapes[name] = ShapeFigures(
                each["documents"],
                each["bytes"],
                {
                    (group, reader): [Measurement(**one) for one in measured]
                    for group, readers in each["measurements"].items()
                    for reader, measured in readers.items()
                },
                {(group, reader): reason for group, reader, reason in each["failed"]},
                each["calls"],
            )
        return figures


def now() -> str:
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d")


def provenance(date: str, commands: Iterable[str], facts: Mapping[str, str]) -> list[str]:
    """Return the first lines of a generated page: commands, date, machine and versions.

    Options that name output files are left out of the commands, and commits out of the versions: a page describes a
    release.
    """
    shown = [f"`{each}`" for each in dict.fromkeys(map(without_files, commands))]
    versions = {name: re.sub(r" \([0-9a-f]+(-dirty)?\)", "", text) for name, text in facts.items()}
    machine = [f"{versions.pop('cores')} cores of an {versions.pop('processor')}", versions.pop("system")]
    packages = ", ".join(f"{name} {text}" for name, text in versions.items())
    by = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
    return [
        f"This page is generated; do not edit it. Measured by {by}",
        f"on {date}, on {', '.join(machine)},",
        f"with {packages}.",
    ]


def without_files(command: str) -> str:
    """Return the command without the options that name its output files."""
    return re.sub(r" ?--(json|chart|markdown|report) [^\s\"]+", "", command).replace(' ARGS=""', "")


def environment() -> dict[str, str]:
    """Return the machine, and the versions of the software on it."""
    found = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "data_bridge": our_version(),
    }
    return found | {name: version for name in PACKAGES if (version := version_of(name))}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def version_of(name: str) -> str | None:
    python = interpreter(name)
    if python is None:
        return None
    ask = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def our_version() -> str:
    """Return the release, and the commit in a repository."""
    try:
        version = importlib.metadata.version("data-bridge-mongodb")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ""
    return " ".join(each for each in (version, f"({commit})" if commit else "") if each) or "unknown"
