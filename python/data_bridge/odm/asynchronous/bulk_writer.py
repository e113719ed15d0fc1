"""Bulk writes of instances, in as few commands as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ..._typing import Timeout
from ...commands import server_errors
from ...commands.operations import DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from ...commands.write_results import BulkWriteResult
from ...errors import BulkWriteError, InvalidQuery
from ..errors import DocumentNotFound, RevisionConflict
from ..models import instance_state as state
from ..models.bulk_requests import ModelOperation, Request, Revisions, add_details, parts_of, written_by
from ..models.change import diff, insertion, replacement, unsent
from ..models.delete_rules import has_rules
from ..models.diff import difference
from ..models.hooks import Event, hooks_of
from ..models.registration import check_instance, collection_of
from ..models.write_requests import array_filters_of, assign_id, guarded, id_of, update_of
from ..queries.collection_model import CollectionModel
from ..queries.query_base import ModelQueryBase, spec_of
from .outcome import Session, maybe_await

_UPDATE_MANY_OPTIONS = {name: name for name in ("session", "collation", "hint")}
"""Query options that `update_many` accepts."""


class AsyncBulkWriter:
    # async only:
    """Collects writes in an `async with` block and sends them at its end; a block that raises sends nothing.

    Without a model, `AsyncBulkWriter()` takes the instances of all models. The writes of one collection that follow
    each other are one command; with `ordered=False`, all writes of a collection are.
    """

    # end
    # sync only:
    # """Collects writes in a `with` block and sends them at its end; a block that raises sends nothing.
    #
    # Without a model, `BulkWriter()` takes the instances of all models. The writes of one collection that follow each
    # other are one command; with `ordered=False`, all writes of a collection are.
    # """
    # end

    # async only:
    _is_async: ClassVar[bool] = True
    # end
    # sync only:
    # _is_async: ClassVar[bool] = False
    # end

    def __init__(
        self,
        model: type[CollectionModel] | None = None,
        *,
        ordered: bool = True,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> None:
        self._model = model
        self._ordered = ordered
        self._session = session
        self._timeout = timeout
        self._queued: list[tuple[Event | None, Any, Any, Callable[[list[Any]], Request | None]]] = []
        self.result: BulkWriteResult | None = None
        """The result, after the block; None for a bulk without writes."""

    def insert(self, instance: CollectionModel) -> None:
        """Queue the instance's `insert`."""

        def request(_: list[Any]) -> Request:
            assign_id(instance)
            change = insertion(instance)
            return Request(InsertOne(change.document), {}, change.document, change, True)

        self._check(instance)
        self._add(Event.INSERT, instance, request)

    def save(self, instance: CollectionModel) -> None:
        """Queue the instance's `save`; it must have an `_id`."""

        def request(_: list[Any]) -> Request | None:
            change = diff(instance)
            if not change.update:
                change.apply_assigned(instance, session=self._session)
                return None
            operation = UpdateOne(change.filter, change.update, not state.is_stored(instance))
            return Request(operation, change.filter, change.update, change, state.is_whole(instance))

        self._check(instance)
        id_of(instance)
        self._add(Event.SAVE, instance, request)

    def replace(self, instance: CollectionModel, *, overwrite: bool = False) -> None:
        """Queue the instance's `replace`."""

        def request(_: list[Any]) -> Request:
            change = replacement(instance, overwrite)
            operation = ReplaceOne(change.filter, change.document)
            return Request(operation, change.filter, change.document, change, True)

        self._check(instance)
        self._add(Event.REPLACE, instance, request)

    def delete(self, instance: CollectionModel) -> None:
        """Queue the instance's `delete`."""
        self._check(instance)
        if has_rules(type(instance)):
            raise InvalidQuery(
                f"a bulk does not apply the delete rules of links to {type(instance).__name__}: delete() it"
            )
        found_by = {"_id": id_of(instance)}
        self._add(Event.DELETE, instance, lambda _: Request(DeleteOne(found_by), found_by, {}))

    def update(
        self,
        instance: CollectionModel,
        *updates: object,
        array_filters: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Queue update operators for the document of an instance, which is not read again."""
        self._check(instance)
        # Check the operators in the call that passes them.
        model = self._model_of(instance)
        update_of(model, updates, instance)
        found_by = guarded(instance)
        chosen = array_filters_of(array_filters)

        def request(by_hooks: list[Any]) -> Request:
            update = update_of(model, [*updates, *by_hooks], instance)
            operation = UpdateOne(found_by, update, array_filters=chosen)
            return Request(operation, found_by, written_by(update))

        self._add(Event.UPDATE, instance, request)

    def update_many(
        self, query: ModelQueryBase[Any], *updates: object, array_filters: Iterable[Mapping[str, Any]] | None = None
    ) -> None:
        """Queue update operators for all documents that a query matches."""
        spec = spec_of(query)
        options = spec.options_for("update_many()", _UPDATE_MANY_OPTIONS)
        if self._model is not None and spec.collection != collection_of(self._model):
            raise TypeError(f"a bulk writer of {self._model.__name__} takes queries of its collection only")
        if options.pop("session", self._session) is not self._session:
            raise InvalidQuery("update_many() takes no session of a query: give it to bulk_writer()")
        change = update_of(spec.model, updates)
        operation = UpdateMany(spec.filter, change, array_filters=array_filters_of(array_filters), **options)
        self._queued.append((None, None, spec.model, lambda _: Request(operation, {}, {})))

    def _check(self, instance: CollectionModel) -> None:
        if self._model is not None:
            check_instance(self._model, instance, f"a bulk writer of {self._model.__name__}")
        elif not isinstance(instance, CollectionModel) or type(instance)._is_async is not self._is_async:
            raise TypeError(f"{type(self).__name__} takes documents of its side, got {type(instance).__name__}")

    def _model_of(self, instance: CollectionModel) -> type[CollectionModel]:
        return type(instance) if self._model is None else self._model

    def _add(self, event: Event, instance: CollectionModel, request: Callable[[list[Any]], Request | None]) -> None:
        self._queued.append((event, instance, self._model_of(instance), request))

    async def commit(self) -> BulkWriteResult | None:
        """Send the queued writes and return the result; None for a bulk without writes.

        Raises
        ------
        BulkWriteError
            When some writes failed. The instances do not change.
        DocumentNotFound, RevisionConflict
            When some documents were not found. All others were written, but no instance changes: `reload()` them.
        """
        queued, self._queued = self._queued, []
        requests: list[tuple[Event | None, Any, Request]] = []
        operations: list[ModelOperation] = []
        revisions = Revisions()
        for event, instance, model, make in queued:
            by_hooks = [] if event is None else (await _before(event, instance))
            if (request := make(by_hooks)) is not None:
                revisions.follow(instance, request)
                requests.append((event, instance, request))
                operations.append(ModelOperation(len(operations), model, request.operation))
        if not requests:
            return None
        self.result = await self._send(operations)
        for event, instance, request in requests:
            if request.change is not None:
                revisions.restore(instance, request.change.document)
                request.change.apply(instance, whole=request.whole, session=self._session)
            if event is not None:
                for hook in hooks_of("after", instance, event):
                    await maybe_await(hook())
        return self.result

    async def _send(self, operations: list[ModelOperation]) -> BulkWriteResult:
        """Send the operations, and raise when one that is for a single document found none."""
        details: dict[str, Any] = {}
        failed: BulkWriteError | None = None
        acknowledged, missing = True, Counter[Any]()
        # The server counts the matches of a whole command, so updates of many documents are sent in their own.
        for many, group in parts_of(operations, self._ordered):
            part = [each.operation for each in group]
            collection = collection_of(group[0].model, self._timeout)
            try:
                result = await collection.bulk_write(part, ordered=self._ordered, session=self._session)
                acknowledged, did = result.acknowledged, result.bulk_api_result
            except BulkWriteError as error:
                failed, did = failed or error, error.details
            if acknowledged:
                add_details(details, did, [each.position for each in group])
            if acknowledged and not many:
                expected = sum(isinstance(each, (UpdateOne, ReplaceOne)) for each in part)
                missing[group[0].model] += expected - did["nMatched"] - did["nUpserted"]
            if failed is not None and self._ordered:
                break
        if failed is not None:
            raise server_errors.bulk(details, tuple(failed.labels)) from failed
        _check_found(missing)
        return BulkWriteResult(details, acknowledged)

    async def __aenter__(self) -> AsyncBulkWriter:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            await self.commit()


def _check_found(missing: Counter[Any]) -> None:
    """Raise for documents that were not found, by their models."""
    lost = ", ".join(_documents(count, model.__name__) for model, count in missing.items() if count)
    if not lost:
        return
    if any(count and model.__odm__.settings.use_revision for model, count in missing.items()):
        raise RevisionConflict(
            f"{lost} not found in the revision that was read: reload() the instances, and write again"
        )
    raise DocumentNotFound(f"{lost} not found: insert() the instances, or leave them out")


def _documents(count: int, name: str) -> str:
    return f"1 {name} document was" if count == 1 else f"{count} {name} documents were"


async def _before(event: Event, instance: CollectionModel) -> list[Any]:
    """Run hooks; return their changes of an instance whose update operators are sent, to send with these."""
    hooks = type(instance).__odm__.hooks
    watched = event is Event.UPDATE and hooks.any("before", event)
    before = difference(instance) if watched else None
    for hook in hooks_of("before", instance, event):
        await maybe_await(hook())
    return [] if before is None else unsent(instance, before)
