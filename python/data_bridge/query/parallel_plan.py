"""The plan of a query that is read on several cursors at once, in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _core
from .._core import Codec, Operation, Reader
from .._typing import Projection, Sort
from ..commands.options import check_bool
from .extensions import extension
from .partition_request import PartitionRequest
from .plan import Plan
from .ranges_plan import RangesPlan
from .table_options import ReadOptions

MOST_CURSORS = 256
_MOST_RANGES = 50_000


class ParallelPlan:
    """A plan whose rows come on `parallel` cursors, in ranges of `_id` that are planned when a run starts.

    A range has at most the bytes that can wait until its turn: a stream is faster, too. The result has the schema and
    the errors of one cursor, and the order of `_id`; with `ordered=False`, that in which replies arrive.
    """

    __slots__ = ("_inner", "_options", "_ordered", "_parallel")

    def __init__(self, inner: Plan, options: ReadOptions, parallel: int, ordered: bool) -> None:
        self._inner = inner
        self._options = options
        self._parallel = parallel
        self._ordered = ordered

    @property
    def codec(self) -> Codec:
        """Conversion of values to Python objects."""
        return self._inner.codec

    @property
    def serial(self) -> Plan:
        """The plan of the same query on one cursor."""
        return self._inner

    @property
    def parallel(self) -> int:
        """The number of cursors."""
        return self._parallel

    @property
    def ordered(self) -> bool:
        """Return whether rows come in the order of the ranges."""
        return self._ordered

    def _request(self) -> PartitionRequest:
        # Less than the limit: of a sample, some ranges have twice the bytes of others.
        limit = int(_core.configuration()["prefetch_bytes"]) // (2 * self._parallel)
        return PartitionRequest(bytes=max(limit * 2 // 3, 1), most=_MOST_RANGES)

    def _planned(self, planned: Any) -> RangesPlan:
        inner: Any = self._inner
        # Partitions resume; a read in this process does if the caller requested it.
        split = planned.split._replace(resumes=bool(getattr(inner, "resume", False)))
        return RangesPlan(inner, split, planned.ranges, self._parallel, self._ordered, planned.reason)

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        if self._parallel == 1:
            return self._inner.start(timeout, eager=eager)
        planned = extension("Planner")(self._inner, self._options).plan(self._request())
        return self._planned(planned).start(timeout, eager=eager)

    async def prepared(self) -> RangesPlan:
        """Return the plan of the ranges, whose start waits for nothing."""
        return self._planned(await extension("AsyncPlanner")(self._inner, self._options).plan(self._request()))

    def _with(self, inner: Plan) -> ParallelPlan:
        return ParallelPlan(inner, self._options, self._parallel, self._ordered)

    def with_option(self, name: str, value: object) -> ParallelPlan:
        return self._with(self._inner.with_option(name, value))

    def sort(self, keys: Sort, direction: int | None) -> ParallelPlan:
        return self._with(self._inner.sort(keys, direction))

    def skip(self, count: int) -> ParallelPlan:
        return self._with(self._inner.skip(count))

    def limit(self, count: int) -> ParallelPlan:
        return self._with(self._inner.limit(count))

    def project(self, projection: Projection) -> ParallelPlan:
        return self._with(self._inner.project(projection))

    def narrowed(self, keys: Sequence[str]) -> ParallelPlan:
        inner = self._inner.narrowed(keys)
        return self if inner is self._inner else self._with(inner)

    def columns(self) -> list[str] | None:
        return self._inner.columns()

    def first(self) -> ParallelPlan | None:
        first = self._inner.first()
        return None if first is None else ParallelPlan(first, self._options, 1, True)

    def explain(self, verbosity: str, timeout: float | None) -> Operation[bytes]:
        return self._inner.explain(verbosity, timeout)

    def decoded(self, reply: bytes) -> dict[str, Any]:
        return self._inner.decoded(reply)

    def request(self) -> dict[str, object]:
        return {**self._inner.request(), "parallel": self._parallel}

    def __repr__(self) -> str:
        return f"{self._inner!r}, {self._parallel} cursors"


def parallel_plan(plan: Plan, options: ReadOptions, parallel: object, ordered: object) -> Plan:
    """Return the plan that reads on `parallel` cursors.

    Raises
    ------
    TypeError, ValueError
        For a value that is not supported.
    """
    is_ordered = check_bool("ordered", ordered)
    if not isinstance(parallel, int) or isinstance(parallel, bool):
        raise TypeError(f"parallel must be an int, got {type(parallel).__name__}")
    if not 1 <= parallel <= MOST_CURSORS:
        raise ValueError(f"parallel must be between 1 and {MOST_CURSORS}, got {parallel}")
    if parallel == 1:
        return plan
    parallel_plan: Plan = ParallelPlan(plan, options, parallel, is_ordered)
    return parallel_plan


async def prepared(plan: Plan) -> Plan:
    """Return the plan whose start waits for nothing."""
    return await plan.prepared() if isinstance(plan, ParallelPlan) else plan


def serial(plan: Plan) -> Plan:
    """Return the plan of the same query on one cursor."""
    return plan.serial if isinstance(plan, ParallelPlan) else plan
