"""The scan that engines read lazily: one schema, and reads with some columns, a filter and a limit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from .._core import NativeTableOptions, Schema
from ..errors import InvalidQuery
from ..query.extensions import extension
from ..query.key_ranges import Range
from ..query.parallel_plan import ParallelPlan
from ..query.partition import Scan
from ..query.partition_origin import Origin
from ..query.plan import AggregatePlan, FindPlan, Plan, WritingPlan
from ..query.ranges_plan import INDEX, RangesPlan, Split, both
from ..query.row_stages import check_filter
from ..query.run_history import RunHistory
from ..query.stream import Stream
from ..query.table_options import ReadOptions
from .engine_types import ENGINE_TYPES
from .predicates import Condition, FilterBuilder

_WHOLE = Split("_id", INDEX, None, False)


class LazyScan:
    """A query of a server as an engine reads it: any number of times, also in other processes.

    Parameters
    ----------
    plan, options
        Of the query.
    infer_rows
        The number of first documents from which the schema is inferred, or 0 for all; not used if the query has one.
    engine
        A key of `ENGINE_TYPES`: the layout of text in an inferred schema is its own, where the query sets none.
    origin
        The arguments of `Origin`: a URI, the name of a variable, and whether credentials may be pickled.
    """

    def __init__(
        self,
        plan: Plan,
        options: ReadOptions,
        infer_rows: int,
        engine: str,
        origin: tuple[str | None, str | None, bool],
    ) -> None:
        self._parallel, self._ordered = 1, True
        if isinstance(plan, ParallelPlan):
            self._parallel, self._ordered, plan = plan.parallel, plan.ordered, plan.serial
        if not isinstance(plan, (FindPlan, AggregatePlan)):
            raise InvalidQuery("only queries of a server are read lazily: read_bson() has to_polars() and to_arrow()")
        if isinstance(plan, WritingPlan):
            raise InvalidQuery("a pipeline that writes is not read lazily: it runs once")
        if plan.session is not None:
            raise InvalidQuery("a query with a session is not read lazily: the session may end before it is read")
        table = options.table
        if table.schema is None and table.strings is None:
            table = table._replace(strings=ENGINE_TYPES[engine].strings)
        settings = plan.namespace.settings
        checked = ReadOptions.check(table, options.timeout, None, settings.codec, settings.types)
        self._scan = Scan(plan, checked, table, _WHOLE, Origin(plan.namespace.core, *origin))
        self._infer_rows = infer_rows
        self._schema: Schema | None = None
        self._lock = threading.Lock()

    @property
    def _is_inferred(self) -> bool:
        return self._scan.options.table.schema is None

    @property
    def schema(self) -> Schema:
        """The schema of the whole table; inferred on first use, if the query has none."""
        schema = self._whole_form().schema
        assert schema is not None
        return schema

    def _whole_form(self) -> NativeTableOptions:
        """Return the options of the whole table."""
        form = self._scan.options.form
        if form.schema is not None:
            return form
        with self._lock:
            if self._schema is None:
                self._schema = self._inferred()
            return form.with_inferred_schema(self._schema)

    def _inferred(self) -> Schema:
        planner = extension("Planner")(self._scan.inner, self._scan.options)
        schema: Schema = planner.inferred(self._everything(), self._infer_rows)
        return schema

    async def prepare(self) -> None:
        """Infer the schema without blocking the event loop, if the query has none."""
        if self._scan.options.form.schema is None and self._schema is None:
            planner = extension("AsyncPlanner")(self._scan.inner, self._scan.options)
            self._schema = await planner.inferred(self._everything(), self._infer_rows)

    def _everything(self) -> RangesPlan:
        return RangesPlan(self._scan.inner, _WHOLE, [Range(None, None)])

    def open(
        self, columns: Sequence[str] | None = None, condition: Condition | None = None, limit: int | None = None
    ) -> Stream:
        """Start a read when it is first pulled.

        Parameters
        ----------
        columns
            The names of columns, in their order; None for all. Under `on_conflict="rescue"` all columns come.
        condition
            A condition of which rows are needed. Other rows may come, too.
        limit
            The number of first rows that are needed. More may come.
        """
        scan, schema = self._scan, self.schema
        options = scan.options
        is_rescued = options.table.on_conflict == "rescue"
        settings = scan.inner.namespace.settings
        form = options.table._replace(schema=None).form(settings.codec, settings.types)
        if columns is not None and not is_rescued:
            form = form.with_schema(schema._select(list(columns) or schema.names[:1]))
        else:
            form = self._whole_form()
        whole = self._limited(self._filtered(scan.inner, condition), limit)
        plan = whole if form.keys is None else whole.narrowed(form.keys)
        checked = options._replace(form=form)
        if self._parallel > 1 and limit is None:
            ready: Plan = ParallelPlan(plan, checked, self._parallel, self._ordered)
            return Stream(ready, ready if plan is whole else whole, checked, 1, RunHistory())
        return Stream(plan, whole, checked, 1, RunHistory())

    def _filtered(self, plan: FindPlan | AggregatePlan, condition: Condition | None) -> FindPlan | AggregatePlan:
        """Return the plan of the documents that a filter may need."""
        if condition is None:
            return plan
        schema = self.schema
        if self._scan.options.table.on_conflict == "rescue":
            # The last column is computed here, and no key of documents.
            schema = schema._select(schema.names[:-1])
        found = FilterBuilder(schema, is_inferred=self._is_inferred).filter(condition)
        if found is None:
            return plan
        if isinstance(plan, AggregatePlan):
            return plan.matching(found)
        if plan.options.get("skip") or plan.options.get("limit"):
            # The condition applies to the documents that are left.
            return plan
        try:
            check_filter(plan.readable_filter())
        except InvalidQuery:
            return plan
        return plan.matching(both(plan.filter, found))

    @staticmethod
    def _limited(plan: FindPlan | AggregatePlan, limit: int | None) -> FindPlan | AggregatePlan:
        if limit is None or limit < 1:
            return plan
        own = abs(plan.options.get("limit", 0)) if isinstance(plan, FindPlan) else 0
        return plan.limit(min(limit, own) if own else limit)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "scan": self._scan,
            "infer_rows": self._infer_rows,
            "schema": self._schema,
            "parallel": self._parallel,
            "ordered": self._ordered,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._scan = state["scan"]
        self._infer_rows = state["infer_rows"]
        self._schema = state["schema"]
        self._parallel, self._ordered = state["parallel"], state["ordered"]
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LazyScan({self._scan.name})"
