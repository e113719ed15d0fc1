"""The command findAndModify: its bytes, and the document in its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from .._typing import Filter, Hint, Projection, Sort
from . import encode, server_errors, statement
from .options import check_bool, check_option, pairs, projection_of, refuse_unknown

_OPTIONS = ("bypassDocumentValidation", "collation", "maxTimeMS")


def command(
    collection: str,
    filter: Filter,
    change: bytes,
    codec_options: CodecOptions[Any],
    shared: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    projection: Projection | None = None,
    sort: Sort | None = None,
    upsert: bool | None = None,
    after: bool | None = None,
    array_filters: Sequence[Mapping[str, Any]] | None = None,
    hint: Hint | None = None,
) -> bytes:
    """The command of a find_one_and_*.

    Parameters
    ----------
    change
        The element `update` or `remove`.
    shared
        Options of any write command.
    given
        Options by the server's names: collation, maxTimeMS, bypassDocumentValidation.
    after
        True for a reply with the document as it is after the change.

    Raises
    ------
    TypeError, ValueError, InvalidQuery
        For an argument that cannot be sent.
    """
    refuse_unknown(given, _OPTIONS)
    rest: dict[str, Any] = {}
    if after is not None:
        rest["new"] = check_bool("return_document", after)
    if projection is not None:
        rest["fields"] = projection_of(projection)
    if sort is not None:
        rest["sort"] = pairs("sort", sort)
    if upsert is not None:
        rest["upsert"] = check_bool("upsert", upsert)
    if array_filters is not None:
        rest["arrayFilters"] = statement.check_array_filters(array_filters)
    if hint is not None:
        rest["hint"] = check_option("hint", hint)
    rest.update({name: check_option(name, value) for name, value in given.items() if value is not None})
    rest.update(shared)
    return statement.join(
        bson.encode({"findAndModify": collection})[4:-1],
        statement.element("query", encode.document(statement.check_filter(filter), codec_options)),
        change,
        encode.document(rest, codec_options, "options")[4:-1],
    )


def value(reply: bytes, replies: CodecOptions[Any]) -> bytes | None:
    """The document in a reply, as BSON; None when no document matched.

    Raises
    ------
    WriteConcernError, WTimeoutError
        When the write was done, but its write concern was not met.
    """
    answer = RawBSONDocument(reply)
    if "writeConcernError" in answer:
        server_errors.decoded(reply, replies)
    found = answer.get("value")
    return None if found is None else bytes(found.raw)
