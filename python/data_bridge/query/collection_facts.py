"""The facts about a collection that determine its partitions, from the server's replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class CollectionFacts(NamedTuple):
    """A collection, view or time series, as `listCollections` describes it."""

    exists: bool
    kind: str
    """collection, view or timeseries."""
    options: Mapping[str, Any]

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> CollectionFacts:
        """Return the facts in a reply to `listCollections` with one name."""
        found = reply["cursor"]["firstBatch"]
        if not found:
            return cls(False, "collection", {})
        return cls(True, found[0].get("type", "collection"), found[0].get("options", {}))

    @property
    def view_on(self) -> str:
        """The collection that a view reads."""
        return str(self.options["viewOn"])

    @property
    def pipeline(self) -> Sequence[Mapping[str, Any]]:
        """The stages of a view."""
        pipeline: Sequence[Mapping[str, Any]] = self.options.get("pipeline", [])
        return pipeline

    @property
    def time_field(self) -> str:
        """The time field of a time series."""
        return str(self.options["timeseries"]["timeField"])

    @property
    def is_capped(self) -> bool:
        """Return whether the collection is capped."""
        return bool(self.options.get("capped"))

    @property
    def is_clustered(self) -> bool:
        """Return whether the collection is stored in the order of `_id`."""
        return "clusteredIndex" in self.options

    @property
    def collation(self) -> Mapping[str, Any]:
        """The default collation."""
        return self.options.get("collation") or SIMPLE


SIMPLE: Mapping[str, Any] = {"locale": "simple"}
"""The collation that compares bytes."""
_DEFAULTS: Mapping[str, Any] = {
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 3,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
}
"""Options of a collation with a locale, as servers complete them."""


def is_same_collation(given: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Return whether a collation that a caller gave is the one that the server stores with a collection."""
    completed = dict(given) if given.get("locale") == "simple" else {**_DEFAULTS, **given}
    return completed == {name: value for name, value in stored.items() if name != "version"}


class Deployment(NamedTuple):
    """The deployment, as `hello` describes it."""

    is_sharded: bool
    is_standalone: bool

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Deployment:
        """Return the facts in a reply to `hello`."""
        is_sharded = reply.get("msg") == "isdbgrid"
        return cls(is_sharded, not is_sharded and "setName" not in reply)


class Size(NamedTuple):
    """The size of a collection from its metadata; None for what is unknown."""

    rows: int | None
    bytes: int | None
