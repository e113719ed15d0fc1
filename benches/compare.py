"""data_bridge beside the other readers, and all of them against a bare socket: `make bench`.

Every measurement is a process of its own, so that no reader pays for another's memory or imports. Rounds are
interleaved: each runs every job once, so that a slow minute of the machine falls on all of them. Shown is the median.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient

from jobs import JOBS
from shapes import DATABASE, SHAPES, load
from socket_drain import SocketDrain, measure_documents

FLOOR = ("drain", "socket")


class Measurement(NamedTuple):
    wall: float
    cpu: float  # of the client process, all its threads
    memory: float  # peak resident megabytes, above what the process held before the work


def memory_kilobytes(field: str) -> int:
    """VmRSS or VmHWM of this process; 0 where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def measure(uri: str, shape: str, group: str, reader: str) -> Measurement:
    """In the child: run one job once."""
    work = JOBS[group][reader](uri, shape)
    gc.collect()
    # 5 resets VmHWM to what is resident now: the peak is the work's, not that of the imports.
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    resident = memory_kilobytes("VmRSS")
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    peak = memory_kilobytes("VmHWM")
    del result
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measurement(wall, cpu, (peak - resident) / 1024)


def measure_apart(shape: str, group: str, reader: str) -> Measurement | str:
    """In the parent: the measurement, or the last line of what went wrong."""
    child = [sys.executable, str(Path(__file__).resolve()), "--child", shape, group, reader]
    done = subprocess.run(child, capture_output=True, text=True, timeout=600)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Measurement(*json.loads(done.stdout.splitlines()[-1]))


def verify_floor(uri: str, shape: str, documents: int, size: int) -> None:
    """The socket drain must receive what the collection holds, or every ratio would be wrong."""
    drain = SocketDrain(uri)
    received = [measure_documents(reply) for reply in drain.replies(DATABASE, shape)]
    drain.close()
    found = (sum(each[0] for each in received), sum(each[1] for each in received))
    if found != (documents, size):
        raise SystemExit(f"{shape}: the socket received {found} (documents, bytes), not {(documents, size)}")


def chosen_jobs(options: argparse.Namespace) -> list[tuple[str, str]]:
    """(group, reader) of what is to run, the floor first."""
    present = {"socket", "pymongo", "pymongo raw batches", "pymongo RawBSONDocument"}
    present |= {name for name in ("pymongoarrow", "data_bridge") if importlib.util.find_spec(name)}
    chosen = [
        (group, reader)
        for group, readers in JOBS.items()
        for reader in readers
        if (group, reader) != FLOOR
        and reader in present
        and group in (options.jobs or JOBS)
        and (not options.readers or reader.split()[0] in options.readers)
    ]
    return [FLOOR, *chosen]


def show(shape: str, documents: int, size: int, results: dict[tuple[str, str], list[Measurement]]) -> None:
    median = {
        key: Measurement(*(statistics.median(column) for column in zip(*measured, strict=True)))
        for key, measured in results.items()
        if measured
    }
    floor = median[FLOOR]
    print(f"\n{shape}: {documents:,} documents of {size / documents:.0f} bytes, {size / 1e6:.0f} MB")
    print(
        f"{'job':<13}{'reader':<26}{'x socket':>9}{'wall ms':>10}{'spread':>8}{'cpu ms':>9}{'peak MB':>9}{'docs/s':>12}"
    )
    order = {group: position for position, group in enumerate(dict.fromkeys(key[0] for key in results))}
    for (group, reader), each in sorted(median.items(), key=lambda item: (order[item[0][0]], item[1].wall)):
        walls = [measured.wall for measured in results[group, reader]]
        spread = (max(walls) - min(walls)) / each.wall
        print(
            f"{group:<13}{reader:<26}{each.wall / floor.wall:>8.2f}x{each.wall * 1e3:>10.1f}{spread:>7.0%} "
            f"{each.cpu * 1e3:>8.0f}{each.memory:>9.0f}{documents / each.wall:>12,.0f}"
        )


def versions() -> str:
    names = ["pymongo", "pymongoarrow", "pyarrow", "polars", "pandas", "data_bridge"]
    found = []
    for name in names:
        if importlib.util.find_spec(name):
            try:
                found.append(f"{name} {importlib.metadata.version(name.replace('_', '-'))}")
            except importlib.metadata.PackageNotFoundError:
                found.append(name)
    return ", ".join(found)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--jobs", nargs="+", choices=JOBS, metavar="JOB", help=f"of: {', '.join(JOBS)}")
    parser.add_argument("--readers", nargs="+", help="data_bridge, pymongo, pymongoarrow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of documents")
    parser.add_argument("--json", type=Path, help="write every measurement to this file as well")
    options = parser.parse_args(arguments)
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        parser.error("set MONGODB_URI, or run: make bench")
    jobs = chosen_jobs(options)

    everything: dict[str, Any] = {}
    with MongoClient[dict[str, Any]](uri) as client:
        print(f"Python {platform.python_version()}, {os.cpu_count()} cores, MongoDB {client.server_info()['version']}")
        print(versions())
        for shape in options.shapes:
            documents, size = load(client, shape, options.scale)
            # Also what brings the collection into the server's cache before anything is measured.
            verify_floor(uri, shape, documents, size)
            results: dict[tuple[str, str], list[Measurement]] = {key: [] for key in jobs}
            failed: dict[tuple[str, str], str] = {}
            for _ in range(options.rounds):
                for key in jobs:
                    if key not in failed:
                        measured = measure_apart(shape, *key)
                        if isinstance(measured, str):
                            failed[key] = measured
                        else:
                            results[key].append(measured)
            show(shape, documents, size, results)
            for key, reason in failed.items():
                print(f"{key[0]:<13}{key[1]:<26}failed: {reason}")
            everything[shape] = {" / ".join(key): [each._asdict() for each in value] for key, value in results.items()}
            sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(os.environ["MONGODB_URI"], *sys.argv[2:5])))
    else:
        main(sys.argv[1:])
