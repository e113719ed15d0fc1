"""Specifications of queries over models: their parts, and the requests that are made of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._typing import Projection
from ...commands import encode
from ...errors import InvalidQuery
from ...query.find_command import ANY, FindCommand
from ..converters.containers import ListConverter
from ..converters.converter import Converter, plain
from ..errors import Mismatch
from ..filters import linked_paths, mappings, trust
from ..filters.expressions import Expression, all_of, key_of, mapping_of, roots_of
from ..filters.linked_lookups import LinkedLookups, Source
from ..filters.linked_stages import stages_of
from ..filters.lookup import check_fields, resolve, sort_keys
from ..models.database_variants import VariantRoot
from ..models.model import Model
from ..models.registration import collection_of, read_bson
from .query_options import AGGREGATE_OPTIONS, aggregate_options, changed_options, split

if TYPE_CHECKING:
    from ..._core import ModelClass


class Depths(NamedTuple):
    """The levels of linked documents to fetch."""

    default: int
    fields: Mapping[str, int] | None = None
    """Other levels, by the names of fields of the first documents."""

    def of(self, name: str) -> int:
        """Return the levels below a field."""
        return self.default if self.fields is None else self.fields.get(name, self.default)


ONE_LEVEL = Depths(1)


class QuerySpec(NamedTuple):
    """The parts of a query, immutable. `of` and `changed` check them, before anything is sent."""

    model: Any
    filter: Mapping[str, Any]
    """The filter as it is sent: all conditions, and the class in a tree of models."""
    filters: tuple[Any, ...] = ()
    command: FindCommand = ANY
    """Sort, skip and limit, and the projection of a query for plain documents."""
    view: Any = None
    """The model of a projection."""
    with_children: bool = False
    fetch_links: bool = False
    nesting_depth: int | None = None
    """Levels of linked documents to fetch; None for those of `Settings.max_nesting_depth`."""
    nesting_depths_per_field: Mapping[str, int] | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, model: type[Model], filters: tuple[Any, ...], options: Mapping[str, Any]) -> QuerySpec:
        """Return the specification of `find(*filters, **options)`.

        Raises
        ------
        InvalidQuery
            For a field of another model, and for a value that does not fit its field.
        TypeError, ValueError
            As `query_options.split`.
        """
        filters = _conditions(model, filters)
        parts = split(model, options, ANY)
        return cls(model, _filter(model, filters, parts.get("with_children", False)), filters, **parts)

    def changed(self, **changes: Any) -> QuerySpec:
        """Return the specification with other parts.

        Raises
        ------
        InvalidQuery
            As `of`, and where links are fetched for a projection that has none.
        """
        spec = self._replace(**changes)
        # Classes may have joined the tree since the last call.
        if spec.with_children or "filters" in changes or "with_children" in changes:
            spec = spec._replace(filter=_filter(spec.model, spec.filters, spec.with_children))
        if spec.fetch_links and spec._is_projected:
            spec._check_links()
        return spec

    @property
    def _is_projected(self) -> bool:
        return self.view is not None or self.command.projection is not None

    def _check_links(self) -> None:
        if self.view is None:
            raise InvalidQuery("plain Documents have no linked documents: project to a model, or leave out fetch_links")
        if linked_paths.has_links(self.model) and not linked_paths.has_links(self.view):
            raise InvalidQuery(f"{self.view.__name__} declares no Link to fetch: declare it, or leave out fetch_links")

    def found(self, filters: tuple[Any, ...], options: Mapping[str, Any]) -> QuerySpec:
        """Return the specification with more conditions and other options. Raises as `of`."""
        added = _conditions(self.model, filters)
        return self.changed(filters=(*self.filters, *added), **split(self.model, options, self.command, self.options))

    def limited(self, length: int) -> QuerySpec:
        """Return the specification for at most `length` documents of those that it selects."""
        limit = abs(self.command.options.get("limit", 0))
        return self.changed(command=self.command.limit(min(limit, length) if limit else length))

    def sorted(self, keys: Iterable[Any]) -> QuerySpec:
        """Return the specification with another order."""
        return self.changed(command=self.command.sort(sort_keys(self.model, keys)))

    def projected(self, view: Any) -> QuerySpec:
        """Return the specification with a projection: a model, fields, or a projection document.

        Raises
        ------
        TypeError
            For any other object.
        InvalidQuery
            For a key of a linked document, and for operators that run code and are not trusted.
        """
        if isinstance(view, type) and issubclass(view, Model):
            linked_paths.check_projection(self.model, view.__odm__.settings.projection)
            return self.changed(view=view, command=self.command.whole())
        keys: Projection
        if isinstance(view, Mapping):
            trust.check_code(view, "projection")
            check_fields(self.model, mappings.roots_in(view))
            keys = linked_paths.projection(self.model, mapping_of("projection", view))
        elif isinstance(view, Iterable) and not isinstance(view, (str, bytes)):
            keys = [key_of(resolve(self.model, each)) for each in view]
            for key in keys:
                linked_paths.check_stored(self.model, key)
        else:
            raise TypeError(f"project takes a model, a list of fields or a projection, got {type(view).__name__}")
        return self.changed(view=None, command=self.command.project(keys))

    @property
    def depths(self) -> Depths:
        """The levels of linked documents to fetch: those of the query, or else those of the model's settings."""
        settings = self.model.__odm__.settings
        if self.nesting_depth is None and self.nesting_depths_per_field is None:
            return Depths(settings.max_nesting_depth, settings.max_nesting_depths_per_field)
        depth = settings.max_nesting_depth if self.nesting_depth is None else self.nesting_depth
        return Depths(depth, self.nesting_depths_per_field)

    # ---- collections ------------------------------------------------------------------------------------------------

    @property
    def collection(self) -> Any:
        """The collection of the model."""
        return collection_of(self.model)

    @property
    def write_collection(self) -> Any:
        """The collection with the timeout of the query, which writes do not take as an option."""
        return collection_of(self.model, self.options.get("timeout", ...))

    @property
    def count_collection(self) -> Any:
        """The collection with the timeout, read preference and read concern of the query."""
        options = self.options
        return self.write_collection.with_options(
            read_preference=options.get("read_preference"), read_concern=options.get("read_concern")
        )

    @property
    def variants(self) -> Any:
        """The database variants that the model is one of; None in the database of `init`."""
        return self.model.__odm__.variants

    # ---- queries of the collection ----------------------------------------------------------------------------------

    @property
    def table_query(self) -> Any:
        """The query of the collection for tables and plain documents, whose columns are the fields.

        Raises
        ------
        InvalidQuery
            For a query that fetches links.
        """
        if self.fetch_links:
            raise InvalidQuery("tables and plain Documents have no linked documents: leave out fetch_links")
        return self._query(self.columns)

    @property
    def document_query(self) -> Any:
        """The query of the collection for instances."""
        return self._query(self.projection)

    @property
    def first_query(self) -> Any:
        """The query of the collection for the first instance."""
        return self._replace(command=self.command.first()).document_query

    @property
    def object_query(self) -> Any:
        """The query of the collection for objects of other classes, which may declare keys that the model does not.

        Raises
        ------
        InvalidQuery
            For a query that fetches links.
        """
        if self.fetch_links:
            raise InvalidQuery("to_models() does not fetch links: use to_list(), or leave out fetch_links")
        return self._query(self.projection if self._is_projected else None)

    def _query(self, projection: Mapping[str, Any] | None) -> Any:
        if self.is_linked:
            options = self.options_for(
                "a query with linked documents in its condition or order",
                AGGREGATE_OPTIONS,
                *("sort", "skip", "limit", "fetch_links", "project", "linked"),
            )
            projected = [] if not projection else [{"$project": projection}]
            return self.collection.aggregate([*self._selection(), *projected], **options)
        command = self.command if projection is None else self.command.project(projection)
        return self.collection._found(self.filter, command, **self.options)

    @property
    def projection(self) -> Mapping[str, Any] | None:
        """The projection for instances; None for all keys."""
        return self.columns if self._is_projected else self.model.__odm__.projection(self.with_children)

    @property
    def columns(self) -> Mapping[str, Any]:
        """The projection for tables."""
        if self.command.projection is not None:
            return self.command.projection
        target = self.model if self.view is None else self.view
        columns: Mapping[str, Any] = target.__odm__.declared(self.with_children and self.view is None)
        return columns

    @property
    def maker(self) -> ModelClass | None:
        """The native class that makes instances; None where a projection gives plain documents."""
        if self.command.projection is not None:
            return None
        if self.view is not None:
            view = self.view if self.variants is None else self.variants.model(self.view)
            maker: ModelClass = view.__odm__.maker(False)
            return maker
        made: ModelClass = self.model.__odm__.maker(self.projection is None, self.with_children)
        return made

    # ---- other operations -------------------------------------------------------------------------------------------

    def options_for(self, call: str, taken: Mapping[str, str | None], *parts: str) -> dict[str, Any]:
        """Return the options of the query that another operation takes, by its names for them.

        Parameters
        ----------
        taken
            The operation's names for options; None for those of its collection, which are not returned.
        parts
            The parts of a query that it takes: sort, skip, limit, fetch_links, project; and "linked" for conditions
            on linked documents.

        Raises
        ------
        InvalidQuery
            For a part or an option that it does not take.
        """
        if "linked" not in parts and self.is_linked:
            raise InvalidQuery(
                f"{call} takes no condition or order on linked documents: find the documents first, then use their ids"
            )
        options = changed_options(self.options)
        refused = [name for name in self._own_parts() if name not in parts]
        refused += [name for name in options if name not in taken]
        if refused:
            raise InvalidQuery(f"{call} takes no {', '.join(refused)}: make the query without")
        return {name: value for each, value in options.items() if (name := taken[each]) is not None}

    def _own_parts(self) -> list[str]:
        parts = {**self.command.options, "fetch_links": self.fetch_links, "project": self._is_projected}
        return [name for name in ("sort", "skip", "limit", "fetch_links", "project") if parts.get(name)]

    def pipeline(self, stages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the stages of an aggregation over the documents of the query.

        Raises
        ------
        InvalidQuery
            For operators that run code and are not trusted, and for keys of linked documents before a `$lookup`.
        """
        stages = list(stages)
        trust.check_code(stages, "pipeline")
        check_fields(self.model, mappings.roots_in(stages))
        return [*self._selection(), *stages_of(self.model, mapping_of("pipeline", stages))]

    @property
    def is_linked(self) -> bool:
        """The condition or the order names keys of linked documents, so that a pipeline has to look them up."""
        if not linked_paths.has_links(self.model):
            return False
        keys = [*linked_paths.keys_of(self.filter), *(self.command.options.get("sort") or ())]
        return linked_paths.leads_into(self.model, keys)

    def _selection(self) -> list[Mapping[str, Any]]:
        """Return the stages that give the documents of the query, in its order."""
        if not self.is_linked:
            return [*_match([self.filter]), *self.command.stages()]
        lookups = LinkedLookups(self.model, self._linked_source)
        own, through = lookups.split(self.filter)
        command = self.command
        if order := command.options.get("sort"):
            command = command.sort(lookups.sort(order))
        return [*_match(own), *lookups.stages, *_match(through), *command.stages(), lookups.removal]

    def _linked_source(self, target: Any) -> Source:
        """Return the documents of a linked model.

        Raises
        ------
        InvalidQuery
            For a model in another database, which a pipeline cannot read.
        """
        model = target if self.variants is None else self.variants.model(target)
        collection, own = collection_of(model), self.collection
        if collection.database.name != own.database.name or collection.database.client is not own.database.client:
            raise InvalidQuery(
                f"the documents of {model.__name__} are in another database than those of {self.model.__name__}: find "
                "them first, then the documents that link to them by their ids"
            )
        return Source(collection.name, model.__odm__.class_filter(True))

    def aggregate(self, stages: Iterable[Mapping[str, Any]], given: Mapping[str, Any]) -> Any:
        """Return the aggregation of the collection; the options `given` replace those of the query."""
        own = self.options_for("aggregate()", AGGREGATE_OPTIONS, "sort", "skip", "limit", "linked")
        return self.collection.aggregate(self.pipeline(stages), **{**own, **aggregate_options(given)})

    def loaded(self, converter: Converter, value: object) -> Any:
        """Return a value of a reply as its field gives it; a value that does not fit, as the server sent it."""
        if value is None:
            return None
        document = None
        if isinstance(value, (dict, list, uuid.UUID)):
            collection = self.collection
            data = encode.document({"": value}, collection.codec_options, "value", encode.STORED_DEPTH)
            document = read_bson(collection, data)
            value = document[""]
        # A field of binaries needs the bytes of a UUID.
        root = document if isinstance(value, uuid.UUID) else None
        place: Any = root if self.variants is None else VariantRoot(root, self.variants)
        place = place if root is None else (place, "")
        # A path through a list gives its items, each as one value.
        for each in (converter, ListConverter(list, converter)):
            try:
                return each.load(value, place)
            except Mismatch:
                continue
        return plain(value)


def _match(clauses: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    clauses = [each for each in clauses if each]
    if not clauses:
        return []
    return [{"$match": clauses[0] if len(clauses) == 1 else {"$and": clauses}}]


def _filter(model: type[Model], filters: tuple[Any, ...], with_children: bool) -> Mapping[str, Any]:
    check_fields(model, roots_of(*filters))
    return all_of([*filters, model.__odm__.class_filter(with_children)])


def _conditions(model: type[Model], filters: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the filters, with the keys of links as they are stored."""
    # A mapping becomes an expression: it is checked once, and its fields are known.
    filters = tuple(Expression(each) if isinstance(each, Mapping) else each for each in filters)
    if filters and linked_paths.has_links(model):
        return tuple(linked_paths.condition(model, each) for each in filters)
    return filters
