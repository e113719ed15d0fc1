"""Fetches of linked documents: one query for each field of links, for any number of instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..converters.containers import ListConverter
from ..errors import ValidationError
from ..filters.expressions import converter_at, key_of
from ..filters.linked_paths import links_below
from ..models import instance_state as state
from ..models.database_variants import DatabaseVariants
from ..models.field import FieldInfo
from ..models.id_chunks import id_chunks
from ..models.link import BackLink, Link, id_key, is_fetched, make_links, restored, set_document
from ..models.model import Model, models_in
from ..queries.query_options import LINK_OPTIONS
from ..queries.query_spec import ONE_LEVEL, Depths, QuerySpec

Choice = Callable[[FieldInfo], bool]
"""Returns whether to fetch the links of a field of the first level."""


async def fetch_links(spec: QuerySpec, instances: list[Any], given: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Fetch the linked documents of `instances`, if the query fetches links; `given` replaces its options."""
    if spec.fetch_links:
        options = {name: value for name, value in {**spec.options, **given}.items() if name in LINK_OPTIONS}
        await fetch(instances, options, spec.variants, depths=spec.depths)


async def fetch(
    instances: list[Any],
    options: Mapping[str, Any],
    variants: DatabaseVariants | None = None,
    *,
    depths: Depths = ONE_LEVEL,
    choose: Choice | None = None,
) -> None:
    """Fetch the linked documents of `instances` from the database of `init` or of `variants`.

    Parameters
    ----------
    options
        As for `find`.
    depths
        The levels of linked documents to fetch: one query for each field of links of a level.
    choose
        The fields of the first level.
    """
    found: dict[int, tuple[Any, list[Any]]] = {}
    leading: dict[int, bool] = {}
    for each in instances:
        _hold(each, found, leading, choose or _every)
    below: dict[int, dict[int, Any]] = {}
    for field, holders in found.values():
        levels = depths.of(field.name)
        if levels <= 0:
            continue
        fetching = _fetch_back if field.converter.virtual else _fetch_forward
        documents = await fetching(field, _target(field, variants), holders, options)
        if levels > 1:
            below.setdefault(levels - 1, {}).update({id(each): each for each in documents})
    for levels, linked in below.items():
        await fetch([*linked.values()], options, variants, depths=Depths(levels))


def forward_links(field: FieldInfo) -> bool:
    """Return whether a field has links that are stored."""
    return not field.converter.virtual


async def fetch_of(instance: Any, options: Mapping[str, Any], name: str | None) -> None:
    """Fetch the linked documents of one instance, or of one of its fields, that it does not hold yet."""
    info = type(instance).__odm__
    depth = info.settings.max_nesting_depth
    own = info.settings.max_nesting_depths_per_field
    choose: Choice | None = None if name is None else (lambda field: field.name == name)
    await fetch([instance], options, info.variants, depths=Depths(depth, own), choose=choose)


def _hold(instance: Model, found: dict[int, tuple[Any, list[Any]]], leading: dict[int, bool], choose: Choice) -> None:
    """Record the instance and its embedded models for each chosen field of links."""
    info = getattr(type(instance), "__odm__", None)
    for field in () if info is None else info.fields.values():
        if not choose(field):
            continue
        if field.converter.links is not None:
            # An embedded model has no `_id` to link to.
            if type(instance).__odm__.is_collection or not field.converter.virtual:
                found.setdefault(id(field), (field, []))[1].append(instance)
        elif _leads(field, leading):
            for embedded in models_in(_value(instance, field)):
                _hold(embedded, found, leading, _every)


def _every(_: FieldInfo) -> bool:
    return True


def _leads(field: FieldInfo, leading: dict[int, bool]) -> bool:
    """Return whether the embedded models of a field may have links; only such values are built."""
    if id(field) not in leading:
        leading[id(field)] = links_below(field.converter)
    return leading[id(field)]


def _value(instance: Model, field: FieldInfo) -> Any:
    """Return a value of an instance; None for an invalid one, which raises where the caller reads it."""
    try:
        return getattr(instance, field.name)
    except ValidationError:
        return None


def _target(field: FieldInfo, variants: DatabaseVariants | None) -> type[Model]:
    target: type[Model] = field.converter.links.target
    return target if variants is None else variants.model(target)


async def _fetch_forward(
    field: FieldInfo, target: type[Model], instances: list[Any], options: Mapping[str, Any]
) -> list[Any]:
    every = [link for each in instances for link in _links_in(_value(each, field))]
    # A document that a link holds may have changes.
    links = [link for link in every if not is_fetched(link)]
    found = await _find(target, ["_id"], [_stored_id(target, link.id) for link in links], options)
    by_id = {id_key(each.id): each for each in found}
    for link in links:
        set_document(link, by_id.get(id_key(link.id)))
    return [link.document for link in every if link.document is not None]


async def _fetch_back(
    field: FieldInfo, target: type[Model], instances: list[Any], options: Mapping[str, Any]
) -> list[Any]:
    converter = field.converter.links
    original = target.__odm__.path(converter.original)
    if converter_at(original).links is None or converter_at(original).virtual or converter_at(original).keyed:
        raise TypeError(f"{field.path!r}: {original!r} is no Link")
    # A link is a DBRef, or the bare _id that other programs store.
    keys = [f"{key_of(original)}.$id", key_of(original)]
    ids = [_stored_id(type(each), each.id) for each in instances]
    found = await _find(target, keys, ids, options)
    by_id: dict[Any, list[Any]] = {}
    for each in found:
        # An invalid link raises: without it, the back links would be incomplete.
        for link in _links_in(getattr(each, converter.original)):
            by_id.setdefault(id_key(link.id), []).append(each)
    several = isinstance(field.converter, ListConverter)
    for instance in instances:
        back = [restored(BackLink, target, each.id, each, True) for each in by_id.get(id_key(instance.id), ())]
        state.keep(instance, field.name, back if several else (back[0] if back else None))
    return found


async def _find(model: Any, keys: list[str], ids: list[Any], options: Mapping[str, Any]) -> list[Any]:
    wanted = list({id_key(each): each for each in ids if each is not None}.values())
    found: list[Any] = []
    for chunk in id_chunks(wanted):
        conditions = [{key: {"$in": chunk}} for key in keys]
        condition = conditions[0] if len(conditions) == 1 else {"$or": conditions}
        found += await model.find(condition, with_children=True, **options).to_list()
    return found


def _stored_id(model: type[Model], id: object) -> Any:
    return None if id is None else model.__odm__.fields["id"].dump(id)


def _links_in(value: object) -> Iterator[Link[Any]]:
    if isinstance(value, Link):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        make_links(value)
        for each in value.values() if isinstance(value, dict) else value:
            yield from _links_in(each)
