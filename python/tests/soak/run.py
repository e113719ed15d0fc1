"""The soak: faults one after the other, checkpoints between them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from servers import NAME

from soak import checks, faults, worker
from soak.checks import Checkpoint
from soak.counts import Counts
from soak.deployments import READY, Deployment, deployments
from soak.sources import CLIENT
from soak.worker import Figures

LATE = 120.0
"""Seconds after which an operation is too late. Deadlines are shorter, but each reply of an iteration has its own."""


@dataclass
class Found:
    """The findings of a run."""

    seed: int
    mongod: str
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    faults: Counter[str] = field(default_factory=Counter)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Settings(NamedTuple):
    """The options of a run."""

    seed: int
    seconds: float
    every: float
    """Seconds between checkpoints."""
    settle: float
    """Seconds in which abandoned cursors, connections and idle threads of pools must be released."""
    threads: int
    set_of_three: bool
    planted: Sequence[str]


class Soak:
    """A run in progress."""

    def __init__(self, settings: Settings, there: Sequence[Deployment], process: int, ask: Callable[..., Any]) -> None:
        self.found = Found(settings.seed, str(there[0].admin.server_info()["version"]))
        self._settings = settings
        self._rng = random.Random(f"{settings.seed} faults")
        self._deployments = there
        self._process = process
        self._ask = ask
        self._begun = time.monotonic()
        self._latest: list[str] = []
        members = sum(len(deployment.members) for deployment in there)
        self._allowed = checks.descriptors_allowed(2, members, int(CLIENT["maxPoolSize"]))

    def run(self) -> Found:
        seconds, every = self._settings.seconds, self._settings.every
        self._ask("open")
        # Twice: the first run makes all caches, so the second shows growth per run.
        for _ in range(2):
            self.found.failures += self._ask("every_way")
        self._ask("resume")
        time.sleep(min(5.0, seconds / 10))
        self._checkpoint()
        for each in self._settings.planted:
            self._ask("plant", each)
        self._begun = time.monotonic()
        end = self._begun + seconds
        while not self.found.failures and (now := time.monotonic()) < end:
            self._faults(min(end, now + every))
            self._checkpoint()
        if self.found.failures:
            self.found.failures.append(f"the latest faults: {self._latest[-20:]}")
        self.found.seconds = time.monotonic() - self._begun
        self.found.counts = self._ask("report")
        self.found.failures += checks.failures_of(self.found.counts)
        if (grown := checks.memory_failure(self.found.checkpoints)) is not None:
            self.found.failures.append(grown)
        return self.found

    def _faults(self, until: float) -> None:
        while time.monotonic() < until:
            if self._rng.random() < 0.1:
                self.found.faults[faults.INTERRUPTS] += 1
                faults.interrupt(self._process, self._rng)
                continue
            number = self._rng.randrange(len(self._deployments))
            deployment = self._deployments[number]
            name, fault = faults.drawn(deployment, self._rng)
            self.found.faults[f"{name}: {deployment.name}"] += 1
            self._latest.append(f"{time.monotonic() - self._begun:.1f} s: {name}, {deployment.name}")
            fault(deployment, self._rng)
            deployment.wait()
            failed = self._ask("probe", number, READY)
            if failed is not None:
                self.found.failures.append(f"after {name}, {deployment.name}: the client does not work: {failed}")
                return
            time.sleep(self._rng.uniform(0, 0.5))

    def _checkpoint(self) -> None:
        hung = self._ask("pause", LATE)
        if hung:
            self.found.failures += [f"does not end: {each}" for each in hung]
            return
        if self.found.checkpoints:
            self.found.failures += [f"without a fault: {each}" for each in self._ask("every_way")]
        cursors = self._settled(lambda: sum(deployment.cursors() for deployment in self._deployments), 0)
        if cursors:
            self.found.failures += [f"open: {each}" for deployment in self._deployments for each in deployment.left()]
        transactions = self._settled(lambda: sum(deployment.transactions() for deployment in self._deployments), 0)
        while_open = self._ask("figures")
        self._ask("close")
        connections = self._settled(
            lambda: sum(len(deployment.connections(NAME)) for deployment in self._deployments), 0
        )
        if connections:
            self.found.failures += [
                f"connected: {each}" for deployment in self._deployments for each in deployment.connections(NAME)
            ]
        sessions = sum(deployment.sessions() for deployment in self._deployments)
        closed = self._closed_figures()
        operations = self._ask("report").operations.total()
        seconds = time.monotonic() - self._begun if self.found.checkpoints else 0.0
        made = Checkpoint(seconds, operations, cursors, transactions, sessions, connections, while_open, closed)
        self.found.checkpoints.append(made)
        self.found.failures += checks.failures_at(made, self.found.checkpoints[0], self._allowed)
        print(f"{made.seconds:.0f} s, {operations:,} operations", flush=True)
        self._ask("open")
        self._ask("resume")

    def _closed_figures(self) -> Figures:
        """Wait for the level of the first checkpoint, then return the figures; for the first one, wait two seconds."""
        latest: list[Figures] = [self._ask("figures")]
        if not self.found.checkpoints:
            time.sleep(2)
            return self._ask("figures")  # type: ignore[no-any-return]
        base = self.found.checkpoints[0].closed

        def above() -> int:
            latest.append(self._ask("figures"))
            now = latest[-1]
            return (
                max(0, now.threads - base.threads)
                + max(0, now.descriptors - base.descriptors)
                + abs(now.arrow - base.arrow)
            )

        self._settled(above, 0)
        return latest[-1]

    def _settled(self, count: Callable[[], int], wanted: int) -> int:
        end = time.monotonic() + self._settings.settle
        while (found := count()) != wanted and time.monotonic() < end:
            time.sleep(0.1)
        return found


def soak(settings: Settings) -> Found:
    with deployments(settings.set_of_three) as there:
        uris = [deployment.uri for deployment in there]
        with worker.started(uris, NAME, settings.seed, settings.threads, LATE) as (process, ask):
            return Soak(settings, there, process, ask).run()
