"""Counts of events, shared by all threads of the process that reads."""

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
"""Of faults alike, so many are kept with their texts."""


class Cancelled(Exception):
    """The read was ended on purpose."""


@dataclass
class Tally:
    """Counts by kind. `wrong`, `untyped`, `late`: each entry is a failure of the soak."""

    operations: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


class Counting:
    """A Tally that threads write to, and what each of them does now."""

    def __init__(self, late_seconds: float) -> None:
        self.tally = Tally()
        self._late = late_seconds
        self._lock = threading.Lock()
        self._running: dict[object, tuple[str, float]] = {}

    @contextmanager
    def operation(self, kind: str) -> Iterator[None]:
        """One operation. Its errors end here; an error that is none of ours, and no cancellation, is reported."""
        key, begun = object(), time.monotonic()
        self._running[key] = kind, begun
        try:
            yield
        except WrongRows as error:
            self._keep(self.tally.wrong, f"{kind}: {error}")
        except DataBridgeError as error:
            with self._lock:
                self.tally.errors[name(error)] += 1
        except (Cancelled, KeyboardInterrupt):
            pass
        except BaseException as error:
            self._keep(self.tally.untyped, f"{kind}: {''.join(traceback.format_exception(error))[-2000:]}")
            if isinstance(error, GeneratorExit | SystemExit):
                raise
        finally:
            del self._running[key]
            with self._lock:
                self.tally.operations[kind] += 1
            seconds = time.monotonic() - begun
            if seconds > self._late:
                self._keep(self.tally.late, f"{kind}: {seconds:.0f} s")

    def _keep(self, where: list[str], text: str) -> None:
        with self._lock:
            if len(where) < SHOWN:
                where.append(text)

    def running(self) -> list[str]:
        """The operations in progress, and their starts."""
        now = time.monotonic()
        return [f"{kind}, for {now - begun:.0f} s" for kind, begun in list(self._running.values())]


def name(error: DataBridgeError) -> str:
    """An error as it is counted."""
    code = error.code if isinstance(error, OperationFailure) else None
    return type(error).__name__ if code is None else f"{type(error).__name__}, code {code}"
