"""How a query is read: schema, policy, deadline, progress; and what its runs left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from .._core import Form, Schema
from ..connection.uri import check_timeout
from . import progress as progress_
from .report import Report

DEFAULT_INFER_ROWS = 10_000
"""Documents whose schema a stream freezes, when none was given."""


REPRESENTATION = ("objectid", "uuid", "decimal", "mixed", "strings")
"""Arguments that say how a table stores what Arrow has several ways for."""


class Reading(NamedTuple):
    """Choices that concern the reader, not the server."""

    form: Form
    timeout: float | None
    progress: progress_.Progress


def reading(
    schema: Any,
    on_conflict: str,
    timeout: float | None,
    progress: Any,
    *,
    objectid: str = "extension",
    uuid: str = "extension",
    decimal: str = "extension",
    mixed: str = "extension",
    strings: str = "utf8",
) -> Reading:
    """The choices, checked.

    Raises
    ------
    TypeError, ValueError
        For what cannot be used.
    """
    asked = (on_conflict, objectid, uuid, decimal, mixed, strings)
    form = _USUAL if schema is None and asked == _ASKED else _form(schema, *asked)
    return Reading(form, check_timeout(timeout), progress_.check(progress))


def _form(schema: Any, on_conflict: str, objectid: str, uuid: str, decimal: str, mixed: str, strings: str) -> Form:
    given = given_schema(schema)
    return Form(given, on_conflict, objectid=objectid, uuid=uuid, decimal=decimal, mixed=mixed, strings=strings)


def given_schema(schema: Any) -> Schema | None:
    """An Arrow schema from what a user gave.

    Raises
    ------
    TypeError
        When it is neither a mapping of names to types nor has `__arrow_c_schema__`, or for a type in a mapping that is
        none.
    ValueError
        For a mapping that asks for what no column can be.
    """
    if schema is None or isinstance(schema, Schema):
        return schema
    if hasattr(schema, "__arrow_c_schema__"):
        return Schema.from_arrow(schema)
    if isinstance(schema, Mapping):
        return Schema.from_mapping(schema)
    if any(kind.__module__ == "pymongoarrow.schema" for kind in type(schema).__mro__):
        return Schema.from_mapping(schema.typemap)  # a mapping of names to pyarrow's types
    raise TypeError(
        "schema must be a mapping of names to types, have __arrow_c_schema__ (a pyarrow.Schema, say), or be a "
        "pymongoarrow.schema.Schema, "
        f"got {type(schema).__name__}"
    )


class _Reporting(Protocol):
    def report(self) -> dict[str, Any]: ...


_ASKED = ("error", "extension", "extension", "extension", "extension", "utf8")
"""What `reading` is asked for where nobody says anything."""
_USUAL = _form(None, *_ASKED)
"""The form that is: it cannot be changed, so all share it."""


class Runs:
    """The runs of one query, for its report. Keeps no rows."""

    __slots__ = ("_finished", "_open")

    def __init__(self) -> None:
        self._open: deque[_Reporting] = deque(maxlen=16)
        self._finished: Report | Mapping[str, Any] | None = None

    def started(self, run: _Reporting) -> None:
        """A live run, whose end only the native module sees."""
        self._open.append(run)

    def finished(self, report: Report | Mapping[str, Any]) -> None:
        """A run that is over, and its report or what it is made of: hardly anybody asks for it."""
        self._open.clear()
        self._finished = report

    def latest(self) -> Report | None:
        """The report of the latest run that is over."""
        for run in reversed(self._open):
            values = run.report()
            if values.get("finished"):
                while self._open and self._open[0] is not run:
                    self._open.popleft()
                self._open.popleft()
                self._finished = values
                break
        if self._finished is not None and not isinstance(self._finished, Report):
            self._finished = Report(self._finished)
        return self._finished
