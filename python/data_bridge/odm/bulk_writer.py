"""Many writes of instances in as few commands as they fit in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..operations import DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from ..results import BulkWriteResult
from .binding import collection_of
from .errors import RevisionConflict
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
            return InsertOne(document), lambda: written(instance, document, whole=True)

        self._add(Event.INSERT, instance, request)

    def save(self, instance: Any) -> None:
        """As the instance's `save`, for one that is stored."""

        def request() -> Request | None:
            found_by, update, document = save_request(instance)
            if not update:
                return None
            whole = instance._is_whole
            return UpdateOne(found_by, update), lambda: written(instance, document, whole=whole)

        self._check(instance)
        id_of(instance)
        self._add(Event.SAVE, instance, request)

    def replace(self, instance: Any, *, overwrite: bool = False) -> None:
        """As the instance's `replace`."""

        def request() -> Request:
            found_by, document = replace_request(instance, overwrite)
            return ReplaceOne(found_by, document), lambda: written(instance, document, whole=True)

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
        query._unbounded("update()")
        operation = UpdateMany(query.get_filter_query(), update_of(self._model, updates))
        self._queued.append((None, None, lambda: (operation, _nothing)))

    def _check(self, instance: Any) -> None:
        if not isinstance(instance, self._model):
            raise TypeError(f"a bulk writer of {self._model.__name__} cannot write a {type(instance).__name__}")

    def _add(self, event: Event, instance: Any, request: Callable[[], Request | None]) -> None:
        self._check(instance)
        self._queued.append((event, instance, request))

    def _commit(self) -> Steps[BulkWriteResult | None]:
        queued, self._queued = self._queued, []
        operations, finish = [], []
        hooks = self._model.__odm__.hooks
        for event, instance, make in queued:
            if event is not None:
                yield from hooks.run("before", event, instance)
            if (request := make()) is not None:
                operations.append(request[0])
                finish.append((event, instance, request[1]))
        if not operations:
            return None
        collection = collection_of(self._model)
        self.result = yield collection.bulk_write(operations, ordered=self._ordered, session=self._session)
        self._check_revisions(operations)
        for event, instance, done in finish:
            done()
            if event is not None:
                yield from hooks.run("after", event, instance)
        return self.result

    def _check_revisions(self, operations: list[Any]) -> None:
        guarded_by_id = [each for each in operations if isinstance(each, (UpdateOne, ReplaceOne))]
        if not self._model.__odm__.settings.use_revision or len(guarded_by_id) < len(
            [each for each in operations if not isinstance(each, (InsertOne, DeleteOne))]
        ):
            return
        result = self.result
        if result is not None and result.acknowledged and result.matched_count < len(guarded_by_id):
            missed = len(guarded_by_id) - result.matched_count
            raise RevisionConflict(f"{missed} of {len(guarded_by_id)} documents are not in the revision that was read")


class BulkWriter(_Queue):
    """Collects writes in a `with` block and sends them at its end; a block that raises sends nothing."""

    def commit(self) -> BulkWriteResult | None:
        """Send what was collected; what was done, or None where there was nothing to do.

        Raises
        ------
        BulkWriteError
            When some writes failed. The instances are then as before.
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
