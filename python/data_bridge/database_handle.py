"""What both databases share."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import bson

from . import encode, failure, names, settings
from ._core import InvalidQuery, Operation, OperationFailure
from .build import aggregate
from .bulk import Deadline
from .call import Call, Steps, same
from .codec import check
from .handle import ConfiguredHandle
from .options import collation_of
from .query_base import QueryBase
from .session import native as native_session
from .settings import Settings
from .target import Target

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from typing_extensions import Self

    from .collection_handle import CollectionHandle

C = TypeVar("C", bound="CollectionHandle[Any]")
Q = TypeVar("Q", bound=QueryBase)


class DatabaseHandle(ConfiguredHandle, Generic[C, Q]):
    """Both databases: the way to collections, commands."""

    _kind = "database"
    _collection_type: type[C]
    _query_type: type[Q]

    def __init__(self, client: Any, name: str, settings: Settings) -> None:
        self._client = client
        self._name = names.check_database(name)
        self._settings = settings

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def _again(self, settings: Settings) -> Self:
        return type(self)(self._client, self._name, settings)

    def get_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
    ) -> C:
        """A collection, with other settings than the database's where they are given."""
        return self._collection_type(
            self, name, self._settings.replace(codec_options, read_preference, write_concern, read_concern)
        )

    def aggregate(
        self,
        pipeline: list[Mapping[str, Any]],
        session: Any = None,
        *,
        schema: Any = None,
        on_conflict: str = "error",
        timeout: Any = ...,
        progress: Any = None,
        **options: Any,
    ) -> Q:
        """A query over a pipeline that starts without a collection: $documents, $currentOp, ...; as a collection's.

        One that ends in `$out` or `$merge` runs once, as `Collection.aggregate` says.
        """
        target = Target(self._client, self._name, None, self._settings)
        return aggregate(self._query_type, target, pipeline, session, schema, on_conflict, timeout, progress, options)

    def __getitem__(self, name: str) -> C:
        return self._collection_type(self, name, self._settings)

    def __getattr__(self, name: str) -> C:
        names.refuse(name, type(self).__name__, names.PYMONGO_DATABASE, "collection")
        return self[name]

    def _command(
        self,
        command: str | Mapping[str, Any],
        value: Any,
        codec_options: CodecOptions[Any] | None,
        read_preference: Any,
        session: Any,
        arguments: Mapping[str, Any],
    ) -> Call[dict[str, Any]]:
        options = check(codec_options) if codec_options is not None else self.codec_options
        body = {command: value} if isinstance(command, str) else command
        if not isinstance(body, Mapping):
            raise TypeError(f"command must be a str or a mapping, got {type(command).__name__}")
        if not body:
            raise InvalidQuery("a command cannot be empty")
        encoded = encode.document({**body, **arguments}, options, "command")
        # As PyMongo: a command runs on the primary unless it says otherwise, whatever the database's settings.
        selection = settings.encode_selection(read_preference, None)
        return Call(
            lambda: self._client._core.run_command(
                self._name,
                encoded,
                session=native_session(session, self._client),
                selection=selection,
                timeout=self._settings.timeout,
            ),
            lambda reply: bson.decode(reply, options),
        )

    def _list_collection_names(self, filter: Mapping[str, Any] | None, session: Any) -> Call[list[str]]:
        encoded = encode.document(filter or {}, self.codec_options)
        return Call(
            lambda: self._client._core.list_collection_names(
                self._name, encoded, session=native_session(session, self._client), timeout=self._settings.timeout
            ),
            same,
        )

    def _create_collection(
        self,
        name: str,
        codec_options: CodecOptions[Any] | None,
        read_preference: Any,
        write_concern: Any,
        read_concern: Any,
        session: Any,
        check_exists: bool,
        options: Mapping[str, Any],
    ) -> Steps[C]:
        collection = self.get_collection(name, codec_options, read_preference, write_concern, read_concern)
        if options.get("collation") is not None:
            options = {**options, "collation": collation_of(options["collation"])}
        command = encode.document(
            {"create": name, **options, **collection._shared(session)}, collection.codec_options, "options"
        )

        def run() -> Generator[Operation[Any], Any, C]:
            native_session(session, self._client)  # raises for an argument that is no session
            deadline = Deadline(self._settings.timeout)
            # A server takes a second creation with equal options for none.
            if check_exists and not (session is not None and session.in_transaction):
                found = yield self._client._core.list_collection_names(
                    self._name,
                    bson.encode({"name": name}),
                    session=native_session(session, self._client),
                    timeout=deadline.left(),
                )
                if found:
                    raise failure.made(
                        OperationFailure, f"collection {name} already exists", 48, None, (), "NamespaceExists"
                    )
            reply = yield collection._send(command, session, False, deadline.left())
            failure.check(bson.decode(reply))
            return collection

        return Steps(run)

    def _drop(self, session: Any, comment: Any) -> Call[None]:
        # Sent as the writes of a collection are; which one does not matter.
        some = self["any"]
        command = encode.document({"dropDatabase": 1, **some._shared(session, comment=comment)}, self.codec_options)
        return Call(
            lambda: some._send(command, session, False, self._settings.timeout),
            lambda reply: failure.check(bson.decode(reply)),
        )

    def _drop_collection(self, name_or_collection: Any, session: Any, comment: Any) -> Steps[None]:
        # Its kind by name: the module of collections imports this one.
        is_collection = getattr(type(name_or_collection), "_kind", None) == "collection"
        name = name_or_collection.name if is_collection else name_or_collection
        if not isinstance(name, str):
            raise TypeError(f"drop_collection() takes a name or a collection, got {type(name).__name__}")
        return self[name]._drop(session, comment)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DatabaseHandle):
            return self._client is other._client and self._name == other._name
        return NotImplemented

    def __hash__(self) -> int:
        return hash((id(self._client), self._name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client!r}, {self._name!r})"
