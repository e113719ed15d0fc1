"""Creation of the collections, views and indexes that models declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# async only:
from ...asynchronous.database import AsyncDatabase

# end
# sync only:
# from ...synchronous.database import Database
#
# end
from ...errors import InvalidQuery, OperationFailure
from ..models.registration import collection_options, indexes_of

_EXISTS = 48
"""The server's code for a collection of that name with other options."""


async def create(database: AsyncDatabase, models: Iterable[Any], recreate_views: bool) -> None:
    """Create what the models declare and the database does not have.

    Raises
    ------
    InvalidQuery
        For a collection of the same name with other options.
    """
    for model in models:
        options = collection_options(model)
        if options is not None:
            await _create_collection(database, model.__odm__.settings.name, options, recreate_views)
        if indexes := indexes_of(model):
            await model.__odm__.collection.create_indexes(indexes)


async def _has_options(database: AsyncDatabase, name: str, options: dict[str, Any]) -> bool:
    """Return whether the collection has these options; it may have more, which the server has added."""
    reply = await database.command({"listCollections": 1, "filter": {"name": name}})
    found: dict[str, Any] = next((each["options"] for each in reply["cursor"]["firstBatch"]), {})
    series = options.get("timeseries", {})
    return all(found.get(key) == value for key, value in options.items() if key != "timeseries") and all(
        found.get("timeseries", {}).get(key) == value for key, value in series.items()
    )


async def _create_collection(database: AsyncDatabase, name: str, options: dict[str, Any], recreate_views: bool) -> None:
    is_view = "viewOn" in options
    # Never a collection, which has documents of its own.
    if is_view and recreate_views and await database.list_collection_names({"name": name, "type": "view"}):
        await database.drop_collection(name)
    try:
        await database.create_collection(name, check_exists=False, **options)
    except OperationFailure as error:
        if error.code != _EXISTS:
            raise
        if await _has_options(database, name, options):
            return
        advice = "init(..., recreate_views=True) replaces a view" if is_view else "drop it, or change the settings"
        raise InvalidQuery(f"the collection {name!r} exists with other options than {options!r}: {advice}") from error
