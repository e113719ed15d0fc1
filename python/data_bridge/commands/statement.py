"""One statement of a write command: its bytes, and the document that an error shows for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson.raw_bson import RawBSONDocument

from .._core import DocumentTooLarge
from .._typing import Collation, Filter, Hint, Sort
from . import encode
from .options import check_bool, check_option, pairs

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions

MAX_DOCUMENT_BYTES = 16 << 20
"""The largest document a server stores."""

REMOVE = b"\x08remove\0\x01"
"""The element that makes findAndModify delete."""


class Statement(NamedTuple):
    """One operation of a write command, encoded."""

    kind: str
    """insert, update or delete."""
    encoded: bytes
    op: Any
    """As PyMongo shows it in the details of an error."""
    once: bool = True
    """True when it changes one document at most, so that it can be retried."""


def insert(document: object, options: CodecOptions[Any], what: str = "document") -> tuple[Any, Statement]:
    """The `_id` and the statement. A document that has no `_id` gets one: a mutable one is changed, as PyMongo does.

    Raises
    ------
    TypeError
        When it is no mapping.
    InvalidDocument
        When it cannot be stored.
    """
    if not isinstance(document, Mapping):
        raise TypeError(f"{what} must be a mapping, got {type(document).__name__}")
    if isinstance(document, RawBSONDocument):
        encoded, key = bytes(document.raw), None
    elif isinstance(document, encode.Encoded):
        encoded, key = document.data, document["_id"]
    else:
        prefix = b""
        if "_id" in document:
            key = document["_id"]
        else:
            key = bson.ObjectId()
            try:
                document["_id"] = key  # type: ignore[index]
            except TypeError:  # a mapping that cannot be changed, such as a Document
                prefix = b"\x07_id\0" + key.binary
        encoded = encode.document(document, options, what, encode.STORED_DEPTH)
        if prefix:
            encoded = b"".join([_int32(len(encoded) + len(prefix)), prefix, encoded[4:]])
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"{what} has {len(encoded):,} bytes, and no document can have more than 16 MiB")
    return key, Statement("insert", encoded, document)


def update(
    filter: Filter,
    change: object,
    options: CodecOptions[Any],
    *,
    replace: bool = False,
    multi: bool = False,
    upsert: bool | None = None,
    collation: Collation | None = None,
    array_filters: Sequence[Mapping[str, Any]] | None = None,
    hint: Hint | None = None,
    sort: Sort | None = None,
) -> Statement:
    """The statement of an update or a replacement.

    Raises
    ------
    TypeError, ValueError, InvalidDocument
        For what cannot be sent.
    """
    query, what = check_filter(filter), "replacement" if replace else "update"
    rest: dict[str, Any] = {} if replace else {"multi": multi}
    if upsert is not None:
        rest["upsert"] = check_bool("upsert", upsert)
    if collation is not None:
        rest["collation"] = check_option("collation", collation)
    if array_filters is not None:
        rest["arrayFilters"] = check_array_filters(array_filters)
    if hint is not None:
        rest["hint"] = check_option("hint", hint)
    if sort is not None:
        rest["sort"] = pairs("sort", sort)
    encoded = join(
        element("q", encode.document(query, options)),
        changes("u", change, options, replace),
        _rest(rest, options, what),
    )
    return Statement("update", encoded, {"q": query, "u": change, **rest}, not multi)


def delete(
    filter: Filter,
    options: CodecOptions[Any],
    *,
    multi: bool = False,
    collation: Collation | None = None,
    hint: Hint | None = None,
) -> Statement:
    """The statement of a deletion.

    Raises
    ------
    TypeError, ValueError, InvalidDocument
        For what cannot be sent.
    """
    query, rest = check_filter(filter), {"limit": 0 if multi else 1}
    if collation is not None:
        rest["collation"] = check_option("collation", collation)
    if hint is not None:
        rest["hint"] = check_option("hint", hint)
    encoded = join(
        element("q", encode.document(query, options)), encode.document(rest, options, "options of delete")[4:-1]
    )
    return Statement("delete", encoded, {"q": query, **rest}, not multi)


def of_request(request: Any, options: CodecOptions[Any], position: int) -> Statement:
    """The statement of an operation of ours or PyMongo's, which have the same names and attributes."""
    kind = type(request).__name__
    if kind == "InsertOne":
        return insert(request._doc, options, f"requests[{position}]")[1]
    if kind in ("DeleteOne", "DeleteMany"):
        multi = kind == "DeleteMany"
        return delete(request._filter, options, multi=multi, collation=request._collation, hint=request._hint)
    if kind in ("UpdateOne", "UpdateMany", "ReplaceOne"):
        return update(
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


def changes(key: str, change: object, options: CodecOptions[Any], replace: bool) -> bytes:
    """Return the change of a document as an element: an update document, a pipeline, or a replacement.

    Raises
    ------
    TypeError, ValueError, InvalidDocument
        As PyMongo's: an update's keys start with `$`, a replacement's do not.
    """
    if replace:
        if not isinstance(change, Mapping):
            raise TypeError(f"replacement must be a mapping, got {type(change).__name__}")
        if str(next(iter(change), "")).startswith("$"):
            raise ValueError("a replacement cannot have $ operators: use an update for them")
        return element(key, encode.document(change, options, "replacement", encode.STORED_DEPTH))
    if isinstance(change, (list, tuple)):
        if not change:
            raise ValueError("an update cannot be empty")
        stages = encode.pipeline(change, options, "update", encode.STORED_DEPTH)
        value = stages[4 + len(b"\x04pipeline\0") : -1]
        return b"\x04" + key.encode() + b"\0" + value
    if not isinstance(change, Mapping):
        raise TypeError(f"update must be a mapping or a list of stages, got {type(change).__name__}")
    if not change:
        raise ValueError("an update cannot be empty")
    if not str(next(iter(change))).startswith("$"):
        raise ValueError("an update has $ operators only, such as {'$set': {...}}: use replace_one for whole documents")
    return element(key, encode.document(change, options, "update", encode.STORED_DEPTH))


def check_filter(filter: Filter) -> Mapping[str, Any]:
    """Return the filter of a write, which must be a mapping: None does not stand for all documents."""
    if not isinstance(filter, Mapping):
        raise TypeError(f"filter must be a mapping, got {type(filter).__name__}")
    return filter


def check_array_filters(value: object) -> list[Any]:
    """`value`, when it is a list."""
    if not isinstance(value, list):
        raise TypeError(f"array_filters must be a list, got {type(value).__name__}")
    return value


def _rest(rest: Mapping[str, Any], options: CodecOptions[Any], what: str) -> bytes:
    """Encode the elements of a statement beside filter and change."""
    # Nearly all say the same few things.
    if all(type(value) is bool for value in rest.values()):
        return _flags(tuple(rest.items()))
    return encode.document(rest, options, f"options of {what}")[4:-1]


@functools.lru_cache(maxsize=64)
def _flags(items: tuple[tuple[str, bool], ...]) -> bytes:
    return bson.encode(dict(items))[4:-1]


def _int32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def element(key: str, document: bytes) -> bytes:
    """An element that is a document."""
    return b"\x03" + key.encode() + b"\0" + document


def join(*elements: bytes) -> bytes:
    """A document of elements."""
    body = b"".join(elements)
    return b"".join([_int32(len(body) + 5), body, b"\0"])


def command(head: bytes, field: str, items: list[bytes]) -> bytes:
    """A command: the document `head` with one more key, a list of documents."""
    parts = [b"\x03%d\0%b" % (position, item) for position, item in enumerate(items)]
    size = sum(map(len, parts)) + 5
    name = b"\x04" + field.encode() + b"\0"
    total = _int32(len(head) + len(name) + size)
    return b"".join([total, head[4:-1], name, _int32(size), *parts, b"\0\0"])
