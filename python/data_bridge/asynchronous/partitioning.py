"""Planning of partitions: the exchanges with the server that find bounds, and the refusals that depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import bson

from .._core import OperationFailure, ResultData, Schema
from ..commands import encode
from ..errors import InvalidOperation, InvalidQuery
from ..query import explained
from ..query.collection_facts import SIMPLE, CollectionFacts, Deployment, Size, is_same_collation
from ..query.find_command import ANY
from ..query.index_check import REPLIES, explain_range, refuse_index
from ..query.key_ranges import Key, Range, key_at, quantiles, ranges
from ..query.partition import Partitions, Scan
from ..query.partition_origin import Origin
from ..query.partition_request import PartitionRequest, partitions_for, sample_size
from ..query.plan import AggregatePlan, FindPlan, Plan
from ..query.ranges_plan import EXPRESSION, INDEX, RangesPlan, Snapshot, Split
from ..query.row_stages import check_plan, check_view
from ..query.table_options import ReadOptions
from .outcome import outcome

_ALL_ROWS = 1 << 62
_UNAUTHORIZED = 13
_TOO_MANY_DUPLICATES = 28799
_API_STRICT = 323
_FEWEST_PER_SAMPLE = 20
"""Documents per sampled one from which the server uses a random cursor; for a larger sample, it reads all of them."""


class Planned(NamedTuple):
    """The ranges of a result."""

    split: Split
    ranges: list[Range]
    reason: str
    rows: int | None


class AsyncPlanner:
    """Plans the partitions of one query.

    Parameters
    ----------
    plan
        Of the query.
    options
        The deadline and the tables of the query.
    """

    def __init__(self, plan: Plan, options: ReadOptions) -> None:
        self._given = plan
        self._options = options
        self._method = ""

    async def partitions(self, request: PartitionRequest) -> Partitions:
        """Return the partitions of the query. As `Query.partitions`."""
        origin = Origin(check_plan(self._given, request.by).namespace.core, *request.origin)
        planned = await self.plan(request)
        scan = Scan(self._plan, self._options, self._options.table, planned.split, origin)
        found = Partitions(scan, planned.ranges, planned.reason, planned.rows)
        if request.infer_rows is None or self._options.form.schema is not None:
            return found
        return await self._with_schema(found, planned, request.infer_rows)

    async def _with_schema(self, found: Partitions, planned: Planned, infer_rows: int) -> Partitions:
        """Return partitions with one schema: of the first rows of each, or of all rows when `infer_rows` is 0."""
        plan = RangesPlan(self._plan, planned.split, planned.ranges)
        schema = await self.inferred(plan, infer_rows)
        source = f"the first {infer_rows:,} documents of each" if infer_rows else "all documents"
        return found.with_schema(schema, f"{found.reason}; a schema of {source}")

    async def inferred(self, plan: RangesPlan, infer_rows: int) -> Schema:
        """Return one schema of the first rows of each range, or of all rows when `infer_rows` is 0."""
        # Rescued values have a column of their own, which is no part of a schema.
        table = self._options.table._replace(on_conflict="error")
        settings = plan.inner.namespace.settings
        form = table.form(settings.codec, settings.types)
        columns = plan.columns()
        if columns is not None:
            form = form.with_empty_columns(columns)
        if not infer_rows:
            reader = plan.start(self._options.timeout, eager=True)
            return await outcome(reader.read_schema_async(form))
        reader = plan.prefix(infer_rows).start(self._options.timeout, eager=False)
        schema = await outcome(reader.batches(form, _ALL_ROWS).schema_async())
        reader.close()
        return schema

    async def plan(self, request: PartitionRequest) -> Planned:
        """Return the ranges of the query.

        Raises
        ------
        InvalidQuery
            For a query or a key without partitions.
        InvalidOperation
            When the server cannot give what was requested, or not long enough.
        """
        self._plan = check_plan(self._given, request.by)
        self._deployment = Deployment.of(await self._command({"hello": 1}, "admin"))
        self._facts = await self._facts_of(self._name)
        self._source, self._stored_in = self._name, self._facts
        self._size = Size(None, None)
        split = await self._split(request)
        if not self._facts.exists:
            return self._single(split, "the collection does not exist")
        self._size = await self._size_of(self._source)
        planned = await self._planned(split, request)
        if split.snapshot is None or not planned.ranges:
            return planned
        return planned._replace(reason=planned.reason + self._history_warning(split.snapshot, planned, request))

    async def _planned(self, split: Split, request: PartitionRequest) -> Planned:
        parts = partitions_for(request, self._size)
        if self._size.rows == 0:
            return self._single(split, "the collection is empty")
        if parts <= 1:
            return self._single(split, self._reason_of_one(request))
        if not request.force and (index := await self._index_in_use()) is not None:
            return self._single(
                split,
                f"the filter uses the index {index}, which reading by {split.by} would not: partitions(force=True) "
                "splits the result all the same",
            )
        bounds = [key for key in await self._bounds(split, parts, request.exact) if self._is_ordered(split, key)]
        if not bounds:
            return self._single(split, f"the documents have too few different values of {split.by}")
        fault = await self._fault_of_ranges(split, bounds[len(bounds) // 2], request)
        if fault is not None:
            return self._single(split, fault)
        found = ranges(bounds)
        return Planned(split, found, f"{len(found)} ranges of {split.by}, {self._method}", self._size.rows)

    def _is_ordered(self, split: Split, key: Key) -> bool:
        """Return whether the server compares all keys with this one in one order.

        With a collation, it does not compare symbols and strings consistently. An index with a collation has none.
        """
        own = self._plan.options.get("collation")
        if split.form == INDEX:
            # An index does not bound text of another collation than its own.
            is_safe = own is None or is_same_collation(own, self._facts.collation)
        else:
            is_safe = self._collation() == SIMPLE or self._stored_in.collation != SIMPLE
        return is_safe or not key.may_hold_text

    def _single(self, split: Split, reason: str) -> Planned:
        return Planned(split, [Range(None, None)], f"one partition: {reason}", self._size.rows)

    def _reason_of_one(self, request: PartitionRequest) -> str:
        if request.n == 1:
            return "as requested"
        if self._size.bytes is None:
            return "the size of the collection is unknown; partitions(n) splits the result all the same"
        return f"the collection is small ({self._size.bytes:,} bytes, {self._size.rows:,} documents)"

    @property
    def _name(self) -> str:
        assert self._plan.namespace.collection is not None
        return self._plan.namespace.collection

    async def _split(self, request: PartitionRequest) -> Split:
        """Return the key and the form of the ranges; refuse collections that have none."""
        facts, by = self._facts, request.by
        form = EXPRESSION if isinstance(self._plan, AggregatePlan) else INDEX
        if request.snapshot and self._deployment.is_standalone:
            raise InvalidOperation("snapshot=True needs a replica set or a sharded cluster: this server is neither")
        if request.snapshot and facts.is_capped:
            raise InvalidQuery("snapshot=True is not possible with a capped collection: servers refuse it")
        if facts.kind == "timeseries":
            if by not in ("_id", facts.time_field):
                raise InvalidQuery(
                    f"a time series is split by its time field: leave out by, or pass {facts.time_field!r}"
                )
            if request.exact:
                raise InvalidQuery("exact=True needs an index on the key, which a time series does not have")
            by, form = facts.time_field, EXPRESSION
            self._source = self._name
        elif facts.kind == "view":
            if by != "_id":
                raise InvalidQuery("a view is split by _id only")
            form = EXPRESSION
            await self._look_through_view()
        elif by != "_id":
            if not request.snapshot:
                raise InvalidQuery(
                    f"by={by!r} needs snapshot=True: a document whose {by} changes during the read would be in several "
                    "partitions, or in none"
                )
            await self._check_index_of(by)
        snapshot = await self._snapshot() if request.snapshot else None
        resumes = form == INDEX and by == "_id" and self._can_resume()
        if isinstance(self._plan, FindPlan) and self._plan.resume and not resumes:
            raise InvalidQuery(
                "resume=True is not possible here: partitions resume by _id, in collections that are neither sharded "
                "nor clustered and have no collation, and with _id in the projection"
            )
        return Split(by, form, snapshot, resumes, facts.kind == "collection" and by != "_id")

    async def _look_through_view(self) -> None:
        """Find the collection below a view; refuse a view whose rows depend on each other."""
        facts = self._facts
        while facts.kind == "view":
            check_view(facts.pipeline)
            self._source = facts.view_on
            facts = await self._facts_of(self._source)
        self._stored_in = facts
        if facts.kind != "collection":
            raise InvalidQuery("a view of a time series has no partitions: split the time series itself")

    def _can_resume(self) -> bool:
        plan, facts = self._plan, self._facts
        if self._deployment.is_sharded or facts.is_clustered or facts.collation != SIMPLE:
            return False
        if plan.options.get("collation", SIMPLE).get("locale") != "simple":
            return False
        projection = plan.options.get("projection") or {}
        return not any(key.startswith("_id.") or (key == "_id" and not kept) for key, kept in projection.items())

    async def _check_index_of(self, by: str) -> None:
        """Refuse a key without an index that has each document once; `_fault_of_ranges` finds multikey indexes."""
        reply = await self._command({"listIndexes": self._name, "cursor": {"batchSize": 1000}})
        found = [index for index in reply["cursor"]["firstBatch"] if dict(index["key"]) == {by: 1}]
        if not found:
            raise InvalidQuery(f"by={by!r} needs an ascending index on {by} alone: create one, or use by='_id'")
        default = self._facts.collation
        for index in found:
            faults = {
                "sparse": index.get("sparse"),
                "partial": "partialFilterExpression" in index,
                "hidden": index.get("hidden"),
                "of another collation": index.get("collation", SIMPLE) != default,
            }
            fault = next((name for name, has in faults.items() if has), None)
            if fault is None:
                return
        raise InvalidQuery(
            f"the index on {by} is {fault}: a document would be in several partitions, or in none. Use by='_id'"
        )

    async def _snapshot(self) -> Snapshot:
        command = {"find": self._name, "projection": {"_id": 1}, "limit": 1, "singleBatch": True}
        reply = await self._command({**command, "readConcern": {"level": "snapshot"}})
        window = None
        try:
            parameter = "minSnapshotHistoryWindowInSeconds"
            window = int((await self._command({"getParameter": 1, parameter: 1}, "admin"))[parameter])
        except OperationFailure:
            # The right to read parameters is rare, and routers have none of this name.
            window = None
        # A collection that does not exist has no snapshot: it has no documents at the time of the reply.
        return Snapshot(reply["cursor"].get("atClusterTime") or reply["operationTime"], window)

    def _history_warning(self, snapshot: Snapshot, planned: Planned, request: PartitionRequest) -> str:
        """Return a remark on a read that may last longer than the server keeps history."""
        window = 300 if snapshot.window is None else snapshot.window
        remedy = "set the server's parameter minSnapshotHistoryWindowInSeconds to more"
        if request.expected_seconds is not None:
            if request.expected_seconds > window:
                raise InvalidOperation(
                    f"the read is expected to take {request.expected_seconds:g} s, and the server keeps the history of "
                    f"a snapshot for {window} s: {remedy}"
                )
            return ""
        seconds = request.estimated_seconds(self._size, len(planned.ranges))
        if seconds is None or seconds <= window:
            return ""
        return f"; it may take longer than the {window} s for which the server keeps history: {remedy}"

    async def _index_in_use(self) -> str | None:
        """Return the index that the query uses by itself; None if it reads everything, or the caller chose one."""
        plan = self._plan
        if plan.options.get("hint") is not None:
            return None
        if isinstance(plan, FindPlan):
            is_whole = plan.filter == encode.EMPTY
        else:
            is_whole = not any("$match" in stage or "$redact" in stage for stage in plan.stages)
        is_series = self._facts.kind == "timeseries"
        if (is_whole and self._facts.kind == "collection") or is_series:
            return None
        reply = await outcome(plan.explain("queryPlanner", self._options.timeout))
        return explained.index_in_use(bson.decode(reply, REPLIES))

    async def _fault_of_ranges(self, split: Split, bound: Key, request: PartitionRequest) -> str | None:
        """Return the reason for which ranges cannot be read, or only by reading the whole collection for each."""
        try:
            reply = await self._explained(self._plan, split, bound)
        except OperationFailure as error:
            if error.code == _API_STRICT:
                raise InvalidQuery(
                    f"partitions need min and max, which the Stable API in strict mode refuses: {error}"
                ) from error
            return f"the server cannot read ranges of {split.by}: {error}"
        if split.by != "_id" and split.form == INDEX:
            refuse_index(reply, split.by)
        if split.form == EXPRESSION and self._facts.kind == "collection" and split.by != "_id":
            probe = FindPlan(self._plan.namespace, encode.EMPTY, ANY, None)
            refuse_index(await self._explained(probe, split._replace(form=INDEX), bound), split.by)
        if split.form == EXPRESSION and not request.force and explained.scans_collection(reply):
            return (
                f"the server reads the whole collection for each range of {split.by}: partitions(force=True) "
                "splits the result all the same"
            )
        return None

    async def _explained(self, plan: FindPlan | AggregatePlan, split: Split, bound: Key) -> dict[str, Any]:
        reply: bytes = await outcome(explain_range(plan, split, bound, self._options.timeout))
        decoded: dict[str, Any] = bson.decode(reply, REPLIES)
        return decoded

    async def _bounds(self, split: Split, parts: int, exact: bool) -> list[Key]:
        """Return at most `parts - 1` keys that split the collection, distinct and in the server's order."""
        rows = self._size.rows
        size = sample_size(parts)
        has_index = self._facts.kind != "timeseries"
        if exact or (has_index and rows is not None and size * _FEWEST_PER_SAMPLE > rows):
            return await self._chained(split, parts)
        while True:
            try:
                found = await self._sampled(split, size)
            except OperationFailure as error:
                if error.code == _UNAUTHORIZED and self._source != self._name:
                    # The right to read a view does not include its collection.
                    self._source = self._name
                    continue
                if error.code != _TOO_MANY_DUPLICATES:
                    raise
                if size <= parts or not has_index:
                    return await self._chained(split, parts)
                size = max(parts, size // 4)
                continue
            self._method = f"from a sample of {size:,} documents"
            return quantiles(found, parts)

    async def _sampled(self, split: Split, size: int) -> list[tuple[Key, int]]:
        stages: list[dict[str, Any]] = [
            {"$sample": {"size": size}},
            {"$group": {"_id": f"${split.by}", "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
            {"$project": {"_id": 0, "n": 1, "key": {"value": "$_id"}}},
        ]
        data = await self._aggregate(stages)
        return [(key_at(document, "key.value"), int(document["n"])) for document in data.document_list()]

    async def _chained(self, split: Split, parts: int) -> list[Key]:
        """Return every key at a multiple of a number of documents, by skips in the index."""
        self._method = "by their number of documents"
        rows = self._size.rows
        if rows is None:
            rows = await self._count()
        by = split.by
        options: dict[str, Any] = {"projection": {"_id": 0, by: 1}, "hint": {by: 1}, "limit": -1}
        bounds: list[Key] = []
        for part in range(1, parts):
            options["skip"] = max(1, part * rows // parts - (part - 1) * rows // parts)
            data = await self._find(options)
            if not len(data):
                break
            key = key_at(data.document(0), by)
            if not key.can_be_bound:
                # The chain continues from it; it bounds nothing.
                break
            bounds.append(key)
            options["min"] = key.under(by)
        if split.by == "_id" and split.form == INDEX:
            return bounds
        return await self._in_order(bounds)

    async def _in_order(self, bounds: list[Key]) -> list[Key]:
        """Return the keys in the order of the query's collation, without those that are equal to another one."""
        if not bounds:
            return []
        stages: list[dict[str, Any]] = [
            {"$limit": 1},
            {"$project": {"_id": 0, "k": [key.under("$literal") for key in bounds]}},
            {"$unwind": "$k"},
            {"$group": {"_id": "$k"}},
            {"$sort": {"_id": 1}},
        ]
        data = await self._aggregate(stages)
        return [Key.of_document(document.to_bson()) for document in data.document_list()]

    async def _count(self) -> int:
        return int((await self._command({"count": self._source}))["n"])

    def _collation(self) -> dict[str, Any]:
        """Return the collation in which the ranges compare text."""
        own = self._plan.options.get("collation")
        is_index = isinstance(self._plan, FindPlan) and self._facts.kind == "collection"
        return dict(self._facts.collation if own is None or is_index else own)

    async def _aggregate(self, stages: list[dict[str, Any]]) -> ResultData:
        namespace = self._plan.namespace
        options = bson.encode(
            {"collation": {key: value for key, value in self._collation().items() if key != "version"}}
        )
        reader = namespace.core.aggregate(
            namespace.database,
            self._source,
            encode.pipeline(stages, namespace.settings.codec_options),
            options,
            session=None,
            selection=namespace.settings.selection,
            timeout=self._options.timeout,
            eager=True,
            codec=namespace.settings.codec,
        )
        return await outcome(reader.read_all_async())

    async def _find(self, options: Mapping[str, Any]) -> ResultData:
        namespace = self._plan.namespace
        reader = namespace.core.find(
            namespace.database,
            self._source,
            encode.EMPTY,
            bson.encode(options),
            session=None,
            selection=namespace.settings.selection,
            timeout=self._options.timeout,
            eager=True,
            resume=False,
            codec=namespace.settings.codec,
        )
        return await outcome(reader.read_all_async())

    async def _facts_of(self, name: str) -> CollectionFacts:
        return CollectionFacts.of(await self._command({"listCollections": 1, "filter": {"name": name}}))

    async def _size_of(self, name: str) -> Size:
        """Return the size of a collection from its metadata."""
        is_series = self._facts.kind == "timeseries"
        stages = [{"$collStats": {"storageStats": {}}}, {"$project": {"storageStats.size": 1, "storageStats.count": 1}}]
        command = {"aggregate": f"system.buckets.{name}" if is_series else name, "pipeline": stages, "cursor": {}}
        try:
            reply = await self._command(command)
        except OperationFailure:
            try:
                # Without a query, the server counts by metadata.
                return Size(None if is_series else int((await self._command({"count": name}))["n"]), None)
            except OperationFailure:
                return Size(None, None)
        statistics = [shard["storageStats"] for shard in reply["cursor"]["firstBatch"]]
        rows = sum(int(each.get("count", 0)) for each in statistics)
        size = sum(int(each.get("size", 0)) for each in statistics)
        if is_series:
            # The number of measurements is not part of the metadata.
            return Size(0 if size == 0 else None, size)
        return Size(rows, size)

    async def _command(self, command: dict[str, Any], database: str | None = None) -> dict[str, Any]:
        namespace = self._plan.namespace
        reply = await outcome(
            namespace.core.run_command(
                database or namespace.database,
                encode.document(command, namespace.settings.codec_options, "command"),
                session=None,
                selection=namespace.preference_only(None),
                timeout=self._options.timeout,
                retry=True,
            )
        )
        decoded: dict[str, Any] = bson.decode(reply, REPLIES)
        return decoded
