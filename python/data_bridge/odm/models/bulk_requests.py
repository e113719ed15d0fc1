"""Requests of a bulk, the revisions that they write, and the sum of the results of several commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from ...commands.operations import UpdateMany
from .change import Change
from .registration import collection_of
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


def written_by(update: Any) -> Mapping[str, Any]:
    """Return update operators, or for a pipeline the revision that its last stage sets."""
    if isinstance(update, Mapping):
        return update
    revision = update[-1].get("$set", {}).get(REVISION)
    return {} if revision is None else {"$set": {REVISION: revision["$literal"]}}


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


class ModelOperation(NamedTuple):
    """One operation of a bulk, with its position there and its model."""

    position: int
    model: Any
    operation: Any


def parts_of(operations: Iterable[ModelOperation], ordered: bool) -> Iterator[tuple[bool, list[ModelOperation]]]:
    """Yield the operations of each command, and whether they update many documents each."""
    collections: dict[Any, int] = {}

    def position(each: ModelOperation) -> int:
        collection = collection_of(each.model)
        name = (id(collection.database.client), collection.database.name, collection.name)
        return collections.setdefault(name, len(collections))

    if not ordered:
        operations = sorted(operations, key=position)
    for (_, many), group in groupby(operations, lambda each: (position(each), type(each.operation) is UpdateMany)):
        yield many, list(group)


def add_details(total: dict[str, Any], did: dict[str, Any], positions: list[int]) -> None:
    """Add the details of more operations, which have these positions in the bulk."""
    for key, value in did.items():
        if isinstance(value, list):
            moved = [{**each, "index": positions[each["index"]]} if "index" in each else each for each in value]
            total.setdefault(key, []).extend(moved)
        else:
            total[key] = total.get(key, 0) + value
