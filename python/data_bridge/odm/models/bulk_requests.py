"""Requests of a bulk, the revisions that they write, and the sum of the results of several commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .change import Change
from .write_requests import REVISION


class Request(NamedTuple):
    """One write of a bulk."""

    operation: Any
    filter: dict[str, Any]
    """The filter of the operation; empty for an insert."""
    written: Mapping[str, Any]
    """The document or the update operators of the operation; empty for a delete."""
    change: Change | None = None
    """The change to apply to the instance; None where the instance stays as it is."""
    whole: bool = False
    """The document has all keys that are stored."""


class Revisions:
    """Revisions of documents within a bulk: each write must find the revision of the write before it."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._seen: dict[int, Any] = {}

    def follow(self, instance: Any, request: Request) -> None:
        """Make a write find the revision that the earlier writes of its document make."""
        key, found_by = id(instance), request.filter
        if REVISION in found_by:
            if request.change is None:
                self._seen.setdefault(key, found_by[REVISION])
            if key in self._made:
                found_by[REVISION] = self._made[key]
        revision = request.written.get("$set", request.written).get(REVISION)
        if instance is not None and revision is not None:
            self._made[key] = revision

    def restore(self, instance: Any, document: dict[str, Any]) -> None:
        """Give an instance the revision that it has read: update operators, which it has not read, made a newer one."""
        if id(instance) in self._seen:
            document[REVISION] = self._seen[id(instance)]


def add_details(total: dict[str, Any], did: dict[str, Any], offset: int) -> None:
    """Add the details of more operations, which start at position `offset` of the bulk."""
    for key, value in did.items():
        if isinstance(value, list):
            moved = [{**each, "index": each["index"] + offset} if "index" in each else each for each in value]
            total.setdefault(key, []).extend(moved)
        else:
            total[key] = total.get(key, 0) + value
