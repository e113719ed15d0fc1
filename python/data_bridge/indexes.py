"""Indexes of both collections, and dropping collections: arguments to commands; nothing here waits."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

import bson

from . import encode, failure, names
from ._core import Operation, OperationFailure
from .call import Call, Steps
from .names import check_collection
from .operations import IndexModel, index_keys, index_name
from .session import native as native_session
from .writes import WritesHandle

_NAMESPACE_NOT_FOUND = 26
_RENAME = frozenset({"dropTarget", "maxTimeMS"})


class IndexesHandle(WritesHandle):
    """The indexes of a collection, as Calls."""

    def _create_indexes(self, indexes: Any, session: Any, comment: Any, options: Mapping[str, Any]) -> Call[list[str]]:
        if isinstance(indexes, (str, bytes, Mapping)) or not isinstance(indexes, Iterable):
            raise TypeError(f"indexes must be a list of IndexModel, got {type(indexes).__name__}")
        documents = []
        for index in indexes:
            document = getattr(index, "document", None)
            if not isinstance(document, Mapping):
                raise TypeError(f"indexes must be a list of IndexModel, got {type(index).__name__} in it")
            documents.append(document)
        shared = self._shared(session, comment=comment)
        fields = {"createIndexes": self._name, "indexes": documents, **options, **shared}
        command = encode.document(fields, self._settings.codec_options, "indexes")

        def created(reply: bytes) -> list[str]:
            failure.check(bson.decode(reply))
            return [document["name"] for document in documents]

        return Call(lambda: self._send(command, session, False, self._settings.timeout), created)

    def _create_index(self, keys: Any, session: Any, comment: Any, options: dict[str, Any]) -> Call[list[str]]:
        of_command: dict[str, Any] = {
            name: options.pop(name) for name in ("maxTimeMS", "commitQuorum") if name in options
        }
        return self._create_indexes([IndexModel(keys, **options)], session, comment, of_command)

    def _drop_index(self, index: Any, session: Any, comment: Any, options: Mapping[str, Any]) -> Steps[None]:
        name = names.check_index(index if isinstance(index, str) else index_name(index_keys(index)))
        fields = {"dropIndexes": self._name, "index": name, **options, **self._shared(session, comment=comment)}
        return self._drop_what_is_there(fields, session)

    def _drop(self, session: Any, comment: Any) -> Steps[None]:
        return self._drop_what_is_there({"drop": self._name, **self._shared(session, comment=comment)}, session)

    def _rename(self, new_name: str, session: Any, comment: Any, options: Mapping[str, Any]) -> Call[dict[str, Any]]:
        database, codec_options = self._database.name, self._settings.codec_options
        names = {
            "renameCollection": f"{database}.{self._name}",
            "to": f"{database}.{check_collection(database, new_name)}",
        }
        for name in options:
            if name not in _RENAME:
                raise TypeError(f"unknown option {name!r}: there are {', '.join(sorted(_RENAME))}")
        fields = {**names, **options, **self._shared(session, comment=comment)}
        command = encode.document(fields, codec_options, "options")

        def answer(reply: bytes) -> dict[str, Any]:
            decoded: dict[str, Any] = bson.decode(reply, codec_options)
            failure.check(decoded)
            return decoded

        return Call(lambda: self._send(command, session, False, self._settings.timeout, "admin"), answer)

    def _drop_what_is_there(self, fields: Mapping[str, Any], session: Any) -> Steps[None]:
        command = encode.document(fields, self._settings.codec_options, "options")

        def run() -> Generator[Operation[bytes], bytes, None]:
            try:
                reply = yield self._send(command, session, False, self._settings.timeout)
            except OperationFailure as error:
                if error.code != _NAMESPACE_NOT_FOUND:
                    raise
            else:
                failure.check(bson.decode(reply))

        return Steps(run)

    def _list_indexes(self, session: Any, comment: Any) -> Steps[list[dict[str, Any]]]:
        # One reply holds them all: a collection has 64 at most, and a first reply 101 documents.
        fields: dict[str, Any] = {"listIndexes": self._name, "cursor": {}}
        if comment is not None:
            fields["comment"] = comment
        command = encode.document(fields, self._settings.codec_options, "options")

        def run() -> Generator[Operation[bytes], bytes, list[dict[str, Any]]]:
            try:
                # From the primary, whatever the read preference, and as PyMongo does.
                reply = yield self._client._core.run_command(
                    self._database.name,
                    command,
                    session=native_session(session, self._client),
                    selection=encode.EMPTY,
                    timeout=self._settings.timeout,
                    retry=True,
                )
            except OperationFailure as error:
                if error.code != _NAMESPACE_NOT_FOUND:
                    raise
                return []
            return list(bson.decode(reply, self._settings.codec_options)["cursor"]["firstBatch"])

        return Steps(run)


def information(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    """Indexes by name, their keys as a list of pairs, as PyMongo's `index_information` gives them."""
    result = {}
    for index in indexes:
        rest = {key: value for key, value in index.items() if key not in ("name", "ns")}
        result[index["name"]] = {**rest, "key": list(index["key"].items())}
    return result
