"""The conditions of a run: nothing is held at a quiet moment, and no read was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from soak.tally import Tally
from soak.worker import Figures

MB = 1 << 20

WARM_UP = 4
"""So many checkpoints pass before memory is judged: pools of threads, allocators and caches fill in them."""

GROWTH = 24 * MB
"""Bytes by which the median of the last half may exceed that of the first half, after the warm-up. An allocator's stock
moves from checkpoint to checkpoint by more, its median by less. In 20 minutes the halves are 8 minutes apart, with some
8,000 operations in each: a leak of 400 bytes an operation shows."""


class Checkpoint(NamedTuple):
    """The figures of a quiet moment. `open`: before the clients were closed; `closed`: after."""

    seconds: float
    operations: int
    cursors: int
    transactions: int
    sessions: int
    connections: int
    open: Figures
    closed: Figures


def descriptors_allowed(clients: int, members: int, pool: int) -> int:
    """Of open clients: a pool and two monitors for each member."""
    return clients * members * (pool + 2)


def failures_at(checkpoint: Checkpoint, first: Checkpoint, allowed: int) -> list[str]:
    """Return the objects that are held and should not be."""
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
        found.append(f"{now.arrow - base.arrow} bytes of Arrow's are held")
    return [f"at {checkpoint.seconds:.0f} s: {each}" for each in found]


def memory_judged(checkpoints: Sequence[Checkpoint]) -> bool:
    """Single checkpoints lie 60 MB apart without a trend: six in each half, at least."""
    return len(checkpoints) >= WARM_UP + 12


def memory_failure(checkpoints: Sequence[Checkpoint]) -> str | None:
    """Return whether memory grows; None as well for too few checkpoints."""
    if not memory_judged(checkpoints):
        return None
    memory = [each.closed.memory for each in checkpoints[WARM_UP:]]
    middle = len(memory) // 2
    early, late = median(memory[:middle]), median(memory[middle:])
    if late <= early + GROWTH:
        return None
    return f"memory grows: {early / MB:.0f} MB in the first half after the warm-up, {late / MB:.0f} MB in the last"


def failures_of(tally: Tally) -> list[str]:
    return [
        *(f"wrong rows: {each}" for each in tally.wrong),
        *(f"an error of another kind: {each}" for each in tally.untyped),
        *(f"too late: {each}" for each in tally.late),
    ]
