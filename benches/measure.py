"""One measurement, in a process of its own: `python measure.py SHAPE GROUP READER CALLS`."""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from registry import Counted, Target, Work

TIMEOUT_SECONDS = 600
ITERATIONS_SECONDS = 10
"""Time limit of all iterations together; the iterations end there."""


class Measurement(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds of the client process, all its threads
    memory: float  # peak resident megabytes, above what the process held before the work
    results: int  # documents, or values, of the work's result


def memory_kilobytes(field: str) -> int:
    """Return VmRSS or VmHWM of this process; 0 without /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def count_of(result: Any) -> int:
    """Return the number of documents of any kind of result."""
    if result is None:
        return 0
    if isinstance(result, Counted):
        return result.documents()
    if isinstance(result, int):
        return result
    if isinstance(result, Sequence):
        return len(result)
    if isinstance(result, Mapping):
        return 1
    if hasattr(result, "shape"):  # a pyarrow table, a data frame
        rows: int = result.shape[0]
        return rows
    return len(result) if type(result).__name__ == "Result" else 1


def measured(work: Work, calls: int = 1, iterations: int = 1) -> tuple[Measurement, Any]:
    """Run work of several calls; return the figures of one call, and the work's result.

    With several iterations, the wall and CPU times are medians, and the results are those of the last one.
    """
    gc.collect()
    # 5 resets VmHWM to the current resident size: the peak is the work's, not that of the imports.
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    resident = memory_kilobytes("VmRSS")
    walls: list[float] = []
    cpus: list[float] = []
    result = None
    while len(walls) < iterations and sum(walls) < ITERATIONS_SECONDS:
        result = None  # the result of an iteration is neither kept nor freed during the next one
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        result = work()
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
        walls.append(wall)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    peak = (memory_kilobytes("VmHWM") - resident) / 1024
    wall, cpu = statistics.median(walls) / calls, statistics.median(cpus) / calls
    return Measurement(wall, cpu, peak, count_of(result)), result


def in_child(script: Path, arguments: Sequence[str], python: str = sys.executable) -> Any:
    """Return the script's last line, parsed as JSON; on an error, the last line of the error as text."""
    command = [python, str(script.resolve()), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"took more than {TIMEOUT_SECONDS} seconds"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def measure_apart(shape: str, group: str, reader: str, calls: int, python: str) -> Measurement | str:
    """In the parent: return the measurement, or the last line of the error."""
    found = in_child(Path(__file__), [shape, group, reader, str(calls)], python)
    return found if isinstance(found, str) else Measurement(*found)


def main(shape: str, group: str, reader: str, calls: str) -> None:
    """In the child: run one job once."""
    import readers

    target = Target(os.environ["MONGODB_URI"], shape, int(calls))
    of = readers.GROUPS[group]
    print(json.dumps(measured(of.jobs[reader](target), target.calls, of.iterations)[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
