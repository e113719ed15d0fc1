"""data_bridge, the other readers and a bare socket, compared: `make bench`.

Every measurement is a process of its own, so that no reader pays for another's memory or imports. Rounds are
interleaved: each runs every job once, so that a slow minute of the machine falls on all of them. Shown is the median.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from figures import Figures, ShapeFigures, environment, now
from measure import measure_apart
from readers import GROUPS
from registry import FLOOR, SOCKET, interpreter
from report import markdown, text
from shapes import ALL, DATABASE, SHAPES, load
from socket_drain import SocketDrain, count_documents

# Maximum rounds of jobs that take longer; the spread of slow jobs is relatively small.
SLOW = ((10, 1), (3, 2))  # seconds, rounds


def verify_floor(uri: str, shape: str, documents: int, size: int) -> None:
    """Check that the socket drain receives the whole collection; otherwise every ratio is wrong."""
    drain = SocketDrain(uri)
    found = count_documents(drain, DATABASE, {"find": shape, "filter": {}})
    drain.close()
    if found != (documents, size):
        raise SystemExit(f"{shape}: the socket received {found} (documents, bytes), not {(documents, size)}")


def chosen_jobs(options: argparse.Namespace, shape: str) -> dict[tuple[str, str], str]:
    """Return (group, reader) of the jobs on a shape, with their Python; the floor first."""
    chosen = {FLOOR: sys.executable}
    for name, group in GROUPS.items():
        if shape not in (group.shapes or SHAPES) or name not in (options.jobs or GROUPS):
            continue
        for reader in group.jobs:
            if shape not in group.only.get(reader, (shape,)):
                continue
            asked = reader.startswith("socket") or not options.readers or package(reader) in options.readers
            python = interpreter(reader) if asked else None
            if python is not None:
                chosen[name, reader] = python
    return chosen


def package(reader: str) -> str:
    return reader.split()[0].partition(".")[0]


def run(options: argparse.Namespace, uri: str, client: MongoClient[Any], shape: str) -> ShapeFigures:
    """Run all rounds of one shape."""
    documents, size = load(client, shape, options.scale)
    # This also loads the collection into the server's cache before the measurements.
    verify_floor(uri, shape, documents, size)
    jobs = chosen_jobs(options, shape)
    figures = ShapeFigures(documents, size, {key: [] for key in jobs})
    for name, _ in jobs:
        if GROUPS[name].calls > 1:
            figures.calls[name] = max(10, min(documents, round(GROUPS[name].calls * min(1.0, options.scale))))
    for _ in range(options.rounds):
        for key, python in jobs.items():
            done = figures.measurements[key]
            if key in figures.failed or (done and len(done) >= most(total(figures, key))):
                continue
            measured = measure_apart(shape, *key, figures.calls.get(key[0], 1), python)
            if isinstance(measured, str):
                figures.failed[key] = measured
            else:
                done.append(measured)
    for key, reason in figures.failed.items():
        if key[1] in (FLOOR[1], SOCKET):  # otherwise a group would be compared with another group's floor
            raise SystemExit(f"{shape}, {key[0]}: the socket failed: {reason}")
    return figures


def most(seconds: float) -> float:
    """Return the maximum number of rounds of a job of this duration."""
    return next((rounds for limit, rounds in SLOW if seconds > limit), float("inf"))


def total(figures: ShapeFigures, key: tuple[str, str]) -> float:
    """Return the seconds of the first measurement, with all its calls and iterations."""
    return figures.measurements[key][0].wall * figures.calls.get(key[0], 1) * GROUPS[key[0]].iterations


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--jobs", nargs="+", choices=GROUPS, metavar="JOB", help=f"of: {'; '.join(GROUPS)}")
    parser.add_argument("--readers", nargs="+", help="data_bridge, pymongo, pymongoarrow, beanie, mongoengine, xlr8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of documents")
    parser.add_argument("--json", type=Path, help="write every measurement to this file as well")
    parser.add_argument("--chart", type=Path, help="write an SVG of the main jobs")
    parser.add_argument("--markdown", type=Path, help="write the tables as a page, with the chart if there is one")
    parser.add_argument("--from", type=Path, dest="kept", help="measure nothing: show what --json wrote")
    options = parser.parse_args(arguments)
    command = f'make bench ARGS="{" ".join(arguments)}"' if arguments else "make bench"
    figures = Figures.from_json(options.kept.read_text()) if options.kept else measure(options, parser, command)
    if options.kept:
        for shape, found in figures.shapes.items():
            print(text(shape, found))
    if options.json:
        options.json.write_text(figures.to_json())
    if options.chart:
        from chart import draw

        draw(figures, options.chart)
    if options.markdown:
        chart = os.path.relpath(options.chart, options.markdown.parent) if options.chart else None
        options.markdown.write_text(markdown(figures, chart))


def measure(options: argparse.Namespace, parser: argparse.ArgumentParser, command: str) -> Figures:
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        parser.error("set MONGODB_URI, or run: make bench")
    figures = Figures(now(), command, environment())
    with MongoClient[dict[str, Any]](uri) as client:
        figures.environment["MongoDB"] = client.server_info()["version"]
        print(", ".join(f"{name} {value}" for name, value in figures.environment.items()))
        for shape in options.shapes:
            figures.shapes[shape] = run(options, uri, client, shape)
            print(text(shape, figures.shapes[shape]), flush=True)
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
