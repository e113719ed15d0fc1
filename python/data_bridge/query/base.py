"""The common part of `Query` and `AsyncQuery`: everything but waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from .._core import InvalidQuery, NativeTableOptions, Reader, ResultData, Schema
from ..commands.options import aggregate_options
from ..connection.session_state import SessionState
from . import cursor_names
from .extensions import extension
from .namespace import Namespace
from .parallel_plan import parallel_plan
from .partition_request import check_infer_rows
from .plan import AggregatePlan, Plan, WritingPlan, writing_stage
from .report import Report
from .run_history import RunHistory
from .table_options import ReadOptions, TableOptions

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._typing import Collation, Hint, Pipeline, Progress, Projection, Sort, Timeout


def is_projected(data: object) -> bool:
    """Return whether the rows of `data` are known to lack keys of their documents: it is a find with a projection."""
    return isinstance(data, QueryBase) and getattr(data._plan, "is_projected", False)


class QueryBase:
    """A query that has not run: immutable, may be run any number of times.

    Chained methods return a new query. On a `find` they replace what was given before; on an `aggregate`, `sort`,
    `skip`, `limit` and `project` append a stage to the pipeline, so their order counts there.
    """

    __slots__ = ("__weakref__", "_options", "_plan", "_runs")
    _awaited: ClassVar[bool] = False

    def __init__(self, plan: Plan, options: ReadOptions) -> None:
        self._plan = plan
        self._options = options
        self._runs = RunHistory()

    @classmethod
    def _of_pipeline(
        cls,
        namespace: Namespace,
        pipeline: Pipeline,
        session: SessionState | None,
        timeout: Timeout,
        progress: Progress,
        keywords: dict[str, Any],
    ) -> Self:
        """Return the query of an `aggregate`; a synchronous one of a pipeline that writes has run. Empties `keywords`.

        Raises
        ------
        TypeError, ValueError, InvalidQuery
            For an argument that is not supported.
        """
        if keywords.pop("resume", False):
            raise InvalidQuery("an aggregate cannot resume: its rows have no known order. Leave resume out")
        preference, concern = keywords.pop("read_preference", None), keywords.pop("read_concern", None)
        settings = namespace.settings.replace(None, preference, None, concern)
        seconds = settings.timeout if timeout is ... else timeout
        # Before the plan: a plan that writes warns when it never runs.
        table = TableOptions.take(keywords)
        parallel, ordered = keywords.pop("parallel", 1), keywords.pop("ordered", True)
        options = ReadOptions.check(table, seconds, progress, settings.codec, settings.types)
        plan_type = AggregatePlan if writing_stage(pipeline) is None else WritingPlan
        if plan_type is WritingPlan and parallel != 1:
            raise InvalidQuery("a pipeline that writes runs once: leave parallel out")
        plan = plan_type(namespace._replace(settings=settings), pipeline, aggregate_options(keywords), session)
        query = cls(parallel_plan(plan, options, parallel, ordered), options)
        if plan_type is WritingPlan:
            query._run_writes()
        return query

    def _with(self, plan: Plan) -> Self:
        return type(self)(plan, self._options)

    def sort(self, keys: Sort, direction: int | None = None) -> Self:
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

    def project(self, projection: Projection) -> Self:
        """Keys to return: a list of them, or a projection document."""
        return self._with(self._plan.project(projection))

    def hint(self, hint: Hint) -> Self:
        """The index to use, by name or by its keys."""
        return self._with(self._plan.with_option("hint", hint))

    def collation(self, collation: Collation) -> Self:
        """The collation to compare strings with: a mapping or PyMongo's Collation."""
        return self._with(self._plan.with_option("collation", collation))

    def comment(self, comment: object) -> Self:
        """A comment for the server's logs and profiler."""
        return self._with(self._plan.with_option("comment", comment))

    def batch_size(self, batch_size: int) -> Self:
        """Documents in one server reply; the answer does not depend on it."""
        return self._with(self._plan.with_option("batch_size", batch_size))

    def max_time_ms(self, max_time_ms: int | None) -> Self:
        """Milliseconds the server may work on the query."""
        return self._with(self._plan.with_option("max_time_ms", max_time_ms))

    def allow_disk_use(self, allow_disk_use: bool) -> Self:
        """Allow the server to write temporary files to sort."""
        return self._with(self._plan.with_option("allow_disk_use", allow_disk_use))

    @property
    def report(self) -> Report | None:
        """The report of the latest finished run of this query; None before the first one."""
        return self._runs.latest()

    def _run_writes(self) -> None:
        """Run a query that writes, when it is made; an asynchronous one is awaited later."""

    def _start(self, *, eager: bool) -> Reader:
        return self._plan.start(self._options.timeout, eager=eager)

    def _table_plan(self) -> Plan:
        """Return the plan for a table: documents stay unseen, so keys outside the schema need not be sent."""
        return self._plan_of_keys(self._options.form.keys)

    def _plan_of_keys(self, keys: Sequence[str] | None) -> Plan:
        return self._plan if keys is None else self._plan.narrowed(keys)

    def _form(self, data: ResultData) -> NativeTableOptions:
        """Return the options of the tables of a result."""
        form = self._options.form
        if len(data) or form.schema is not None:
            return form
        columns = self._plan.columns()
        return form if columns is None else form.with_empty_columns(columns)

    @property
    def _given(self) -> Schema | None:
        return self._options.form.schema

    def _lazy_scan(
        self, infer_rows: int | str, engine: str, uri: str | None, uri_env: str | None, credentials: bool
    ) -> Any:
        rows = check_infer_rows(infer_rows)
        return extension("LazyScan")(self._plan, self._options, rows or 0, engine, (uri, uri_env, credentials))

    def _failed(self, reader: Reader, error: BaseException) -> None:
        reader.close()
        self._runs.finish(Report(reader.report(), error))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._plan!r})"

    def _repr_html_(self) -> str:
        """Return the request for notebooks: namespace, filter, projection, sort, options; never runs it."""
        from . import html  # needed by notebooks only

        return html.query(f"{type(self).__name__}: {self._plan!r}", self._plan.request(), self._given)

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled: it holds a client")

    def __bool__(self) -> NoReturn:
        # Without this a query used as a condition would be true whatever it finds.
        raise TypeError(f"a {type(self).__name__} has no truth value: use first() is None, or len(read())")

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report the use.
        def __getattr__(self, name: str) -> NoReturn:
            cursor_names.refuse_attribute(type(self), name, awaited=self._awaited)

        def __getitem__(self, index: object) -> NoReturn:
            cursor_names.refuse_item(type(self), index, awaited=self._awaited)

        def __next__(self) -> NoReturn:
            cursor_names.refuse_next(type(self), awaited=self._awaited)

        def __enter__(self) -> NoReturn:
            cursor_names.refuse_with(type(self))

        def __exit__(self, *_: object) -> None: ...
