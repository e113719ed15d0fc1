"""Progress of long reads, on request: a bar, or a callback. Nothing is printed by default."""

from __future__ import annotations

from typing import Any, TypeVar

from .._core import ArrowWriter, Document, Operation, Reader
from .._typing import Progress as Progress
from ..connection.completion_channel import open_channel

T = TypeVar("T")

INTERVAL = 0.1
"""Seconds between two looks."""
_EVERY = 1_000


def check(progress: Any) -> Progress:
    """`progress`, when it can be used.

    Raises
    ------
    TypeError
        When it is neither a bool, a callable nor None.
    ImportError
        For a bar when tqdm is not installed.
    """
    if progress is True:
        _tqdm()
    elif progress and not callable(progress):
        raise TypeError(f"progress must be True or a callable, got {type(progress).__name__}")
    return progress or None


class Ticker:
    """The progress of one run. Use as a context manager: a bar must be closed."""

    def __init__(self, progress: Progress, reader: Reader | ArrowWriter) -> None:
        self._reader = reader
        self._bar: Any = None
        self._callback = progress if callable(progress) else None
        if progress is True:
            self._bar = _tqdm()(unit=" documents", unit_scale=True)

    def __enter__(self) -> Ticker:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.tick()
        finally:
            if self._bar is not None:
                self._bar.close()

    def tick(self) -> None:
        """Report the documents and bytes so far."""
        documents, size = self._reader.progress
        if self._bar is not None:
            self._bar.update(documents - self._bar.n)
            self._bar.set_postfix_str(f"{size / 1e6:.1f} MB", refresh=False)
        elif self._callback is not None:
            self._callback(documents, size)


def wait(operation: Operation[T], ticker: Ticker) -> T:
    """Wait as `operation.wait()` does, with a tick every 100 ms on this thread, so that a callback may do anything."""
    channel = open_channel()
    done = False
    try:
        channel.expect(operation, 0)
        while not (done := channel.wait(INTERVAL)):
            ticker.tick()
        return operation.result()
    finally:
        if not done:
            operation.cancel()
        channel.close()


class TickingDocuments:
    """The reader's documents, ticking now and then."""

    def __init__(self, reader: Reader, progress: Progress) -> None:
        self._ticker: Ticker | None = None
        self._documents = reader.documents()
        self._position = 0
        self._ticker = Ticker(progress, reader)

    def __iter__(self) -> TickingDocuments:
        return self

    def __next__(self) -> Document:
        try:
            if self._ticker is not None and self._position == _EVERY:
                self._position = 0
                self._ticker.tick()
            document = next(self._documents)
        except BaseException:
            self._end()
            raise
        self._position += 1
        return document

    def close(self) -> None:
        """End the run."""
        self._documents.close()
        self._end()

    def _end(self) -> None:
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.__exit__()

    def __del__(self) -> None:
        self._end()


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install tqdm; a callable works without it") from error
    return tqdm
