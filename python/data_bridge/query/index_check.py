"""The check that an index covers each document once, made when partitions are planned and again when each is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from .._core import Operation, OperationFailure
from ..commands import encode
from ..errors import InvalidQuery
from . import explained
from .find_command import ANY
from .key_ranges import Key
from .plan import AggregatePlan, FindPlan
from .ranges_plan import EXPRESSION, INDEX, Split

REPLIES: CodecOptions[Any] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""Options that decode every reply of a server."""


def explain_range(
    inner: FindPlan | AggregatePlan, split: Split, lower: Key | None, timeout: float | None
) -> Operation[bytes]:
    """Start `explain` of a range: of one without an upper bound."""
    namespace = inner.namespace
    command: dict[str, Any]
    condition = None
    if split.form == EXPRESSION and lower is not None:
        condition = {"$expr": {"$gte": [f"${split.by}", lower.under("$literal")]}}
    if isinstance(inner, AggregatePlan):
        stages = inner.stages if condition is None else [{"$match": condition}, *inner.stages]
        command = {"aggregate": namespace.collection, "pipeline": list(stages)}
        command.update({key: value for key, value in inner.options.items() if key != "batchSize"})
        command["cursor"] = {}
    else:
        matched: Any = RawBSONDocument(inner.filter)
        if condition is not None:
            matched = {"$and": [matched, condition]}
        command = {"find": namespace.collection, "filter": matched, **inner.options}
        if split.form != EXPRESSION:
            command["hint"] = {split.by: 1}
            if lower is not None:
                command["min"] = lower.under(split.by)
    explain = {"explain": command, "verbosity": "queryPlanner"}
    return namespace.core.run_command(
        namespace.database,
        encode.document(explain, namespace.settings.codec_options, "explain", encode.MAX_DEPTH + 5),
        session=None,
        selection=namespace.preference_only(None),
        timeout=timeout,
        retry=True,
    )


def check_index(inner: FindPlan | AggregatePlan, split: Split, timeout: float | None) -> None:
    """Check the index of the key again: its documents may have changed since the partitions were planned.

    Raises
    ------
    InvalidQuery
        When the index is gone, or no longer has each document once.
    """
    probe = FindPlan(inner.namespace, encode.EMPTY, ANY, None)
    index_split = split._replace(form=INDEX)
    try:
        reply = explain_range(probe, index_split, None, timeout).wait()
    except OperationFailure as error:
        raise InvalidQuery(f"the index on {split.by} can no longer be used: {error}") from error
    refuse_index(bson.decode(reply, REPLIES), split.by)


def refuse_index(reply: Mapping[str, Any], by: str) -> None:
    """Refuse an index that has a document several times or not at all.

    Raises
    ------
    InvalidQuery
        With the property of the index.
    """
    fault = explained.fault_of_index(reply)
    if fault is not None:
        raise InvalidQuery(
            f"the index on {by} is {fault}: a document would be in several partitions, or in none. Use by='_id'"
        )
