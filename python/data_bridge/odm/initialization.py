"""`init`: gives models their collections and creates their declared indexes."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, overload

from ..asynchronous.database import AsyncDatabase
from ..synchronous.database import Database
from .asynchronous.document import AsyncDocument
from .models.registration import check_model, indexes_of, register
from .synchronous.document import Document


@overload
def init(database: Database, models: Iterable[type[Document]]) -> None: ...
@overload
def init(database: AsyncDatabase, models: Iterable[type[AsyncDocument]]) -> Awaitable[None]: ...
def init(database: Any, models: Iterable[type[Any]]) -> Any:
    """Give models their collections in `database` and create their declared indexes.

    Call it once per database, with the models of that database. A later call moves a model to another database. With
    AsyncDocuments, await the call.

    Raises
    ------
    TypeError
        For a class that is no model of this kind of database; no model is changed then.
    NameError
        For an annotation that names a class which does not exist.
    """
    models = list(models)
    for model in models:
        check_model(database, model)
    for model in models:
        register(model, database)
    if isinstance(database, AsyncDatabase):
        return _make_indexes(models)
    for model in models:
        if indexes := indexes_of(model):
            model.__odm__.collection.create_indexes(indexes)
    return None


async def _make_indexes(models: list[Any]) -> None:
    for model in models:
        if indexes := indexes_of(model):
            await model.__odm__.collection.create_indexes(indexes)
