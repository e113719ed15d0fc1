"""Overwriting a collection in Spark: the rows go into a temporary one, which takes its place at the end."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ..errors import InvalidOperation
from ..query.collection_facts import CollectionFacts, Deployment


class Replacement(NamedTuple):
    """A collection, and the temporary one that will take its place."""

    name: str
    temporary: str

    @classmethod
    def create(cls, database: Any, name: str) -> Replacement:
        """Create the temporary collection, with the options and the indexes of the one that it replaces.

        Raises
        ------
        InvalidOperation
            When the collection cannot be replaced: it is sharded, a view or a time series.
        """
        facts = CollectionFacts.of(database.command({"listCollections": 1, "filter": {"name": name}}))
        is_router = Deployment.of(database.client["admin"].command("hello")).is_sharded
        is_sharded = facts.exists and is_router and bool(database.command("collStats", name).get("sharded"))
        check_replaceable(f"{database.name}.{name}", facts, is_sharded)
        made = cls(name, f"{name}.data_bridge_{uuid.uuid4().hex[:12]}")
        database.create_collection(made.temporary, check_exists=False, **facts.options)
        indexes = [_index(each) for each in database[name].list_indexes()] if facts.exists else []
        own = [each for each in indexes if each["key"] != {"_id": 1} and not each.get("clustered")]
        if own:
            database.command({"createIndexes": made.temporary, "indexes": own})
        return made

    def commit(self, database: Any) -> None:
        """Put the temporary collection in the place of the other one."""
        database[self.temporary].rename(self.name, dropTarget=True)

    def abort(self, database: Any) -> None:
        """Drop the temporary collection."""
        database.drop_collection(self.temporary)


def check_replaceable(name: str, facts: CollectionFacts, is_sharded: bool) -> None:
    """Refuse a collection whose place no other one can take.

    Raises
    ------
    InvalidOperation
        For a view, a time series, and a sharded collection.
    """
    if facts.kind != "collection":
        raise InvalidOperation(f"{name} is a {facts.kind}, which cannot be overwritten")
    if is_sharded:
        raise InvalidOperation(
            f"{name} is sharded, and servers do not rename over sharded collections: delete its documents and append"
        )


def _index(description: Any) -> dict[str, Any]:
    """Return an index as `createIndexes` takes it."""
    return {**{name: value for name, value in description.items() if name != "ns"}, "key": dict(description["key"])}
