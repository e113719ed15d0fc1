"""The checks: no resource is held at a checkpoint, and no read was wrong at the end."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from soak.counts import Counts
from soak.worker import Figures

MB = 1 << 20

WARM_UP = 4
"""Number of checkpoints before memory is checked: pools of threads, allocators and caches fill during them."""

GROWTH = 24 * MB
"""Maximum growth of the median memory from the first half to the last half, after the warm-up. The memory that an
allocator keeps varies by more between checkpoints, its median by less. In 20 minutes the halves are 8 minutes apart,
with some 8,000 operations in each, so a leak of 400 bytes per operation is found."""


class Checkpoint(NamedTuple):
    """The findings while no operation ran. `open`: before the clients were closed; `closed`: after."""

    seconds: float
    operations: int
    cursors: int
    transactions: int
    sessions: int
    connections: int
    open: Figures
    closed: Figures


def descriptors_allowed(clients: int, members: int, pool: int) -> int:
    """Return the maximum for open clients: a pool and two monitors for each member."""
    return clients * members * (pool + 2)


def failures_at(checkpoint: Checkpoint, first: Checkpoint, allowed: int) -> list[str]:
    """Return a message for each leak."""
    now, base, found = checkpoint.closed, first.closed, []
    if checkpoint.cursors:
        found.append(f"{checkpoint.cursors} cursors are open on the servers")
    if checkpoint.transactions:
        found.append(f"{checkpoint.transactions} transactions are open on the servers")
    if checkpoint.connections:
        found.append(f"{checkpoint.connections} connections are open after the clients were closed")
    if now.threads > base.threads:
        found.append(f"{now.threads} threads, {base.threads} at the first checkpoint")
    if now.descriptors > base.descriptors:
        found.append(f"{now.descriptors} descriptors, {base.descriptors} at the first checkpoint")
    if checkpoint.open.descriptors > base.descriptors + allowed:
        found.append(
            f"{checkpoint.open.descriptors} descriptors with open clients, {base.descriptors} + {allowed} allowed"
        )
    if now.arrow != base.arrow:
        found.append(f"{now.arrow - base.arrow} bytes of Arrow's pool are held")
    return [f"at {checkpoint.seconds:.0f} s: {each}" for each in found]


def memory_judged(checkpoints: Sequence[Checkpoint]) -> bool:
    """Return whether each half has at least six checkpoints: single ones differ by 60 MB without a trend."""
    return len(checkpoints) >= WARM_UP + 12


def memory_failure(checkpoints: Sequence[Checkpoint]) -> str | None:
    """Return a message if memory grows; None if it does not, or if the checkpoints are too few."""
    if not memory_judged(checkpoints):
        return None
    memory = [each.closed.memory for each in checkpoints[WARM_UP:]]
    middle = len(memory) // 2
    early, late = median(memory[:middle]), median(memory[middle:])
    if late <= early + GROWTH:
        return None
    return f"memory grows: {early / MB:.0f} MB in the first half after the warm-up, {late / MB:.0f} MB in the last"


def failures_of(counts: Counts) -> list[str]:
    return [
        *(f"wrong rows: {each}" for each in counts.wrong),
        *(f"an error of another kind: {each}" for each in counts.untyped),
        *(f"too late: {each}" for each in counts.late),
    ]
