"""What `Query` and `AsyncQuery` share: everything but waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from .._core import Reader, Schema
from . import cursor_names
from .plan import Plan
from .report import Report
from .table_options import Reading, Runs

if TYPE_CHECKING:
    from typing_extensions import Self


class QueryBase:
    """A query that has not run: immutable, may be run any number of times.

    Chained methods return a new query. On a `find` they replace what was given before; on an `aggregate`, `sort`,
    `skip`, `limit` and `project` append a stage to the pipeline, so their order counts there.
    """

    __slots__ = ("__weakref__", "_plan", "_reading", "_runs")
    _awaited: ClassVar[bool] = False

    def __init__(self, plan: Plan, reading: Reading) -> None:
        self._plan = plan
        self._reading = reading
        self._runs = Runs()

    def _with(self, plan: Plan) -> Self:
        return type(self)(plan, self._reading)

    def sort(self, keys: Any, direction: int | None = None) -> Self:
        """Order of the documents.

        Parameters
        ----------
        keys
            A key (with `direction`), a mapping, or a list of keys and (key, direction) pairs.
        direction
            1 (ascending, the default) or -1.
        """
        return self._with(self._plan.sort(keys, direction))

    def skip(self, count: int) -> Self:
        """Leave out the first `count` documents."""
        return self._with(self._plan.skip(count))

    def limit(self, count: int) -> Self:
        """No more than `count` documents; 0 means all."""
        return self._with(self._plan.limit(count))

    def project(self, projection: Any) -> Self:
        """Keys to return: a list of them, or a projection document."""
        return self._with(self._plan.project(projection))

    def hint(self, hint: Any) -> Self:
        """The index to use, by name or by its keys."""
        return self._with(self._plan.with_option("hint", hint))

    def collation(self, collation: Any) -> Self:
        """The collation to compare strings with: a mapping or PyMongo's Collation."""
        return self._with(self._plan.with_option("collation", collation))

    def comment(self, comment: Any) -> Self:
        """A comment for the server's logs and profiler."""
        return self._with(self._plan.with_option("comment", comment))

    def batch_size(self, batch_size: int) -> Self:
        """Documents in one server reply; the answer does not depend on it."""
        return self._with(self._plan.with_option("batch_size", batch_size))

    def max_time_ms(self, max_time_ms: int | None) -> Self:
        """Milliseconds the server may work on the query."""
        return self._with(self._plan.with_option("max_time_ms", max_time_ms))

    def allow_disk_use(self, allow_disk_use: bool) -> Self:
        """Whether the server may write temporary files to sort."""
        return self._with(self._plan.with_option("allow_disk_use", allow_disk_use))

    @property
    def report(self) -> Report | None:
        """The report of the latest finished run of this query; None before the first one."""
        return self._runs.latest()

    def _write(self) -> None:
        """Run a query that writes, when it is made; an asynchronous one is awaited later."""

    def _start(self, *, eager: bool) -> Reader:
        return self._plan.start(self._reading.timeout, eager=eager)

    def _table_plan(self) -> Plan:
        """For documents nobody sees: of keys that the schema does not name, none need to come."""
        return self._plan_of_keys(self._reading.form.keys)

    def _plan_of_keys(self, keys: Sequence[str] | None) -> Plan:
        return self._plan if keys is None else self._plan.narrowed(keys)

    @property
    def _given(self) -> Schema | None:
        return self._reading.form.schema

    def _failed(self, reader: Reader, error: BaseException) -> None:
        reader.close()
        self._runs.finished(Report(reader.report(), error))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._plan!r})"

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled: it holds a client")

    def __bool__(self) -> NoReturn:
        # Without this a query used as a condition would be true whatever it finds.
        raise TypeError(f"a {type(self).__name__} has no truth value: use first() is None, or len(read())")

    if not TYPE_CHECKING:
        # For type checkers there are none, so that they report what these refuse.
        def __getattr__(self, name: str) -> NoReturn:
            cursor_names.refuse(type(self), name, awaited=self._awaited)

        def __getitem__(self, index: Any) -> NoReturn:
            cursor_names.refuse_item(type(self), index, awaited=self._awaited)

        def __next__(self) -> NoReturn:
            cursor_names.refuse_next(type(self), awaited=self._awaited)

        def __enter__(self) -> NoReturn:
            cursor_names.refuse_with(type(self))

        def __exit__(self, *_: object) -> None: ...
