"""The report of a run: as text for a terminal, and as a page of the documentation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from figures import environment, provenance
from report import table
from soak import checks
from soak.checks import MB
from soak.run import Found

ABOUT = """\
`make soak` runs one process that reads, from a server behind a proxy and from a replica set of three (`--one`
leaves the replica set out). Threads and an event loop draw reads of every kind, and ways to abandon them. Another
process injects faults into the servers and the network, one after the other, and waits after each until both
clients of that server read again.

At checkpoints no operation and no fault is in progress. Every way to read must then succeed, and no cursor and no
transaction may be open. Then the clients are closed: no connection of theirs may remain, and threads, descriptors
and Arrow's bytes may not exceed those of the first checkpoint."""

COLUMNS_ARE = """\
Cursors, transactions, and the first column of descriptors are counted with clients open, all others after they
were closed. Arrow's bytes are those of pyarrow's pool, without the reference tables of the test. Sessions are
those that servers remember, for 30 minutes, of all closed clients: the driver ends its own sessions when it
closes, and drops those whose connection broke, as the drivers' specification requires. The first checkpoint
follows a warm-up."""

COLUMNS = (
    "seconds",
    "operations",
    "cursors",
    "transactions",
    "connections",
    "sessions",
    "descriptors, open",
    "descriptors",
    "threads",
    "memory, MB",
    "Arrow, bytes",
)


def text(found: Found) -> str:
    """Return a summary with all failures."""
    counts = found.counts
    lines = [
        f"seed {found.seed}, {found.seconds:.0f} s: {counts.operations.total():,} operations, "
        f"{found.faults.total():,} faults, "
        f"{counts.errors.total():,} reads ended with an error, {len(counts.wrong)} wrong",
        *_rows(found),
        *(f"FAILED {each}" for each in found.failures),
        "Nothing failed." if not found.failures else f"{len(found.failures)} failed.",
    ]
    return "\n".join(lines)


def _cells(found: Found) -> list[tuple[str, ...]]:
    base = found.checkpoints[0].closed if found.checkpoints else None
    return [
        (
            f"{each.seconds:,.0f}",
            f"{each.operations:,}",
            str(each.cursors),
            str(each.transactions),
            str(each.connections),
            str(each.sessions),
            str(each.open.descriptors),
            str(each.closed.descriptors),
            str(each.closed.threads),
            f"{each.closed.memory / MB:.0f}",
            str(each.closed.arrow - (base.arrow if base else 0)),
        )
        for each in found.checkpoints
    ]


def _rows(found: Found) -> list[str]:
    lines = [COLUMNS, *_cells(found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def _counted(head: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    cells = [(name, f"{count:,}") for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return [*table(head, cells), ""]


def _memory(found: Found) -> str:
    if not checks.memory_judged(found.checkpoints):
        return "There are too few checkpoints to judge memory."
    return (
        f"Memory is judged after {checks.WARM_UP} checkpoints: the median of the last half may exceed that of the "
        f"first half by {checks.GROWTH / MB:.0f} MB."
    )


def markdown(found: Found, command: str) -> str:
    """Return the report as a page in Markdown."""
    counts, machine = found.counts, {**environment(), "mongod": found.mongod}
    failed = [f"- {each.splitlines()[0][:300]}" for each in found.failures] or ["Nothing failed."]
    lines = [
        "# Soak test",
        "",
        *provenance(dt.date.today().isoformat(), [command], machine),
        "",
        ABOUT,
        "",
        "## Result",
        "",
        f"Seed {found.seed}, {found.seconds:,.0f} seconds: {counts.operations.total():,} operations, "
        f"{found.faults.total():,} faults. {counts.errors.total():,} operations ended with an error of this package, "
        f"{len(counts.untyped)} with another one; {len(counts.wrong)} gave wrong rows.",
        "",
        *failed,
        "",
        "## Checkpoints",
        "",
        COLUMNS_ARE,
        _memory(found),
        "",
        *table(COLUMNS, _cells(found)),
        "",
        "## Operations",
        "",
        *_counted(("operation", "times"), counts.operations),
        "## Faults",
        "",
        *_counted(("fault: servers", "times"), found.faults),
        "## Errors of operations",
        "",
        "These include reads whose client was closed during the read.",
        "",
        *_counted(("error", "times"), counts.errors),
    ]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
