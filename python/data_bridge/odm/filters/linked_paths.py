"""Dotted keys that lead into linked documents, in filters, projections and updates.

A link stores a reference only, so that a condition on another key of the linked document matches nothing: the query
has to look the linked documents up, as `linked_lookups` does for filters and orders. All others refuse such keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ...errors import InvalidQuery
from ..converters.containers import DictConverter, EmbeddedConverter, ListConverter, TupleConverter
from ..converters.converter import Converter, NoneConverter, in_linked, not_stored
from ..converters.unions import UnionConverter
from ..filters import trust
from ..filters.expressions import Expression, as_filter, declaration_of, expression_of, root_of, roots_of
from ..filters.lookup import resolve

LOGICAL = ("$and", "$or", "$nor")
_ID = ("id", "_id")
"""Names of the linked document's `_id`, which the reference stores as `$id`."""


class _Blocked(NamedTuple):
    """A dotted key that leads into a linked document."""

    converter: Converter
    """The converter of the link."""
    position: int
    """The step after the link."""
    many: bool = False
    """The link is in a list."""
    positional: bool = False
    """The path names a position in such a list."""
    ambiguous: bool = False
    """The links of the path lead to several models."""


class Linked(NamedTuple):
    """A path into a linked document."""

    converter: Any
    """The converter of the link."""
    link: tuple[str, ...]
    """The path of the link."""
    rest: tuple[str, ...]
    """The path in the linked document."""
    many: bool
    """There may be several linked documents."""

    @property
    def target(self) -> Any:
        """The linked model."""
        return self.converter.target


_DEAD = object()
"""The result for a key below a value that has no keys."""


def has_links(model: Any) -> bool:
    """Return whether a field of the model, or of what it embeds, is a link."""
    return bool(_leading(model))


def _leading(model: Any) -> Mapping[str, list[Converter]]:
    """Return the converters of the keys that links are below, of the model and the classes below it."""
    info = model.__odm__
    # A class that was made later may be below the model.
    if info.leading is not None and info.leading[0] == info.made:
        leading: Mapping[str, list[Converter]] = info.leading[1]
        return leading
    converters: dict[str, list[Converter]] = {}
    unresolved = False
    for below in info.descendants():
        for field in below.fields.values():
            try:
                converters.setdefault(field.key, []).append(field.converter)
            except NameError:
                unresolved = True
    found = {key: each for key, each in converters.items() if any(map(links_below, each))}
    if not unresolved:
        info.leading = (info.made, found)
    return found


def linked_field(model: Any, field: object) -> str:
    """Return the name of the field of the model that a path to links starts with.

    Raises
    ------
    TypeError
        For a field without links.
    """
    declared = declaration_of(root_of(resolve(model, field)))
    if not links_below(declared.converter):
        raise TypeError(f"{declared.path!r} ({declared.converter.name}) has no links to fetch")
    return str(declared.name)


def condition(model: Any, filter: object) -> Any:
    """Return a filter in which `a.id` and `a._id` of a link `a` are `a.$id`, the key that is stored.

    Other keys of linked documents stay as they are, for lookups.

    Raises
    ------
    InvalidQuery
        For a condition on a BackLink itself, and on a key of a linked document that a lookup cannot give: in
        `$elemMatch`, in `$expr`, at a position in a list, and below links to several models.
    """
    if isinstance(filter, Expression):
        document = _filter(model, filter.document, ())
        return filter if document is filter.document else expression_of(document, roots_of(filter))
    # An expression is checked once; a mapping would be checked again by each chained call.
    return expression_of(_filter(model, as_filter(filter), ())) if isinstance(filter, Mapping) else filter


