"""Stages that look linked documents up, so that conditions and orders may name their keys.

Each link that is named gets one key of the documents in the pipeline, for the linked documents of it. Links of linked
documents are looked up in these, which needs MongoDB 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .expressions import key_of
from .linked_paths import LOGICAL, Linked, linked
from .trust import Trusted

PREFIX = "_data_bridge_linked_"
"""Starts the keys of linked documents in a pipeline."""


class Source(NamedTuple):
    """The documents of a linked model."""

    collection: str
    condition: Mapping[str, Any]
    """The filter of the model's class in a tree."""


class _Lookup:
    """The lookup of the documents of one link, and of links in these documents."""

    def __init__(self, found: Linked, key: str) -> None:
        self.found = found
        self.key = key
        """The key of the linked documents."""
        self.below: dict[tuple[str, ...], _Lookup] = {}


class LinkedLookups:
    """The lookups that the conditions and the order of one query need."""

    def __init__(self, model: Any, source: Callable[[Any], Source]) -> None:
        self._model = model
        self._source = source
        self._lookups: dict[tuple[str, ...], _Lookup] = {}
        self._is_through = False

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The stages that look the documents up."""
        return [stage for lookup in self._lookups.values() for stage in self._stages(lookup)]

    @property
    def removal(self) -> dict[str, Any]:
        """The stage that removes the linked documents."""
        return {"$unset": [each.key for each in self._lookups.values()]}

    def split(self, filter: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        """Return the clauses on the documents themselves, and those on linked documents with the keys of a pipeline."""
        own: list[Mapping[str, Any]] = []
        through: list[Mapping[str, Any]] = []
        for clause in _clauses(filter):
            self._is_through = False
            changed = self._filter(clause)
            (through if self._is_through else own).append(changed)
        return own, through

    def sort(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Return an order with the keys of a pipeline."""
        return {self._key(key): direction for key, direction in order.items()}

    def _filter(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        changed: dict[str, Any] = {}
        for key, value in document.items():
            if key in LOGICAL and isinstance(value, (list, tuple)):
                changed[key] = [self._filter(each) if isinstance(each, Mapping) else each for each in value]
            else:
                changed[key if key.startswith("$") else self._key(key)] = value
        return Trusted(changed) if isinstance(document, Trusted) else changed

    def _key(self, key: str) -> str:
        return ".".join(self._steps(self._model, tuple(key.split(".")), self._lookups))

    def _steps(self, model: Any, path: tuple[str, ...], lookups: dict[tuple[str, ...], _Lookup]) -> tuple[str, ...]:
        """Return the steps of a key of the pipeline for a path in the documents of `model`."""
        path, found = linked(model, path)
        if found is None:
            return path
        self._is_through = True
        if found.link not in lookups:
            lookups[found.link] = _Lookup(found, f"{PREFIX}{len(lookups)}")
        lookup = lookups[found.link]
        return (lookup.key, *self._steps(found.target, found.rest, lookup.below))

    def _stages(self, lookup: _Lookup) -> list[dict[str, Any]]:
        # A link is a DBRef, or the bare _id that other programs store.
        found = lookup.found
        if found.converter.virtual:
            key = key_of(found.target.__odm__.path(found.converter.original))
            pairs = [("_id", f"{key}.$id"), ("_id", key)]
        else:
            path = ".".join(found.link)
            pairs = [(f"{path}.$id", "_id"), (path, "_id")]
        source = self._source(found.target)
        pipeline = [{"$match": source.condition}] if source.condition else []
        # In the linked documents, as a flat list would not show which of them have no link.
        pipeline += [stage for below in lookup.below.values() for stage in self._stages(below)]
        names = [lookup.key, f"{lookup.key}_bare"]
        stages: list[dict[str, Any]] = []
        for (local, foreign), name in zip(pairs, names, strict=True):
            stage: dict[str, Any] = {
                "from": source.collection,
                "localField": local,
                "foreignField": foreign,
                "as": name,
            }
            if pipeline:
                stage["pipeline"] = pipeline
            stages.append({"$lookup": stage})
        # Without a link, the server looks for documents without the key.
        both = {
            "$filter": {
                "input": {"$concatArrays": [f"${name}" for name in names]},
                "cond": {"$ne": ["$$this._id", None]},
            }
        }
        value = both if found.many else {"$arrayElemAt": [both, 0]}
        return [*stages, {"$set": {lookup.key: value}}, {"$unset": names[1]}]


def _clauses(filter: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if isinstance(filter, Trusted):
        return [filter]
    clauses: list[Mapping[str, Any]] = []
    for key, value in filter.items():
        clauses += value if key == "$and" and isinstance(value, list) else [{key: value}]
    return clauses
