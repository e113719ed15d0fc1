"""Writes of a bulk: requests, the revisions that they leave, and the details of several commands added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .change import Change
from .write_requests import REVISION


class Request(NamedTuple):
    """A write of the bulk."""

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
    """What a bulk does to the revisions of documents: each write finds the one that the write before it has made."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._seen: dict[int, Any] = {}

    def follow(self, instance: Any, request: Request) -> None:
        """Let a write find its document as the writes before it leave it."""
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
        """An instance that was not read again after update operators has not seen the revision that it now has."""
        if id(instance) in self._seen:
            document[REVISION] = self._seen[id(instance)]


def add_details(total: dict[str, Any], did: dict[str, Any], offset: int) -> None:
    """Add the details of more operations, the first of which is at `offset` among all."""
    for key, value in did.items():
        if isinstance(value, list):
            moved = [{**each, "index": each["index"] + offset} if "index" in each else each for each in value]
            total.setdefault(key, []).extend(moved)
        else:
            total[key] = total.get(key, 0) + value
