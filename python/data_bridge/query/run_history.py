"""The runs of one query, from which its latest report is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from .report import Report


class _Run(Protocol):
    def report(self) -> dict[str, Any]: ...


class RunHistory:
    """The latest runs of one query. Holds no rows."""

    __slots__ = ("_latest", "_live")

    def __init__(self) -> None:
        self._live: deque[_Run] = deque(maxlen=16)
        self._latest: Report | Mapping[str, Any] | None = None

    def add(self, run: _Run) -> None:
        """Add a live run; only the native module knows when it ends."""
        self._live.append(run)

    def finish(self, report: Report | Mapping[str, Any]) -> None:
        """Record the report of a run that ended, or its values: few callers read the report."""
        self._live.clear()
        self._latest = report

    def latest(self) -> Report | None:
        """Return the report of the latest run that ended."""
        for run in reversed(self._live):
            values = run.report()
            if values.get("finished"):
                while self._live and self._live[0] is not run:
                    self._live.popleft()
                self._live.popleft()
                self._latest = values
                break
        if self._latest is not None and not isinstance(self._latest, Report):
            self._latest = Report(self._latest)
        return self._latest
