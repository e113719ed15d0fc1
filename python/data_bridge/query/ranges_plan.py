"""The plan of a read in ranges: a find or an aggregate, once for each range, whose rows are one result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import bson
from bson import Int64, MaxKey
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from .._core import Codec, Operation, Reader
from .._typing import Projection, Sort
from ..commands import encode
from ..connection.settings import encode_selection
from ..errors import InvalidOperation
from .key_ranges import Key, Range
from .plan import AggregatePlan, FindPlan

INDEX = "index"
"""Ranges by `min` and `max` of an index, for finds on collections."""
EXPRESSION = "expression"
"""Ranges by `$expr`, where a read has no index bounds: aggregates, views, time series."""


_WHOLE_RANGE = 1_000_000
"""More documents than a reply holds: servers put 16 MB into one."""


class Snapshot(NamedTuple):
    """A point in time that all ranges are read at."""

    time: Timestamp
    window: int | None
    """Seconds for which the server keeps history, if they are known."""


class Split(NamedTuple):
    """The way in which ranges are read."""

    by: str
    """The key that they bound."""
    form: str
    """INDEX or EXPRESSION: never both for one result, since they may order text differently."""
    snapshot: Snapshot | None
    resumes: bool
    """True if a range continues after its last row when its cursor is lost."""
    checks_index: bool = False
    """True for a key whose index may change: it is checked again before each partition is read."""


class RangesPlan:
    """The plan of some ranges of a result. Nothing can be chained to it: each range would have its own limit."""

    __slots__ = ("_inner", "_ordered", "_parallel", "_ranges", "_reason", "_split")

    def __init__(
        self,
        inner: FindPlan | AggregatePlan,
        split: Split,
        ranges: Sequence[Range],
        parallel: int = 1,
        ordered: bool = True,
        reason: str = "",
    ) -> None:
        self._inner = inner
        self._split = split
        self._ranges = ranges
        self._parallel = parallel
        self._ordered = ordered
        self._reason = reason

    @property
    def codec(self) -> Codec:
        """Conversion of values to Python objects."""
        return self._inner.codec

    @property
    def inner(self) -> FindPlan | AggregatePlan:
        """The plan of the whole result."""
        return self._inner

    def prefix(self, count: int) -> RangesPlan:
        """Return the plan of at most the first `count` documents of each range."""
        inner = self._inner
        own = abs(inner.options.get("limit", 0))
        limited = inner.limit(min(count, own) if own else count)
        return RangesPlan(limited, self._split._replace(resumes=False), self._ranges)

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        reader = self._reader(timeout, eager)
        if self._reason:
            reader.record_plan(self._reason)
        return reader

    def _reader(self, timeout: float | None, eager: bool) -> Reader:
        inner, split = self._inner, self._split
        namespace = inner.namespace
        is_whole = list(self._ranges) == [Range(None, None)]
        if is_whole and split.snapshot is None:
            return inner.start(timeout, eager=eager)
        assert namespace.collection is not None
        return namespace.core.read_ranges(
            namespace.database,
            namespace.collection,
            [query for each in self._ranges for query in self._queries(each)],
            pipelines=isinstance(inner, AggregatePlan),
            selection=self._selection(),
            timeout=timeout,
            eager=eager,
            resume=split.resumes and not is_whole,
            parallel=self._parallel,
            ordered=self._ordered,
            codec=self.codec,
        )

    def _selection(self) -> bytes:
        snapshot = self._split.snapshot
        settings = self._inner.namespace.settings
        if snapshot is None:
            return settings.selection
        selection: dict[str, Any] = bson.decode(encode_selection(settings.read_preference, None))
        selection["snapshot"] = {"time": snapshot.time}
        if snapshot.window is not None:
            selection["snapshot"]["window"] = Int64(snapshot.window)
        return bson.encode(selection)

    def _queries(self, part: Range) -> Iterator[tuple[bytes, bytes]]:
        """Yield the queries of a range: filter or pipeline, and options."""
        inner = self._inner
        codec_options = inner.namespace.settings.codec_options
        condition = self._condition(part)
        if isinstance(inner, AggregatePlan):
            stages = inner.stages if condition is None else [{"$match": condition}, *inner.stages]
            yield encode.pipeline(stages, codec_options), encode.document(self._options(), codec_options, "options")
        elif self._split.form == EXPRESSION or part == Range(None, None):
            yield both(inner.filter, condition), encode.document(self._options(), codec_options, "options")
        else:
            by = self._split.by
            options = {**self._options(), "hint": {by: 1}}
            bounded = dict(options)
            if part.lower is not None:
                bounded["min"] = part.lower.under(by)
            if part.upper is not None:
                bounded["max"] = part.upper.under(by)
            if part.upper is not None:
                yield inner.filter, encode.document(bounded, codec_options, "options")
                return
            # A scan with a lower bound only ends before MaxKey by an index, and after it in a clustered collection.
            yield both(inner.filter, {by: {"$ne": MaxKey()}}), encode.document(bounded, codec_options, "options")
            yield both(inner.filter, {by: {"$eq": MaxKey()}}), encode.document(options, codec_options, "options")

    def _options(self) -> dict[str, Any]:
        """Return the options of each query."""
        options = dict(self._inner.options)
        if self._parallel > 1:
            # A range is small: with one reply for each, its connection waits once for the server.
            options.setdefault("batchSize", _WHOLE_RANGE)
        return options

    def _condition(self, part: Range) -> dict[str, Any] | None:
        """Return the condition of a range by an expression; None for one without bounds."""
        if self._split.form != EXPRESSION:
            return None
        path = f"${self._split.by}"
        bounds: list[tuple[str, Key | None]] = [("$gte", part.lower), ("$lt", part.upper)]
        conditions = [{name: [path, key.under("$literal")]} for name, key in bounds if key is not None]
        return {"$expr": {"$and": conditions}} if conditions else None

    def narrowed(self, keys: Sequence[str]) -> RangesPlan:
        inner = self._inner.narrowed(keys)
        if inner is self._inner:
            return self
        return RangesPlan(inner, self._split, self._ranges, self._parallel, self._ordered, self._reason)

    def columns(self) -> list[str] | None:
        return self._inner.columns()

    def first(self) -> RangesPlan | None:
        if list(self._ranges) != [Range(None, None)]:
            return None
        return RangesPlan(self._inner.first(), self._split, self._ranges)

    def with_option(self, name: str, value: object) -> NoReturn:
        raise _late(name)

    def sort(self, keys: Sort, direction: int | None) -> NoReturn:
        raise _late("sort")

    def skip(self, count: int) -> NoReturn:
        raise _late("skip")

    def limit(self, count: int) -> NoReturn:
        raise _late("limit")

    def project(self, projection: Projection) -> NoReturn:
        raise _late("project")

    def explain(self, verbosity: str, timeout: float | None) -> Operation[bytes]:
        return self._inner.explain(verbosity, timeout)

    def decoded(self, reply: bytes) -> dict[str, Any]:
        return self._inner.decoded(reply)

    def request(self) -> dict[str, object]:
        return {**self._inner.request(), "ranges": len(self._ranges)}

    def __repr__(self) -> str:
        return f"{self._inner!r}, {len(self._ranges)} ranges of {self._split.by}"


def both(filter: bytes, condition: dict[str, Any] | None) -> bytes:
    """Return the filter of documents that match a filter and a condition."""
    if condition is None:
        return filter
    if filter == encode.EMPTY:
        return bson.encode(condition)
    return bson.encode({"$and": [RawBSONDocument(filter), condition]})


def _late(name: str) -> InvalidOperation:
    return InvalidOperation(f"{name} applies to a whole query: call it before partitions()")
