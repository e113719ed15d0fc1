"""`init`: gives models their collections, and creates what they declare: indexes, views and time series."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, overload

from ..asynchronous.database import AsyncDatabase
from ..synchronous.database import Database
from .asynchronous import creation as asynchronous_creation
from .asynchronous.read_model import AsyncReadModel
from .models.delete_rules import register_rules
from .models.registration import check_model, register, resolve_names
from .synchronous import creation
from .synchronous.read_model import ReadModel


@overload
def init(database: Database, models: Iterable[type[ReadModel]], *, recreate_views: bool = False) -> None: ...
@overload
def init(
    database: AsyncDatabase, models: Iterable[type[AsyncReadModel]], *, recreate_views: bool = False
) -> Awaitable[None]: ...
def init(database: Any, models: Iterable[type[Any]], *, recreate_views: bool = False) -> Any:
    """Give models their collections in `database`, and create their declared indexes, views and time series.

    Call it once per database, with the models of that database. A later call moves a model to another database. With
    AsyncDocuments, await the call. Annotations may name other models of the list that their module imports for type
    checkers only.

    Parameters
    ----------
    recreate_views
        Replace views that exist with another pipeline, which is an error otherwise.

    Raises
    ------
    TypeError
        For a class that is no model of this kind of database; no model is changed then.
    NameError
        For an annotation that names a class which does not exist.
    InvalidQuery
        For a view or a time series whose collection exists with other options.
    """
    models = list(models)
    resolve_names(models)
    for model in models:
        check_model(database, model)
    for model in models:
        register_rules(model)
    for model in models:
        register(model, database)
    if isinstance(database, AsyncDatabase):
        return asynchronous_creation.create(database, models, recreate_views)
    return creation.create(database, models, recreate_views)
