"""The process under test: threads and an event loop that read, paused and resumed by the process that started it."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pymongo

from data_bridge import DataBridgeError
from soak.async_reads import ASYNC_LEAVES, ASYNC_READS, Way
from soak.counts import SharedCounts
from soak.rows import SHAPES, Want
from soak.sources import AsyncSource, Source
from soak.sync_reads import LEAVES, READS

LEAVING = 0.3
"""Share of operations that are abandoned before their end."""

TASKS = 3
"""Number of concurrent tasks on the event loop."""


class Figures(NamedTuple):
    """The resources that the process holds."""

    threads: int
    descriptors: int
    memory: int
    arrow: int

    @classmethod
    def now(cls) -> Figures:
        gc.collect()
        with open("/proc/self/status") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
        threads, descriptors = (len(os.listdir(f"/proc/self/{each}")) for each in ("task", "fd"))
        return cls(threads, descriptors - 1, resident << 10, pa.total_allocated_bytes())


class Worker:
    """The main thread, other threads and an event loop; each runs random operations unless it is paused."""

    def __init__(self, uris: list[str], name: str, seed: int, threads: int, late_seconds: float) -> None:
        self._uris = uris
        self._name = name
        self._seed = seed
        self.counts = SharedCounts(late_seconds)
        self._sources: list[Source] = []
        self._async_sources: list[AsyncSource] = []
        self._may_run = threading.Event()
        self._ended = False
        self._resting = 0
        self._lock = threading.Lock()
        self._interruptible = False
        self._loop = asyncio.new_event_loop()
        self._runners = threads + 1 + TASKS
        for number in range(threads):
            threading.Thread(target=self._work, args=(number,), daemon=True).start()
        threading.Thread(target=self._run_loop, daemon=True).start()
        self.planted: list[Any] = []

    # ---- operations --------------------------------------------------------------------------------------------------

    def _drawn(self, rng: random.Random, reads: dict[str, Any], leaves: dict[str, Any]) -> tuple[str, Any, Want]:
        ways = leaves if rng.random() < LEAVING else reads
        kind = rng.choice(list(ways))
        return kind, ways[kind], self.want(rng)

    @staticmethod
    def want(rng: random.Random) -> Want:
        shape = SHAPES["large" if rng.random() < 0.15 else "small"]
        low = rng.randrange(shape.count)
        return Want(shape, low, min(shape.count, low + rng.choice([1, 30, 300, 3_000])))

    def work_here(self) -> None:
        """Run operations on the main thread, the only one that Ctrl-C interrupts."""
        signal.signal(signal.SIGINT, self._interrupted)
        self._work(-1)

    def _interrupted(self, *_: object) -> None:
        if self._interruptible:
            self._interruptible = False
            self.counts.total.operations["KeyboardInterrupt"] += 1
            raise KeyboardInterrupt

    def _work(self, number: int) -> None:
        rng = random.Random(f"{self._seed} thread {number}")
        while not self._ended:
            self._wait()
            kind, way, want = self._drawn(rng, READS, LEAVES)
            source = rng.choice(self._sources)
            with self.counts.operation(kind):
                try:
                    self._interruptible = number < 0 or self._interruptible
                    way(source, want, rng)
                finally:
                    if number < 0:
                        self._interruptible = False

    def _wait(self) -> None:
        if not self._may_run.is_set():
            self._rest(1)
            self._may_run.wait()
            self._rest(-1)

    def _rest(self, runners: int) -> None:
        with self._lock:
            self._resting += runners

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        for number in range(TASKS):
            self._loop.create_task(self._task(number))
        self._loop.run_forever()

    async def _task(self, number: int) -> None:
        rng = random.Random(f"{self._seed} task {number}")
        while not self._ended:
            if not self._may_run.is_set():
                self._rest(1)
                while not self._may_run.is_set():  # noqa: ASYNC110  another thread sets it
                    await asyncio.sleep(0.02)
                self._rest(-1)
            kind, way, want = self._drawn(rng, ASYNC_READS, ASYNC_LEAVES)
            with self.counts.operation(kind):
                await way(rng.choice(self._async_sources), want, rng)

    def _await(self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    # ---- calls from the other process --------------------------------------------------------------------------------

    def open(self) -> None:
        """Make new clients."""
        self._sources = [Source(uri, self._name) for uri in self._uris]
        self._async_sources = [AsyncSource(uri, self._name) for uri in self._uris]

    def resume(self) -> None:
        self._may_run.set()

    def pause(self, seconds: float) -> list[str]:
        """Wait until all runners are idle; return the operations that did not end in time."""
        self._may_run.clear()
        end = time.monotonic() + seconds
        while self._resting < self._runners:
            if time.monotonic() > end:
                faulthandler.dump_traceback(sys.stderr)
                return self.counts.running()
            time.sleep(0.01)
        return []

    def probe(self, number: int, seconds: float) -> str | None:
        """Read with both clients of a deployment until each succeeds; return the error of one that does not."""
        rng, end = random.Random(self._seed), time.monotonic() + seconds
        want = Want(SHAPES["small"], 0, 500)
        for read in (
            lambda: READS["to_dicts"](self._sources[number], want, rng),
            lambda: self._await(ASYNC_READS["async to_list"](self._async_sources[number], want, rng)),
        ):
            while (error := _attempt(read)) is not None:
                if time.monotonic() > end or not isinstance(error, DataBridgeError):
                    return repr(error)
                time.sleep(0.1)
        return None

    def every_way(self) -> list[str]:
        """Run each read once with each client; return the errors. The first call is the warm-up."""
        rng = random.Random(self._seed)
        failed: list[tuple[str, Exception | None]] = []
        want = Want(SHAPES["small"], 100, 900)
        for number, source in enumerate(self._sources):
            for kind, way in {**READS, **LEAVES}.items():
                if kind != "close_client":
                    failed.append((kind, _attempt(partial(way, source, want, rng))))
            there = self._async_sources[number]
            for kind, waited in ASYNC_READS.items():
                failed.append((kind, _attempt(partial(self._awaited, waited, there, want, rng))))
        return [f"{kind}: {error!r}" for kind, error in failed if error is not None]

    def figures(self) -> Figures:
        return Figures.now()

    def close(self) -> None:
        """Close the clients."""
        for source in self._sources:
            source.client.close()
        for each in self._async_sources:
            self._await(each.client.close())
        self._sources, self._async_sources = [], []

    def _awaited(self, way: Way, source: AsyncSource, want: Want, rng: random.Random) -> None:
        self._await(way(source, want, rng))

    def report(self) -> Any:
        return self.counts.total

    def plant(self, what: str) -> None:
        """Cause a failure that the checks must find."""
        if what == "row":
            stored = SHAPES["small"].documents
            stored[:] = [{**each, "half": -1.0} for each in stored]
        elif what == "error":
            with self.counts.operation("planted"):
                raise ZeroDivisionError
        elif what == "cursor":
            rows = pymongo.MongoClient[Any](self._uris[0], appName=self._name)["soak"]["small"].find(batch_size=2)
            self.planted += [rows, next(rows)]
        elif what == "descriptor":
            self.planted += [Path(os.devnull).open() for _ in range(20)]  # noqa: SIM115
        elif what == "thread":
            for _ in range(10):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
        elif what == "arrow":
            self.planted.append(pa.array(range(1_000)))
        else:
            raise ValueError(what)


def _attempt(read: Callable[[], Any]) -> Exception | None:
    try:
        read()
    except Exception as error:  # noqa: BLE001  the caller reports it
        return error
    return None


def main(connection: Connection, *arguments: Any) -> None:
    """Run the process: call the methods that the connection names, until it ends."""
    worker = Worker(*arguments)

    def answer() -> None:
        while True:
            try:
                method, given = connection.recv()
            except EOFError:
                os._exit(0)
            try:
                connection.send((getattr(worker, method)(*given), None))
            except Exception as error:  # noqa: BLE001  raised again in the calling process
                connection.send((None, error))

    threading.Thread(target=answer, daemon=True).start()
    worker.work_here()


@contextmanager
def started(*arguments: Any) -> Iterator[tuple[int, Callable[..., Any]]]:
    """Yield the process id, and a function that calls a method of its Worker."""
    import multiprocessing

    start = multiprocessing.get_context("spawn")
    ours, theirs = start.Pipe()
    process = start.Process(target=main, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()

    def ask(method: str, *given: Any) -> Any:
        ours.send((method, given))
        answer, error = ours.recv()
        if error is not None:
            raise error
        return answer

    try:
        assert process.pid is not None
        yield process.pid, ask
    finally:
        ours.close()
        process.join(10)
        process.kill()
