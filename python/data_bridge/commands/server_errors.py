"""The errors in a server's reply, as exceptions with PyMongo's names and details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions

from .._core import (
    DUPLICATE_KEY_CODES,
    DuplicateKeyError,
    OperationFailure,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)
from ..errors import BulkWriteError

_MAX_TIME_EXPIRED = 50
_BULK_FAILED = 65
"""The code that PyMongo gives a BulkWriteError."""


def decoded(encoded: bytes, options: CodecOptions[Any]) -> dict[str, Any]:
    """Decode the reply of a command that writes; `options` are the `replies` of the settings.

    Raises
    ------
    WriteError, DuplicateKeyError, WriteConcernError, WTimeoutError
        When a write, or its write concern, failed: with the server's code, and its description as `details`.
    """
    reply: dict[str, Any] = bson.decode(encoded, options)
    errors = reply.get("writeErrors")
    kind: type[OperationFailure]
    if errors:
        error = errors[-1]
        kind = DuplicateKeyError if error.get("code") in DUPLICATE_KEY_CODES else WriteError
        raise made(kind, error.get("errmsg", ""), error.get("code", 0), error, _labels(reply))
    concern = concern_error(reply)
    if concern:
        # Members had the time of `wtimeout`, or what was left of the operation's.
        timed_out = concern.get("code") == _MAX_TIME_EXPIRED or concern.get("errInfo", {}).get("wtimeout")
        text = concern.get("errmsg", "the write concern was not met")
        kind = WTimeoutError if timed_out else WriteConcernError
        raise made(kind, text, concern.get("code", 0), concern, _labels(reply), concern.get("codeName", ""))
    return reply


def bulk(details: dict[str, Any], labels: tuple[str, ...]) -> OperationFailure:
    """The error of many writes, some of which failed. Its message names the first, and shows no document."""
    errors, concerns = details["writeErrors"], details["writeConcernErrors"]
    errors.sort(key=lambda error: error["index"])
    if errors:
        first = errors[0]
        more = f"; {len(errors) - 1} more failed" if len(errors) > 1 else ""
        text = f"operation {first['index']} failed: {first.get('errmsg', '')} (code {first.get('code')}){more}"
    else:
        text = f"the write concern was not met: {concerns[-1].get('errmsg', '')}"
    return made(BulkWriteError, text, _BULK_FAILED, details, labels)


def concern_error(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    """The write concern error of a reply, with the reply's labels, as PyMongo shows it."""
    concern = reply.get("writeConcernError")
    if not concern:
        return None
    labels = reply.get("errorLabels")
    return {**concern, "errorLabels": labels} if labels else dict(concern)


def made(
    kind: type[OperationFailure],
    text: str,
    code: int,
    details: Any,
    labels: tuple[str, ...] = (),
    code_name: str = "",
) -> OperationFailure:
    """An OperationFailure of `kind` with its attributes."""
    name = f", {code_name}" if code_name else ""
    error = kind(text if kind is BulkWriteError else f"{text} (code {code}{name})")
    error.code, error.code_name, error.labels, error.details = code, code_name, labels, details
    return error


def _labels(reply: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(reply.get("errorLabels") or ()))
