"""Counts and failures of operations, shared by all threads of the process under test."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from data_bridge import DataBridgeError, OperationFailure
from soak.rows import WrongRows

SHOWN = 20
"""Maximum number of failures of one kind that are kept with their texts."""


class Cancelled(Exception):
    """The read was cancelled on purpose."""


@dataclass
class Counts:
    """Counts by kind. Each entry of `wrong`, `untyped` and `late` is a failure of the soak test."""

    operations: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


class SharedCounts:
    """Counts that several threads write to, and the operations in progress."""

    def __init__(self, late_seconds: float) -> None:
        self.total = Counts()
        self._late = late_seconds
        self._lock = threading.Lock()
        self._running: dict[object, tuple[str, float]] = {}

    @contextmanager
    def operation(self, kind: str) -> Iterator[None]:
        """Record one operation and its error. Errors of other packages, except cancellations, are failures."""
        key, begun = object(), time.monotonic()
        self._running[key] = kind, begun
        try:
            yield
        except WrongRows as error:
            self._keep(self.total.wrong, f"{kind}: {error}")
        except DataBridgeError as error:
            with self._lock:
                self.total.errors[name(error)] += 1
        except (Cancelled, KeyboardInterrupt):
            pass
        except BaseException as error:
            self._keep(self.total.untyped, f"{kind}: {''.join(traceback.format_exception(error))[-2000:]}")
            if isinstance(error, GeneratorExit | SystemExit):
                raise
        finally:
            del self._running[key]
            with self._lock:
                self.total.operations[kind] += 1
            seconds = time.monotonic() - begun
            if seconds > self._late:
                self._keep(self.total.late, f"{kind}: {seconds:.0f} s")

    def _keep(self, where: list[str], text: str) -> None:
        with self._lock:
            if len(where) < SHOWN:
                where.append(text)

    def running(self) -> list[str]:
        """Describe the operations in progress, with their durations."""
        now = time.monotonic()
        return [f"{kind}, for {now - begun:.0f} s" for kind, begun in list(self._running.values())]


def name(error: DataBridgeError) -> str:
    """Return the name under which an error is counted."""
    code = error.code if isinstance(error, OperationFailure) else None
    return type(error).__name__ if code is None else f"{type(error).__name__}, code {code}"
