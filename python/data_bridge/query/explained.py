"""The server's plan of a query, as far as partitions depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_INDEX_STAGES = ("IXSCAN", "COUNT_SCAN", "DISTINCT_SCAN", "GEO_NEAR_2D", "GEO_NEAR_2DSPHERE", "TEXT_MATCH")


def stages(reply: object) -> Iterator[Mapping[str, Any]]:
    """Yield the stages of the winning plans in a reply to `explain`, of all shards."""
    if isinstance(reply, Mapping):
        if isinstance(reply.get("stage"), str):
            yield reply
        for key, value in reply.items():
            if key not in ("rejectedPlans", "slotBasedPlan", "command", "parsedQuery"):
                yield from stages(value)
    elif isinstance(reply, list):
        for value in reply:
            yield from stages(value)


def index_in_use(reply: Mapping[str, Any]) -> str | None:
    """Return the name of an index that the plan uses; None for a plan that scans the collection."""
    for stage in stages(reply):
        name = stage["stage"]
        if name in ("IDHACK", "CLUSTERED_IXSCAN") or name.startswith("EXPRESS"):
            return str(stage.get("indexName", "_id_"))
        if name in _INDEX_STAGES:
            return str(stage.get("indexName", "?"))
    return None


def scans_collection(reply: Mapping[str, Any]) -> bool:
    """Return whether the plan reads the whole collection."""
    return any(stage["stage"] == "COLLSCAN" and not _is_bounded(stage) for stage in stages(reply))


def _is_bounded(stage: Mapping[str, Any]) -> bool:
    return "minRecord" in stage or "maxRecord" in stage


def fault_of_index(reply: Mapping[str, Any]) -> str | None:
    """Return the property of the index in use that puts a document into no range or several; None without one."""
    for stage in stages(reply):
        if stage["stage"] == "IXSCAN":
            for name, fault in (("isMultiKey", "multikey"), ("isSparse", "sparse"), ("isPartial", "partial")):
                if stage.get(name):
                    return fault
    return None
