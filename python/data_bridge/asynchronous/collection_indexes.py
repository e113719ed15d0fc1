"""Indexes of a collection; renaming and dropping it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import bson

from .._core import OperationFailure
from .._typing import Hint
from ..commands import encode, names, server_errors
from ..commands.operations import IndexModel, documents_of, index_keys, index_name, information
from ..commands.options import refuse_unknown
from ..connection.session_state import native
from .collection_writes import AsyncCollectionWrites
from .outcome import outcome
from .session import AsyncClientSession

_NAMESPACE_NOT_FOUND = 26
_RENAME = ("dropTarget", "maxTimeMS")


class AsyncCollectionIndexes(AsyncCollectionWrites):
    """The indexes of `AsyncCollection`: PyMongo's names and arguments."""

    async def create_index(
        self, keys: Hint, session: AsyncClientSession | None = None, comment: object = None, **kwargs: object
    ) -> str:
        """Create an index, if it is not there; its name.

        Parameters
        ----------
        keys
            A key, a mapping, or a list of keys and (key, direction) pairs.
        session, comment
            As for `find`.
        kwargs
            The server's options: name, unique, sparse, expireAfterSeconds, partialFilterExpression, collation, ...;
            and maxTimeMS, commitQuorum.

        Raises
        ------
        DuplicateKeyError
            For a unique index on keys that documents share.
        OperationFailure
            For an index of that name with other options, and all else that the server refuses.
        """
        of_command = {name: kwargs.pop(name) for name in ("maxTimeMS", "commitQuorum") if name in kwargs}
        return (await self.create_indexes([IndexModel(keys, **kwargs)], session, comment, **of_command))[0]

    async def create_indexes(
        self,
        indexes: Iterable[Any],
        session: AsyncClientSession | None = None,
        comment: object = None,
        **kwargs: object,
    ) -> list[str]:
        """Create several indexes at once; their names.

        Parameters
        ----------
        indexes
            IndexModel of this package or of PyMongo.
        session, comment
            As for `find`.
        kwargs
            maxTimeMS, commitQuorum.
        """
        documents = documents_of(indexes)
        fields = {"createIndexes": self._name, "indexes": documents, **kwargs, **self._shared(session, comment=comment)}
        command = encode.document(fields, self._settings.codec_options, "indexes")
        server_errors.decoded(await outcome(self._send(command, session, False)), self._settings.replies)
        return [document["name"] for document in documents]

    async def drop_index(
        self, index_or_name: Hint, session: AsyncClientSession | None = None, comment: object = None, **kwargs: object
    ) -> None:
        """Drop an index, by its name or its keys. Without the collection this does nothing."""
        name = names.check_index(
            index_or_name if isinstance(index_or_name, str) else index_name(index_keys(index_or_name))
        )
        fields = {"dropIndexes": self._name, "index": name, **kwargs, **self._shared(session, comment=comment)}
        await self._drop_what_is_there(fields, session)

    async def drop_indexes(
        self, session: AsyncClientSession | None = None, comment: object = None, **kwargs: object
    ) -> None:
        """Drop all indexes but that of `_id`."""
        await self.drop_index("*", session, comment, **kwargs)

    async def list_indexes(
        self, session: AsyncClientSession | None = None, comment: object = None
    ) -> list[dict[str, Any]]:
        """The indexes, as the server describes them."""
        # One reply holds them all: a collection has 64 at most, and a first reply 101 documents.
        fields: dict[str, Any] = {"listIndexes": self._name, "cursor": {}}
        if comment is not None:
            fields["comment"] = comment
        try:
            reply = await self._read_on_primary(fields, session)
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise
            return []
        return list(bson.decode(reply, self._settings.codec_options)["cursor"]["firstBatch"])

    async def _read_on_primary(self, fields: dict[str, Any], session: AsyncClientSession | None) -> bytes:
        """Run a command that reads on the primary, whatever the read preference: as PyMongo's `listIndexes`."""
        return await outcome(
            self._namespace.core.run_command(
                self._namespace.database,
                encode.document(fields, self._settings.codec_options, "options"),
                session=native(session, self._namespace.core),
                selection=encode.EMPTY,
                timeout=self._settings.timeout,
                retry=True,
            )
        )

    async def index_information(
        self, session: AsyncClientSession | None = None, comment: object = None
    ) -> dict[str, Any]:
        """The indexes by name, each with its `key` as a list of pairs."""
        return information(await self.list_indexes(session, comment))

    async def rename(
        self, new_name: str, session: AsyncClientSession | None = None, comment: object = None, **kwargs: object
    ) -> dict[str, Any]:
        """Rename the collection within its database; the server's answer. This object keeps the old name.

        Parameters
        ----------
        new_name
            The name it gets.
        session, comment
            As for `find`.
        kwargs
            dropTarget: drop a collection of that name first; maxTimeMS.

        Raises
        ------
        OperationFailure
            When the collection does not exist, or another one of that name does.
        InvalidQuery
            For a name that no collection can have.
        """
        database, codec_options = self._namespace.database, self._settings.codec_options
        refuse_unknown(kwargs, _RENAME)
        fields = {
            "renameCollection": f"{database}.{self._name}",
            "to": f"{database}.{names.check_collection(database, new_name)}",
            **kwargs,
            **self._shared(session, comment=comment),
        }
        command = encode.document(fields, codec_options, "options")
        reply = await outcome(self._namespace.send(command, session, False, self._settings.timeout, "admin"))
        return server_errors.decoded(reply, self._settings.replies)

    async def drop(self, session: AsyncClientSession | None = None, comment: object = None) -> None:
        """Drop the collection with all its documents and indexes. Without it this does nothing."""
        await self._drop_what_is_there({"drop": self._name, **self._shared(session, comment=comment)}, session)

    async def _drop_what_is_there(self, fields: Mapping[str, Any], session: AsyncClientSession | None) -> None:
        command = encode.document(fields, self._settings.codec_options, "options")
        try:
            reply = await outcome(self._send(command, session, False))
        except OperationFailure as error:
            if error.code != _NAMESPACE_NOT_FOUND:
                raise
        else:
            server_errors.decoded(reply, self._settings.replies)
