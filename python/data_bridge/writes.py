"""Writes of both collections: arguments to commands, replies to results; nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, TypeVar

import bson
from bson.raw_bson import RawBSONDocument

from . import _core, bulk, encode, failure, statement
from ._core import Document, InvalidOperation, Operation
from .call import Call, Steps
from .handle import ConfiguredHandle
from .options import check_option, pairs, projection_of
from .results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult
from .session import native as native_session
from .statement import Statement

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from typing_extensions import Self

    from .client_handle import ClientHandle

T = TypeVar("T")

_FIND_AND_MODIFY = frozenset({"collation", "maxTimeMS", "bypassDocumentValidation"})


class WritesHandle(ConfiguredHandle):
    """The writes of a collection, as Calls."""

    _client: ClientHandle[Any]
    _database: Any
    _name: str
    _heads: dict[tuple[str, int], bytes]

    def _within(self, timeout: Any) -> Self:
        """The same collection with the seconds of one call; with `...` as it is."""
        return self if timeout is ... else self.with_options(timeout=timeout)

    def _insert_one(self, document: Any, bypass: Any, session: Any, comment: Any) -> Call[InsertOneResult]:
        key, one = statement.insert(document, self._settings.codec_options)
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, bypassDocumentValidation=bypass, comment=comment)
        return self._single(one, shared, session, lambda _: InsertOneResult(key, acknowledged))

    def _insert_many(
        self, documents: Any, ordered: bool, bypass: Any, session: Any, comment: Any
    ) -> Steps[InsertManyResult]:
        if isinstance(documents, (Mapping, str, bytes)) or not isinstance(documents, Iterable):
            raise TypeError(f"documents must be an iterable of mappings, got {type(documents).__name__}")
        if isinstance(documents, Sized) and not len(documents):
            raise TypeError("documents cannot be empty")
        ids: list[Any] = []
        options = self._settings.codec_options

        def statements() -> Iterator[tuple[int, Statement]]:
            for position, document in enumerate(documents):
                key, one = statement.insert(document, options, f"documents[{position}]")
                if not isinstance(document, RawBSONDocument):
                    ids.append(key)
                yield position, one

        acknowledged = self._acknowledged(session)
        shared = self._shared(session, bypassDocumentValidation=bypass, comment=comment)
        return self._many(statements, ordered, shared, session, lambda _: InsertManyResult(ids, acknowledged))

    def _update(
        self,
        filter: Any,
        change: Any,
        session: Any,
        *,
        bypass: Any = None,
        let: Any = None,
        comment: Any = None,
        **options: Any,
    ) -> Call[UpdateResult]:
        one = statement.update(filter, change, self._settings.codec_options, **options)
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, bypassDocumentValidation=bypass, let=let, comment=comment)

        def result(reply: dict[str, Any]) -> UpdateResult:
            if not acknowledged:
                return UpdateResult(None, False)
            # As PyMongo's: the one upserted id in place of the list, and whether a document was there.
            reply["updatedExisting"] = bool(reply.get("n") and "upserted" not in reply)
            if "upserted" in reply:
                reply["upserted"] = reply["upserted"][0]["_id"]
            return UpdateResult(reply, True)

        return self._single(one, shared, session, result)

    def _delete(
        self, filter: Any, session: Any, *, let: Any = None, comment: Any = None, **options: Any
    ) -> Call[DeleteResult]:
        one = statement.delete(filter, self._settings.codec_options, **options)
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, let=let, comment=comment)
        return self._single(
            one, shared, session, lambda reply: DeleteResult(reply if acknowledged else None, acknowledged)
        )

    def _bulk_write(
        self, requests: Any, ordered: bool, bypass: Any, session: Any, let: Any, comment: Any
    ) -> Steps[BulkWriteResult]:
        if isinstance(requests, (Mapping, str, bytes)) or not isinstance(requests, Iterable):
            raise TypeError(f"requests must be a list of operations, got {type(requests).__name__}")
        options = self._settings.codec_options
        # All are encoded before the first is sent: what cannot be sent must not leave half of the others done.
        statements = [(place, _statement(request, options, place)) for place, request in enumerate(requests)]
        if not statements:
            raise InvalidOperation("no operations to execute")
        acknowledged = self._acknowledged(session)
        shared = self._shared(session, bypassDocumentValidation=bypass, let=let, comment=comment)

        def result(details: dict[str, Any]) -> BulkWriteResult:
            return BulkWriteResult(details if acknowledged else {}, acknowledged)

        return self._many(
            lambda: iter(statements) if ordered else bulk.grouped(statements), ordered, shared, session, result
        )

    def _find_and_modify(
        self,
        filter: Any,
        change: bytes,
        session: Any,
        given: Mapping[str, Any],
        *,
        projection: Any = None,
        sort: Any = None,
        upsert: bool | None = None,
        after: Any = None,
        array_filters: Any = None,
        hint: Any = None,
        let: Any = None,
        comment: Any = None,
    ) -> Call[Document | None]:
        for name in given:
            if name not in _FIND_AND_MODIFY:
                raise TypeError(f"unknown option {name!r}: there are {', '.join(sorted(_FIND_AND_MODIFY))}")
        options = self._settings.codec_options
        rest: dict[str, Any] = {}
        if after is not None:
            rest["new"] = statement.check_bool("return_document", after)
        if projection is not None:
            rest["fields"] = projection_of(projection)
        if sort is not None:
            rest["sort"] = pairs("sort", sort)
        if upsert is not None:
            rest["upsert"] = statement.check_bool("upsert", upsert)
        if array_filters is not None:
            rest["arrayFilters"] = statement.check_array_filters(array_filters)
        if hint is not None:
            rest["hint"] = check_option("hint", hint)
        rest.update({name: check_option(name, value) for name, value in given.items() if value is not None})
        rest.update(self._shared(session, let=let, comment=comment))
        command = statement.join(
            bson.encode({"findAndModify": self._name})[4:-1],
            statement.element("query", encode.document(statement.check_filter(filter), options)),
            change,
            encode.document(rest, options, "options")[4:-1],
        )

        def document(reply: bytes) -> Document | None:
            answer = RawBSONDocument(reply)
            failure.check(bson.decode(reply, self._settings.replies) if "writeConcernError" in answer else {})
            value = answer.get("value")
            return None if value is None else _core._document_from_bson(value.raw, self._settings.codec)

        return Call(lambda: self._send(command, session, True, self._settings.timeout), document)

    def _single(
        self, one: Statement, shared: Mapping[str, Any], session: Any, result: Callable[[dict[str, Any]], T]
    ) -> Call[T]:
        replies = self._settings.replies
        command = statement.command(self._head(one.kind, shared), bulk.FIELDS[one.kind], [one.encoded])

        def checked(reply: bytes) -> T:
            answer = bson.decode(reply, replies)
            failure.check(answer)
            return result(answer)

        return Call(lambda: self._send(command, session, one.once, self._settings.timeout), checked)

    def _head(self, kind: str, shared: Mapping[str, Any]) -> bytes:
        """What a command of one statement says before it; encoded once for those without options of their own."""
        plain = not shared or (len(shared) == 1 and shared.get("writeConcern") is self._settings.concern)
        head = self._heads.get((kind, len(shared))) if plain else None
        if head is None:
            fields = {kind: self._name, "ordered": True, **shared}
            head = encode.document(fields, self._settings.codec_options, "options")
            if plain:
                self._heads[kind, len(shared)] = head
        return head

    def _many(
        self,
        statements: Callable[[], Iterator[tuple[int, Statement]]],
        ordered: bool,
        shared: Mapping[str, Any],
        session: Any,
        result: Callable[[dict[str, Any]], T],
    ) -> Steps[T]:
        options, acknowledged = self._settings.codec_options, self._acknowledged(session)
        heads = bulk.heads(self._name, statement.check_bool("ordered", ordered), shared, options)
        checked_heads = heads
        if ordered and not acknowledged:
            # As PyMongo: the server's default write concern in place of w=0.
            rest = {name: value for name, value in shared.items() if name != "writeConcern"}
            checked_heads = bulk.heads(self._name, ordered, rest, options)

        def send(command: bytes, retry: bool, timeout: float | None) -> Operation[bytes]:
            return self._send(command, session, retry, timeout)

        def run() -> Generator[Operation[bytes], bytes, T]:
            timeout, replies = self._settings.timeout, self._settings.replies
            sent = bulk.run(statements(), heads, checked_heads, ordered, acknowledged, send, timeout, replies)
            return result((yield from sent))

        return Steps(run)

    def _send(
        self, command: bytes, session: Any, retry: bool, timeout: float | None, database: str | None = None
    ) -> Operation[bytes]:
        """Start a command. In a transaction, and without an answer, nothing is sent twice."""
        retry = retry and self._settings.acknowledged and not _in_transaction(session)
        return self._client._core.write(
            self._database.name if database is None else database,
            command,
            session=native_session(session, self._client),
            retry=retry,
            timeout=timeout,
        )

    def _acknowledged(self, session: Any) -> bool:
        acknowledged = self._settings.acknowledged
        if session is not None and not acknowledged and not _in_transaction(session):
            raise InvalidOperation("a write in a session must be acknowledged: its write concern cannot be w=0")
        return acknowledged or _in_transaction(session)

    def _shared(self, session: Any, **options: Any) -> dict[str, Any]:
        """Options of the whole command; a transaction has its own write concern."""
        checked = {name: check_option(name, value) for name, value in options.items() if value is not None}
        if self._settings.concern and not _in_transaction(session):
            checked["writeConcern"] = self._settings.concern
        return checked


def _in_transaction(session: Any) -> bool:
    return bool(session is not None and getattr(session, "in_transaction", False))


def _statement(request: Any, options: CodecOptions[Any], position: int) -> Statement:
    """The statement of an operation of ours or PyMongo's, which have the same names and attributes."""
    kind = type(request).__name__
    if kind == "InsertOne":
        return statement.insert(request._doc, options, f"requests[{position}]")[1]
    if kind in ("DeleteOne", "DeleteMany"):
        multi = kind == "DeleteMany"
        return statement.delete(request._filter, options, multi=multi, collation=request._collation, hint=request._hint)
    if kind in ("UpdateOne", "UpdateMany", "ReplaceOne"):
        return statement.update(
            request._filter,
            request._doc,
            options,
            replace=kind == "ReplaceOne",
            multi=kind == "UpdateMany",
            upsert=bool(request._upsert),
            collation=request._collation,
            array_filters=getattr(request, "_array_filters", None),
            hint=request._hint,
            sort=getattr(request, "_sort", None),
        )
    raise TypeError(f"requests[{position}] is no operation such as InsertOne or UpdateOne, got {kind}")
