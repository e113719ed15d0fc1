"""What queries over models share: everything but waiting."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..._core import _document_from_bson
from ...commands import encode
from ...errors import InvalidQuery
from ..converters.containers import ListPlan
from ..converters.converter import plain
from ..errors import Mismatch
from ..filters import linked_paths, trust
from ..filters.expressions import all_of, roots_of
from ..filters.lookup import check_fields, resolve, sort_keys
from ..models.database_variants import Root
from ..models.model import Model
from ..models.registration import collection_of
from .query_spec import AGGREGATED, Asked, aggregate_options, conditions, split

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..._core import ModelClass

T = TypeVar("T")

FETCHED_AT_A_TIME = 1000
"""Instances of a live iteration whose links are fetched by one query."""


def _check_linked(model: Any, asked: Asked) -> None:
    """Refuse to fetch links for a projection that has none.

    Raises
    ------
    InvalidQuery
        For such a query.
    """
    if asked.keys is not None:
        raise InvalidQuery("plain Documents have no linked documents: project to a model, or leave out fetch_links")
    if linked_paths.has_links(model) and not linked_paths.has_links(asked.view):
        raise InvalidQuery(f"{asked.view.__name__} declares no Link to fetch: declare it, or leave out fetch_links")


class ModelQueryBase(Generic[T]):
    """A query for instances of a model, which has not run: immutable, may be run any number of times.

    Chained methods return a new query. The filter is checked when the query is made, so that a mistake is raised before
    anything is sent.
    """

    __slots__ = ("_asked", "_filter", "_model")

    def __init__(self, model: Any, asked: Asked) -> None:
        self._model = model
        self._asked = asked
        check_fields(model, roots_of(*asked.filters))
        if asked.fetch_links and (asked.keys is not None or asked.view is not None):
            _check_linked(model, asked)
        self._filter = all_of([*asked.filters, model.__odm__.class_filter(asked.with_children)])

    def _with(self, **changes: Any) -> Self:
        return type(self)(self._model, self._asked._replace(**changes))

    # ---- chained ----------------------------------------------------------------------------------------------------

    def find(self, *filters: Any, **options: Any) -> Self:
        """More conditions, all of which must hold; `options` as for `Document.find`."""
        asked = self._asked
        added = conditions(self._model, filters)
        return self._with(filters=(*asked.filters, *added), **split(self._model, options, asked.options))

    def sort(self, *keys: Any) -> Self:
        """Order: `-User.age`, `User.age`, "-age", ("age", -1), or a list of these."""
        return self._with(sort=tuple(sort_keys(self._model, keys)))

    def skip(self, count: int) -> Self:
        """Leave out the first `count` documents."""
        return self._with(skip=count)

    def limit(self, count: int) -> Self:
        """No more than `count` documents; 0 means all."""
        return self._with(limit=count)

    def with_children(self, with_children: bool = True) -> Self:
        """Also documents of classes derived from the model, each as an instance of its class."""
        return self._with(with_children=with_children)

    def fetch_links(self, fetch_links: bool = True) -> Self:
        """Also the documents that links refer to: one more query for each field of links, however many documents.

        These queries have the query's session, timeout, max_time_ms, comment, read preference and read concern. Links
        are fetched for instances: tables, plain Documents and `aggregate` raise InvalidQuery.
        """
        return self._with(fetch_links=fetch_links)

    def _projected(self, view: Any) -> dict[str, Any]:
        if isinstance(view, type) and issubclass(view, Model):
            linked_paths.check_projection(self._model, view.__odm__.settings.projection)
            return {"view": view, "keys": None}
        if isinstance(view, Mapping):
            trust.check(view, "projection")
            return {"view": None, "keys": linked_paths.projection(self._model, view)}
        if isinstance(view, Iterable) and not isinstance(view, (str, bytes)):
            return {"view": None, "keys": [resolve(self._model, each)._key for each in view]}
        raise TypeError(f"project takes a model, a list of fields or a projection, got {type(view).__name__}")

    # ---- what is sent -----------------------------------------------------------------------------------------------

    def get_filter_query(self) -> Mapping[str, Any]:
        """The filter as it is sent."""
        return self._filter

    def __repr__(self) -> str:
        return f"{self._model.__name__}.find({dict(self._filter)!r})"

    def __bool__(self) -> NoReturn:
        raise TypeError("a query has no truth value: use exists(), count(), or to_list()")

    @property
    def _collection(self) -> Any:
        return collection_of(self._model)

    @property
    def _bound(self) -> Any:
        """The collection, for writes: they take no timeout of a query otherwise."""
        return collection_of(self._model, self._asked.options.get("timeout", ...))

    @property
    def _counted(self) -> Any:
        """The collection, for counts: as `_bound`, to be read from as the query says."""
        options = self._asked.options
        return self._bound.with_options(
            read_preference=options.get("read_preference"), read_concern=options.get("read_concern")
        )

    @property
    def _elsewhere(self) -> Any:
        """Where the model's documents are, if not in the database of `init`."""
        return self._model.__odm__.elsewhere

    @property
    def _native(self) -> Any:
        """The query below for tables and plain documents: the fields are their columns."""
        if self._asked.fetch_links:
            raise InvalidQuery("tables and plain Documents have no linked documents: leave out fetch_links")
        return self._query(self._columns)

    @property
    def _documents(self) -> Any:
        """The query below for instances."""
        return self._query(self._shape)

    @property
    def _for_models(self) -> Any:
        """The query for objects of other classes, which may name keys that the model does not."""
        asked = self._asked
        if asked.fetch_links:
            raise InvalidQuery("to_models() does not fetch links: use to_list(), or leave out fetch_links")
        return self._query(None if asked.keys is None and asked.view is None else self._shape)

    def _query(self, shape: Any) -> Any:
        asked = self._asked
        return self._collection.find(
            self._filter,
            shape,
            asked.skip,
            asked.limit,
            sort=list(asked.sort) or None,
            **asked.options,
        )

    @property
    def _shape(self) -> Any:
        """The projection for instances; None for all keys."""
        asked = self._asked
        if asked.keys is not None or asked.view is not None:
            return self._columns
        return self._model.__odm__.projection(asked.with_children)

    @property
    def _columns(self) -> Any:
        """The projection for tables."""
        asked = self._asked
        if asked.keys is not None:
            return asked.keys
        target = self._model if asked.view is None else asked.view
        return target.__odm__.declared(asked.with_children and asked.view is None)

    @property
    def _maker(self) -> ModelClass | None:
        """What makes instances; None where a projection gives plain documents."""
        asked = self._asked
        if asked.keys is not None:
            return None
        if asked.view is not None:
            view = asked.view if self._elsewhere is None else self._elsewhere.model(asked.view)
            maker: ModelClass = view.__odm__.maker(False)
            return maker
        info = self._model.__odm__
        made: ModelClass = info.maker(self._shape is None, asked.with_children)
        return made

    def _options(self, what: str, taken: Mapping[str, str | None], *parts: str) -> dict[str, Any]:
        """Return the options of the query that another operation takes, by its names for them.

        Parameters
        ----------
        taken
            The operation's names for options; None for those of its collection, which are not returned.
        parts
            The parts of a query that it takes: sort, skip, limit, fetch_links, project.

        Raises
        ------
        InvalidQuery
            For what it does not take.
        """
        given = self._asked.given()
        refused = [name for name in self._asked.parts() if name not in parts]
        refused += [name for name in given if name not in taken]
        if refused:
            raise InvalidQuery(f"{what} takes no {', '.join(refused)}: make the query without")
        return {name: value for each, value in given.items() if (name := taken[each]) is not None}

    def _pipeline(self, stages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        stages = list(stages)
        trust.check(stages, "pipeline")
        asked = self._asked
        before: list[Mapping[str, Any]] = [{"$match": self._filter}] if self._filter else []
        if asked.sort:
            before.append({"$sort": dict(asked.sort)})
        if asked.skip:
            before.append({"$skip": asked.skip})
        if asked.limit:
            before.append({"$limit": abs(asked.limit)})
        return before + stages

    def _aggregate(self, stages: Iterable[Mapping[str, Any]], given: Mapping[str, Any]) -> Any:
        options = {**self._options("aggregate()", AGGREGATED, "sort", "skip", "limit"), **aggregate_options(given)}
        return self._collection.aggregate(self._pipeline(stages), **options)

    def _loaded(self, plan: Any, value: Any) -> Any:
        """A value of the server's answer as a field gives it; one that does not fit as it is."""
        if value is None:
            return None
        document = None
        if isinstance(value, (dict, list, uuid.UUID)):
            collection = self._collection
            data = encode.document({"": value}, collection.codec_options, "value", encode.STORED_DEPTH)
            document = _document_from_bson(data, collection._settings.codec)
            value = document[""]
        # A field of binaries has to know how a UUID is stored.
        root = document if isinstance(value, uuid.UUID) else None
        place: Any = root if self._elsewhere is None else Root(root, self._elsewhere)
        place = place if root is None else (place, "")
        # The path may have gone through a list, whose items the server then gives as one value.
        for each in (plan, ListPlan(list, plan)):
            try:
                return each.load(value, place)
            except Mismatch:
                continue
        return plain(value)


def number(value: Any) -> Any:
    from bson import Decimal128, Int64

    if isinstance(value, Decimal128):
        return value.to_decimal()
    return int(value) if isinstance(value, Int64) else value
