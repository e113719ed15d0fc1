"""The results of writes: PyMongo's result classes, by name and attributes."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidOperation


class _WriteResult:
    """A result that the server acknowledged, or not (write concern `w=0`)."""

    __slots__ = ("_acknowledged",)

    def __init__(self, acknowledged: bool) -> None:
        self._acknowledged = acknowledged

    @property
    def acknowledged(self) -> bool:
        """Return whether the server acknowledged the write; otherwise counts raise InvalidOperation."""
        return self._acknowledged

    def _check(self, name: str) -> None:
        if not self._acknowledged:
            raise InvalidOperation(f"{name} is unknown for an unacknowledged write: use a write concern other than w=0")


class InsertOneResult(_WriteResult):
    """The result of `insert_one`."""

    __slots__ = ("_inserted_id",)

    def __init__(self, inserted_id: object, acknowledged: bool) -> None:
        self._inserted_id = inserted_id
        super().__init__(acknowledged)

    @property
    def inserted_id(self) -> Any:
        """The document's `_id`; None of a RawBSONDocument."""
        return self._inserted_id

    def __repr__(self) -> str:
        return f"InsertOneResult({self._inserted_id!r}, acknowledged={self._acknowledged})"


class InsertManyResult(_WriteResult):
    """The result of `insert_many`."""

    __slots__ = ("_inserted_ids",)

    def __init__(self, inserted_ids: list[Any], acknowledged: bool) -> None:
        self._inserted_ids = inserted_ids
        super().__init__(acknowledged)

    @property
    def inserted_ids(self) -> list[Any]:
        """The `_id` of each document in order, but for those of RawBSONDocuments."""
        return self._inserted_ids

    def __repr__(self) -> str:
        return f"InsertManyResult({len(self._inserted_ids)} documents, acknowledged={self._acknowledged})"


class _RawResult(_WriteResult):
    """The result of a write with one statement: the server's reply."""

    __slots__ = ("_raw_result",)

    def __init__(self, raw_result: dict[str, Any] | None, acknowledged: bool) -> None:
        self._raw_result = raw_result
        super().__init__(acknowledged)

    @property
    def raw_result(self) -> dict[str, Any] | None:
        """The server's reply."""
        return self._raw_result

    def _get(self, name: str, key: str) -> Any:
        self._check(name)
        return (self._raw_result or {}).get(key)


class UpdateResult(_RawResult):
    """The result of an update or a replacement."""

    __slots__ = ()

    @property
    def matched_count(self) -> int:
        """The number of documents that matched; 0 for an upsert that inserted."""
        matched = self._get("matched_count", "n") or 0
        return 0 if self.upserted_id is not None else matched

    @property
    def modified_count(self) -> int:
        """The number of changed documents."""
        return self._get("modified_count", "nModified") or 0

    @property
    def upserted_id(self) -> Any:
        """The `_id` of the document that an upsert inserted, else None."""
        return self._get("upserted_id", "upserted")

    @property
    def did_upsert(self) -> bool:
        """Return whether an upsert inserted a document, also one whose `_id` is null."""
        self._check("did_upsert")
        return "upserted" in (self._raw_result or {})

    def __repr__(self) -> str:
        return f"UpdateResult({self._raw_result!r}, acknowledged={self._acknowledged})"


class DeleteResult(_RawResult):
    """The result of a deletion."""

    __slots__ = ()

    @property
    def deleted_count(self) -> int:
        """The number of deleted documents."""
        return self._get("deleted_count", "n") or 0

    def __repr__(self) -> str:
        return f"DeleteResult({self._raw_result!r}, acknowledged={self._acknowledged})"


class BulkWriteResult(_WriteResult):
    """The result of `bulk_write`."""

    __slots__ = ("_bulk_api_result",)

    def __init__(self, bulk_api_result: dict[str, Any], acknowledged: bool) -> None:
        self._bulk_api_result = bulk_api_result
        super().__init__(acknowledged)

    @property
    def bulk_api_result(self) -> dict[str, Any]:
        """All counts, as the details of a BulkWriteError have them."""
        return self._bulk_api_result

    def _get(self, name: str, key: str) -> Any:
        self._check(name)
        return self._bulk_api_result[key]

    @property
    def inserted_count(self) -> int:
        """The number of inserted documents."""
        return self._get("inserted_count", "nInserted")  # type: ignore[no-any-return]

    @property
    def matched_count(self) -> int:
        """The number of documents that updates matched."""
        return self._get("matched_count", "nMatched")  # type: ignore[no-any-return]

    @property
    def modified_count(self) -> int:
        """The number of documents that updates changed."""
        return self._get("modified_count", "nModified")  # type: ignore[no-any-return]

    @property
    def deleted_count(self) -> int:
        """The number of deleted documents."""
        return self._get("deleted_count", "nRemoved")  # type: ignore[no-any-return]

    @property
    def upserted_count(self) -> int:
        """The number of documents that upserts inserted."""
        return self._get("upserted_count", "nUpserted")  # type: ignore[no-any-return]

    @property
    def upserted_ids(self) -> dict[int, Any] | None:
        """The `_id` that each upsert inserted, by the operation's position."""
        upserted = self._get("upserted_ids", "upserted")
        return {entry["index"]: entry["_id"] for entry in upserted}

    def __repr__(self) -> str:
        return f"BulkWriteResult({self._bulk_api_result!r}, acknowledged={self._acknowledged})"
