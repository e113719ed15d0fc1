"""Many writes of instances in as few commands as they fit in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from .. import failure
from ..errors import BulkWriteError
from ..operations import DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from ..results import BulkWriteResult
from .binding import check_instance, collection_of
from .errors import DocumentNotFound, RevisionConflict
from .hooks import Event
from .steps import Steps, run, run_async
from .writes import guarded, id_of, new_document, replace_request, save_request, update_of, written

Request = tuple[Any, Callable[[], None]]


def _nothing() -> None:
    """What is left to do after a write that leaves the instance as it is."""


class _Queue:
    """Writes in the order they were asked for; they are made and sent together."""

    def __init__(self, model: Any, ordered: bool, session: Any) -> None:
        self._model = model
        self._ordered = ordered
        self._session = session
        self._queued: list[tuple[Event | None, Any, Callable[[], Request | None]]] = []
        self.result: BulkWriteResult | None = None
        """What was done, after the block; None where there was nothing to do."""

    def insert(self, instance: Any) -> None:
        """As the instance's `insert`."""

        def request() -> Request:
            document = new_document(instance)
            return InsertOne(document), lambda: written(instance, document, whole=True, session=self._session)

        self._add(Event.INSERT, instance, request)

    def save(self, instance: Any) -> None:
        """As the instance's `save`, for one that has an `_id`."""

        def request() -> Request | None:
            found_by, update, document = save_request(instance)
            if not update:
                return None
            whole, upsert = instance._is_whole, not instance._is_stored
            return UpdateOne(found_by, update, upsert), lambda: written(
                instance, document, whole=whole, session=self._session
            )

        self._check(instance)
        id_of(instance)
        self._add(Event.SAVE, instance, request)

    def replace(self, instance: Any, *, overwrite: bool = False) -> None:
        """As the instance's `replace`."""

        def request() -> Request:
            found_by, document = replace_request(instance, overwrite)
            return ReplaceOne(found_by, document), lambda: written(
                instance, document, whole=True, session=self._session
            )

        self._add(Event.REPLACE, instance, request)

    def delete(self, instance: Any) -> None:
        """As the instance's `delete`."""
        self._check(instance)
        found_by = {"_id": id_of(instance)}
        self._add(Event.DELETE, instance, lambda: (DeleteOne(found_by), _nothing))

    def update(self, instance: Any, *updates: Any) -> None:
        """Update operators on an instance's document; the instance is not read again."""
        self._check(instance)
        change, found_by = update_of(self._model, updates), guarded(instance)
        self._add(Event.UPDATE, instance, lambda: (UpdateOne(found_by, change), _nothing))

    def update_many(self, query: Any, *updates: Any) -> None:
        """Update operators on all documents that a query of the model matches."""
        query._unbounded("update_many()")
        if query._collection != collection_of(self._model):
            raise TypeError(f"a bulk writer of {self._model.__name__} takes queries of its collection only")
        options = query._options("update_many()", {"collation": "collation", "hint": "hint"})
        operation = UpdateMany(query.get_filter_query(), update_of(query._model, updates), **options)
        self._queued.append((None, None, lambda: (operation, _nothing)))

    def _check(self, instance: Any) -> None:
        check_instance(self._model, instance, f"a bulk writer of {self._model.__name__}")

    def _add(self, event: Event, instance: Any, request: Callable[[], Request | None]) -> None:
        self._check(instance)
        self._queued.append((event, instance, request))

    def _commit(self) -> Steps[BulkWriteResult | None]:
        queued, self._queued = self._queued, []
        operations, finish = [], []
        hooks = self._model.__odm__.hooks
        for event, instance, make in queued:
            if event is not None:
                yield from hooks.run("before", instance, event)
            if (request := make()) is not None:
                operations.append(request[0])
                finish.append((event, instance, request[1]))
        if not operations:
            return None
        self.result = yield from self._send(operations)
        for event, instance, done in finish:
            done()
            if event is not None:
                yield from hooks.run("after", instance, event)
        return self.result

    def _send(self, operations: list[Any]) -> Steps[BulkWriteResult]:
        """Send them, and make sure that each that is for one document has found it."""
        collection = collection_of(self._model)
        details: dict[str, Any] = {}
        failed: BulkWriteError | None = None
        acknowledged, offset, missed = True, 0, 0
        # The server counts matches of a whole command. So what may match any number of documents goes by itself.
        for many, group in groupby(operations, key=lambda each: type(each) is UpdateMany):
            part = list(group)
            try:
                result = yield collection.bulk_write(part, ordered=self._ordered, session=self._session)
                acknowledged, did = result.acknowledged, result.bulk_api_result
            except BulkWriteError as error:
                failed, did = failed or error, error.details
            if acknowledged:
                _add(details, did, offset)
            if acknowledged and not many:
                expected = sum(isinstance(each, (UpdateOne, ReplaceOne)) for each in part)
                missed += expected - did["nMatched"] - did["nUpserted"]
            if failed is not None and self._ordered:
                break
            offset += len(part)
        if failed is not None:
            raise failure.bulk(details, tuple(failed.labels)) from failed
        if missed:
            name = self._model.__name__
            if self._model.__odm__.settings.use_revision:
                raise RevisionConflict(f"{missed} of the {name}s are not there in the revision that was read")
            raise DocumentNotFound(f"{missed} of the {name}s are not there: somebody else deleted them")
        return BulkWriteResult(details, acknowledged)


def _add(total: dict[str, Any], did: dict[str, Any], offset: int) -> None:
    """Add the details of more operations, the first of which is at `offset` among all."""
    for key, value in did.items():
        if isinstance(value, list):
            moved = [{**each, "index": each["index"] + offset} if "index" in each else each for each in value]
            total.setdefault(key, []).extend(moved)
        else:
            total[key] = total.get(key, 0) + value


class BulkWriter(_Queue):
    """Collects writes in a `with` block and sends them at its end; a block that raises sends nothing."""

    def commit(self) -> BulkWriteResult | None:
        """Send what was collected; what was done, or None where there was nothing to do.

        Raises
        ------
        BulkWriteError
            When some writes failed. The instances are then as before.
        DocumentNotFound, RevisionConflict
            When some of the documents are not there. All others were written, while all instances are as before:
            `reload()` tells which is which.
        """
        return run(self._commit())

    def __enter__(self) -> BulkWriter:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.commit()


class AsyncBulkWriter(_Queue):
    """As `BulkWriter`, in an `async with` block."""

    async def commit(self) -> BulkWriteResult | None:
        """As `BulkWriter.commit`."""
        return await run_async(self._commit())

    async def __aenter__(self) -> AsyncBulkWriter:
        return self

    async def __aexit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            await self.commit()