def projection(model: Any, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return a projection as `condition` returns a filter.

    Raises
    ------
    InvalidQuery
        For a key of a linked document.
    """
    return dict(_projection(model, keys, ())) if has_links(model) else dict(keys)


def check_projection(model: Any, keys: Mapping[str, Any] | None) -> None:
    """Refuse a projection that names keys of linked documents.

    Raises
    ------
    InvalidQuery
        For such a key.
    """
    if keys is not None and has_links(model):
        _projection(model, keys, ())


def check_changes(model: Any, changes: Mapping[Any, Any]) -> None:
    """Refuse to set keys of linked documents: they would be stored beside the reference.

    Raises
    ------
    InvalidQuery
        For such a key.
    """
    if has_links(model):
        for key in changes:
            blocked = _blocked(model, str(key).split("."))
            if blocked is not None and (not blocked.converter.virtual or "." in str(key)):
                raise _error(model, str(key).split("."), blocked)


def check_expression(model: Any, value: object) -> None:
    """Refuse an aggregation expression that reads a key of a linked document.

    Raises
    ------
    InvalidQuery
        For such a key.
    """
    if isinstance(value, str):
        head, _, rest = value.partition(".")
        if head in ("$$ROOT", "$$CURRENT") and rest:
            path = rest.split(".")
        elif value.startswith("$") and not value.startswith("$$"):
            path = value[1:].split(".")
        else:
            return
        blocked = _blocked(model, path)
        if blocked is not None:
            raise _error(model, path, blocked)
    elif isinstance(value, Mapping):
        for operator, below in value.items():
            if operator != "$literal":
                check_expression(model, below)
    elif isinstance(value, (list, tuple)):
        for each in value:
            check_expression(model, each)


def stored_filter(model: Any, filter: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a filter document as `condition` does. Raises as `condition`."""
    return _filter(model, filter, ())


def stored_keys(model: Any, keys: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an order with the stored keys of links.

    Raises
    ------
    InvalidQuery
        For a key of a linked document.
    """
    return _like(keys, {".".join(_stored(model, tuple(str(key).split(".")))): value for key, value in keys.items()})


def leads_to_link(model: Any, key: str) -> bool:
    """Return whether links are at a key, or below its first step."""
    return key.partition(".")[0] in _leading(model)


def _filter(model: Any, document: Mapping[str, Any], prefix: tuple[str, ...]) -> Mapping[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in document.items():
        name, below = key, value
        if key in LOGICAL and isinstance(value, (list, tuple)):
            below = _each(value, lambda each: _filter(model, each, prefix))
        elif key == "$expr":
            check_expression(model, value)
        elif isinstance(key, str) and not key.startswith("$"):
            path = (*prefix, *key.split("."))
            name = ".".join(_stored(model, path, into=not prefix)[len(prefix) :])
            below = _operators(model, value, path)
        if name in changed:
            raise InvalidQuery(f"a filter names {name!r} twice")
        changed[name] = below
    return _like(document, changed)


def _operators(model: Any, value: object, path: tuple[str, ...]) -> Any:
    """Return the condition on one key, whose `$elemMatch` may name keys below it."""
    if not isinstance(value, Mapping):
        return value
    if (found := _blocked(model, path)) is not None and found.position < len(path):
        # `$elemMatch` below is about the linked document.
        return _operators(found.converter.links.target, value, path[found.position :])
    changed: dict[str, Any] = {}
    for operator, below in value.items():
        if operator == "$elemMatch" and isinstance(below, Mapping):
            below = _filter(model, below, path)
        elif operator == "$not":
            below = _operators(model, below, path)
        elif operator == "$all" and isinstance(below, (list, tuple)):
            below = _each(below, lambda each: _operators(model, each, path))
        changed[operator] = below
    return _like(value, changed)


def _projection(model: Any, keys: Mapping[str, Any], prefix: tuple[str, ...]) -> Mapping[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in keys.items():
        path, below = (*prefix, *str(key).split(".")), value
        name = ".".join(_stored(model, path)[len(prefix) :])
        if not isinstance(value, Mapping) or not value or any(str(each).startswith("$") for each in value):
            if isinstance(value, Mapping) and isinstance(value.get("$elemMatch"), Mapping):
                below = _operators(model, value, path)
            else:
                check_expression(model, value)
        else:
            below = _projection(model, value, path)
        if name in changed:
            raise InvalidQuery(f"a projection names {name!r} twice")
        changed[name] = below
    return _like(keys, changed)


def _each(values: Iterable[Any], convert: Any) -> list[Any]:
    """Return the values, mappings among them converted; the same list where none changed."""
    converted = [convert(each) if isinstance(each, Mapping) else each for each in values]
    same = isinstance(values, list) and all(new is old for new, old in zip(converted, values, strict=True))
    return values if same else converted  # type: ignore[return-value]


def _like(old: Mapping[str, Any], new: dict[str, Any]) -> Mapping[str, Any]:
    """Return the old mapping where the new one is the same."""
    if len(old) == len(new) and all(key in old and old[key] is value for key, value in new.items()):
        return old
    return trust.Trusted(new) if isinstance(old, trust.Trusted) else new


def linked(model: Any, path: tuple[str, ...]) -> tuple[tuple[str, ...], Linked | None]:
    """Return a path as it is stored, and its parts if it leads into a linked document.

    Raises
    ------
    InvalidQuery
        As `condition`.
    """
    path = _stored(model, path, into=True)
    blocked = _blocked(model, path)
    if blocked is None:
        return path, None
    link, rest = path[: blocked.position], path[blocked.position :]
    if rest[0] == "id" and "id" not in blocked.converter.links.target.__odm__.by_key:
        rest = ("_id", *rest[1:])
    return path, Linked(blocked.converter, link, rest, blocked.many)


def check_stored(model: Any, key: str) -> None:
    """Refuse a key of a linked document, where only stored keys have a meaning.

    Raises
    ------
    InvalidQuery
        For such a key.
    """
    if has_links(model):
        _stored(model, tuple(key.split(".")))


def leads_into(model: Any, keys: Iterable[str]) -> bool:
    """Return whether one of the keys of a filter or an order is in a linked document."""
    return any(_blocked(model, key.split(".")) is not None for key in keys)


def keys_of(filter: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of all conditions of a filter, without those in `$elemMatch`."""
    for key, value in filter.items():
        if key in LOGICAL and isinstance(value, (list, tuple)):
            for each in value:
                if isinstance(each, Mapping):
                    yield from keys_of(each)
        elif isinstance(key, str) and not key.startswith("$"):
            yield key


def _stored(model: Any, path: tuple[str, ...], *, into: bool = False) -> tuple[str, ...]:
    """Return the path as it is stored; with `into`, also one into a linked document."""
    blocked = _blocked(model, path)
    if blocked is None:
        return path
    at = blocked.position
    if not blocked.converter.virtual and path[at] in _ID:
        return (*path[:at], "$id", *path[at + 1 :])
    if not into or at == len(path):
        raise _error(model, path, blocked)
    if blocked.positional or blocked.ambiguous:
        reason = "a position in a list" if blocked.positional else "links to several models"
        raise InvalidQuery(
            f"{model.__name__}: {'.'.join(path)!r} leads through {reason}, which cannot be looked up: find the linked "
            "documents first, then those that link to them by their ids"
        )
    return path


def _error(model: Any, path: Iterable[str], blocked: _Blocked) -> InvalidQuery:
    steps, at, converter = list(path), blocked.position, blocked.converter
    link = ".".join(steps[:at])
    if converter.virtual:
        return InvalidQuery(not_stored(f"{model.__name__}: {link!r}", converter))
    return InvalidQuery(in_linked(f"{model.__name__}: {'.'.join(steps)!r}", f"{link}.$id", converter))


def _blocked(model: Any, path: Iterable[str]) -> _Blocked | None:
    first, *rest = path
    found = _any(_below(converter, rest, 0) for converter in _leading(model).get(first, ()))
    return found._replace(position=found.position + 1) if isinstance(found, _Blocked) else None


def _below(converter: Converter, steps: list[str], at: int) -> Any:
    """Return the end of a path: a linked document, a value without keys (_DEAD), or another value (None)."""
    if isinstance(converter, UnionConverter):
        return _any(_below(each, steps, at) for each in converter.members if not isinstance(each, NoneConverter))
    if converter.links is converter and converter.virtual:
        return _Blocked(converter, at)
    if isinstance(converter, ListConverter):
        below = _item_step(steps, at)
        return _in_list(_below(converter.item, steps, below), below > at)
    if converter.free or at == len(steps):
        return None
    if converter.links is converter:
        # References have the keys $ref, $id and $db.
        return None if steps[at].startswith("$") else _Blocked(converter, at)
    if isinstance(converter, TupleConverter):
        below = _item_step(steps, at)
        return _in_list(_any(_below(each, steps, below) for each in converter.items), below > at)
    if isinstance(converter, DictConverter):
        return _below(converter.item, steps, at + 1)
    if isinstance(converter, EmbeddedConverter):
        return _any(_below(each, steps, at + 1) for each in _leading(converter.model).get(steps[at], ()))
    return _DEAD


def _item_step(steps: list[str], at: int) -> int:
    """Return the next step of a path in the items of a list; a position is optional."""
    positional = at < len(steps) and (steps[at].isdigit() or steps[at] == "$" or steps[at].startswith("$["))
    return at + positional


def _in_list(found: Any, positional: bool) -> Any:
    if not isinstance(found, _Blocked):
        return found
    return found._replace(many=True, positional=found.positional or positional)


def _any(found: Iterator[Any]) -> Any:
    """Return the common result for several converters of a value."""
    results = list(found)
    if any(each is None for each in results) or not results:
        return None
    blocked = [each for each in results if each is not _DEAD]
    if not blocked:
        return _DEAD
    several = any(each.converter.links.target is not blocked[0].converter.links.target for each in blocked)
    return blocked[0]._replace(ambiguous=True) if several else blocked[0]


def links_below(converter: Converter) -> bool:
    """Return whether a value may be or hold a link; embedded models may hold each other."""
    rest, seen = [converter], set()
    while rest:
        each = rest.pop()
        if each.links is not None:
            return True
        rest += each.parts()
        for info in () if each.model is None else each.model.__odm__.descendants():
            if info not in seen:
                seen.add(info)
                rest += [field.converter for field in info.fields.values()]
    return False
