"""Live RecordBatches, synchronous and asynchronous."""

from __future__ import annotations

from typing import Any

from .._core import BatchReader, Reader, RecordBatch, Schema
from ..connection import event_loop
from . import progress as progress_
from .async_iterator import ENDED_LOOP, LoopBound
from .parallel_plan import ParallelPlan
from .plan import Plan
from .report import Report
from .run_history import RunHistory
from .table_options import ReadOptions


class _StreamBase:
    """A run that starts at the first look, and ends when it is exhausted, closed or dropped."""

    def __init__(self, plan: Plan, whole: Plan, options: ReadOptions, infer_rows: int, runs: RunHistory) -> None:
        if not isinstance(infer_rows, int) or isinstance(infer_rows, bool):
            raise TypeError(f"infer_rows must be an int, got {type(infer_rows).__name__}")
        if infer_rows < 1:
            raise ValueError(f"infer_rows must be positive, got {infer_rows}")
        self._plan = plan
        self._narrowed = plan is not whole
        self._options = options
        self._infer_rows = infer_rows
        self._runs = runs
        self._ticker: progress_.Ticker | None = None
        self._reader: Reader | None = None
        self._batches: BatchReader | None = None
        self._closed = False
        self._started: dict[str, tuple[Reader, BatchReader]] = {}

    def _open(self) -> BatchReader:
        if self._closed:
            raise ValueError("the stream is closed")
        if self._batches is None:
            # Of threads that share a stream, one run is kept. No lock: a forked child could inherit it locked.
            reader = self._plan.start(self._options.timeout, eager=False)
            form, columns = self._options.form, self._plan.columns()
            if columns is not None:
                form = form.with_empty_columns(columns)
            made = reader, reader.batches(form, self._infer_rows, narrowed=self._narrowed)
            kept = self._started.setdefault("run", made)
            if kept is made:
                self._runs.add(reader)
                if self._options.progress is not None:
                    self._ticker = progress_.Ticker(self._options.progress, reader)
            self._reader, self._batches = kept
        return self._batches

    def _tick(self) -> None:
        if self._ticker is not None:
            self._ticker.tick()

    def close(self) -> None:
        """End the run; a second call does nothing. Batches that were returned stay valid."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        """End the run; the native reader remembers its end, or that it was interrupted."""
        ticker, self._ticker = self._ticker, None
        if self._batches is not None:
            self._batches.close()
        if self._reader is not None:
            self._reader.close()
        if ticker is not None:
            ticker.__exit__()

    @property
    def report(self) -> Report | None:
        """The report of the run so far; None before it started. `error` is the exception that ended it early."""
        return None if self._batches is None else Report(self._batches.report())


class Stream(_StreamBase):
    """RecordBatches of one schema, as they come: an iterator and a context manager; also an Arrow stream, once."""

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> RecordBatch:
        if self._closed:
            raise StopIteration
        try:
            batch = next(self._open())
        except BaseException:
            self._end()
            raise
        self._tick()
        return batch

    @property
    def schema(self) -> Schema:
        """The schema of all batches; waits for the documents it is inferred from."""
        return self._open().schema

    def __arrow_c_schema__(self) -> Any:
        return self._open().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The stream as a PyCapsule. It is returned once: RuntimeError on a second call."""
        return self._open().__arrow_c_stream__(requested_schema)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream(_StreamBase, LoopBound):
    """RecordBatches of one schema, as they come, for `async for`; an asynchronous context manager.

    The stream belongs to the event loop that it starts in: continued in another one, or after it was cancelled, it
    raises RuntimeError.
    """

    def __init__(self, plan: Plan, whole: Plan, options: ReadOptions, infer_rows: int, runs: RunHistory) -> None:
        _StreamBase.__init__(self, plan, whole, options, infer_rows, runs)
        LoopBound.__init__(self)

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> RecordBatch:
        if self._closed:
            raise StopAsyncIteration
        self._interruption.check()
        if self._over:
            raise StopAsyncIteration
        self.check_loop()
        try:
            await self._prepare()
            batch = await event_loop.complete(self._open().next_async())
        except Exception:
            self._over = True
            self._end()
            raise
        except BaseException:
            # A batch may be lost with it.
            self.interrupt()
            self._end()
            raise
        if batch is None:
            # If another task interrupted the run meanwhile, this is not the end of the result.
            self._interruption.check()
            self._over = True
            self._end()
            raise StopAsyncIteration
        self._tick()
        return batch

    async def schema(self) -> Schema:
        """The schema of all batches; waits for the documents it is inferred from."""
        if not self._closed:
            self.check_loop()
            await self._prepare()
        return await event_loop.complete(self._open().schema_async())

    async def _prepare(self) -> None:
        plan = self._plan
        if isinstance(plan, ParallelPlan):
            ready = await plan.prepared()
            # Of tasks that share a stream, one plan is kept.
            if self._plan is plan:
                self._plan = ready

    def loop_ended(self) -> None:
        """Called when the stream's event loop ends."""
        if not (self._closed or self._over):
            self.interrupt(ENDED_LOOP)
            self._end()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        raise TypeError("an AsyncStream cannot be read by a synchronous consumer: use `async for`, or `await q.read()`")

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def live_batches(stream: Stream) -> BatchReader:
    """Start a stream, and return its batches."""
    return stream._open()


async def opened(stream: AsyncStream) -> BatchReader:
    """Start a stream, once its schema is known, and return its batches for a synchronous consumer."""
    await stream.schema()
    return stream._open()
