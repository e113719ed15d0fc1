"""Dumps of instances: dicts of copies, and values of plain JSON, with pydantic's arguments."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from ...query.plain_json import is_scalar, key_json, scalar_json
from ..converters.converter import CLASS_KEY, dump_any, plain
from ..converters.custom_types import custom_type_of
from . import instance_state as state
from .field import NO_MODELS
from .link import Link, fetched
from .serializers import SerializationInfo, Serializer

_SAME = frozenset({str, int, bool, type(None)})
"""Types of values that are alike in Python and in JSON."""
_EVERYTHING = (None, None)
_ARGUMENTS = ("by_alias", "exclude_unset", "exclude_defaults", "exclude_none", "round_trip")
_LATER_ARGUMENTS = ("context", "fallback", "serialize_as_any", "exclude_computed_fields")

Selection: TypeAlias = Iterable[Any] | Mapping[Any, Any]
"""Names of fields; or a mapping of names to True or to a selection below. `__all__` stands for all items of a list."""
Part: TypeAlias = tuple[Selection | None, Selection | None]
"""The selections below a key: what is included, what is excluded."""


class Dump(NamedTuple):
    """The arguments of a dump."""

    json: bool = False
    """Values of plain JSON instead of Python's."""
    by_alias: bool = False
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    finite: bool = False
    """NaN and infinity become None, as JSON text has neither."""
    exclude_computed_fields: bool = False
    round_trip: bool = False
    """Leave out computed fields, which constructors refuse."""
    context: Any = None
    """The `context` of serializers."""
    fallback: Callable[[Any], Any] | None = None
    """The function of values that have no form in JSON."""
    serialize_as_any: bool = False
    """Dump values by their own classes, whatever the annotations name."""
    declared: frozenset[Any] = NO_MODELS
    """Models that the annotation of the value names: instances of classes derived from them are dumped as these."""

    def model(
        self, instance: Any, include: Selection | None, exclude: Selection | None, model: Any = None
    ) -> dict[str, Any]:
        """Return the fields of an instance: those of its class, or of `model`, a class above it.

        Raises
        ------
        TypeError
            For a text as a selection, and in JSON for a value that has no form there.
        """
        return self._model(instance, model or type(instance), _checked(include), _checked(exclude), ())

    def value(self, value: Any) -> Any:
        """Return the dump of one value."""
        return self._value(value, None, None, ())

    def _model(
        self, instance: Any, model: Any, include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]
    ) -> dict[str, Any]:
        serializer = model.__odm__.serializers.of_model
        if serializer is None or not serializer.applies(instance, json=self.json):
            return self._plainly(instance, model, include, exclude, above)
        info = self._info(None, include, exclude)
        made = serializer.run(instance, [], lambda each: self._plainly(each, model, include, exclude, above), info)
        return self._value(made, None, None, above)  # type: ignore[no-any-return]

    def _plainly(
        self, instance: Any, model: Any, include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]
    ) -> dict[str, Any]:
        info = model.__odm__
        serializers = info.serializers
        result: dict[str, Any] = {}
        above = (*above, instance)
        for name, field in info.fields.items():
            if field.options.exclude or (field.converter.virtual and not _is_held(instance, name)):
                continue
            part = _part(name, include, exclude)
            if part is None or (self.exclude_unset and not is_set(instance, field)):
                continue
            value = getattr(instance, name)
            if value is None and self.exclude_none:
                continue
            if self.exclude_defaults and not field.required and value == field.default():
                continue
            key = field.key if self.by_alias else name
            models = field.models_below
            within = self if models is self.declared else self._replace(declared=models)
            if (serializer := serializers.of_fields.get(name)) is not None:
                result[key] = within._serialized(instance, serializer, name, value, part, above)
            else:
                result[key] = within._value(value, *part, above)
        leaves_out = self.exclude_computed_fields or self.round_trip
        for name, computed in () if leaves_out else serializers.computed.items():
            part = _part(name, include, exclude)
            if part is None or ((value := getattr(instance, name)) is None and self.exclude_none):
                continue
            key = computed.alias if self.by_alias and computed.alias else name
            serializer = serializers.of_fields.get(name)
            result[key] = self._serialized(instance, serializer, name, value, part, above)
        if info.in_tree and not info.is_collection:
            result[CLASS_KEY] = info.class_id
        return result

    def _serialized(
        self, instance: Any, serializer: Serializer | None, name: str, value: Any, part: Part, above: tuple[Any, ...]
    ) -> Any:
        """Return the dump of the value of a field, by its serializer if it has one."""
        if serializer is None or not serializer.applies(value, json=self.json):
            return self._value(value, *part, above)
        made = serializer.run(instance, [value], lambda each: self._value(each, *part, above), self._info(name, *part))
        return self._value(made, None, None, above)

    def _info(self, name: str | None, include: Selection | None, exclude: Selection | None) -> SerializationInfo:
        mode = "json" if self.json else "python"
        switches = (self.by_alias, self.exclude_unset, self.exclude_defaults, self.exclude_none)
        more = (self.context, self.round_trip, self.exclude_computed_fields, self.serialize_as_any)
        return SerializationInfo(mode, *switches, name, include, exclude, *more)

    def _value(self, value: Any, include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]) -> Any:
        kind = type(value)
        if kind in _SAME or (not self.json and is_scalar(kind)):
            return value
        if self.json and is_scalar(kind) and custom_type_of(kind) is None:
            return None if self.finite and kind is float and not math.isfinite(value) else scalar_json(value)
        if hasattr(kind, "__odm__") and not isinstance(value, type):
            return self._model(value, self._shown_as(kind), include, exclude, above)
        if isinstance(value, Link):
            return self._link(value, include, exclude, above)
        if isinstance(value, Mapping):
            return self._mapping(value, include, exclude, above)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._items(value, include, exclude, above)
        if (custom := custom_type_of(kind)) is not None:
            return self._value(custom.to_bson(value), include, exclude, above) if self.json else plain(value)
        if hasattr(kind, "model_dump"):  # pydantic's models
            return value.model_dump(include=include, exclude=exclude, **self._pydantic_arguments())
        if dataclasses.is_dataclass(kind):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(kind)}
            return self._mapping(fields, include, exclude, above)
        if not self.json:
            known = self.fallback is None or dump_any(value) is not value
            return plain(value) if known else self._or_fallback(value, above)
        if self.finite and isinstance(value, float) and not math.isfinite(value):
            return None
        if hasattr(kind, "__get_pydantic_core_schema__"):  # pydantic's types of values, such as URLs
            from pydantic_core import to_jsonable_python

            return to_jsonable_python(value)
        stored = dump_any(value)
        return self._or_fallback(value, above) if stored is value else self._value(stored, include, exclude, above)

    def _or_fallback(self, value: Any, above: tuple[Any, ...]) -> Any:
        """Return a value that is no document, list or model, or what `fallback` makes of it."""
        try:
            made = scalar_json(value)
            return made if self.json else plain(value)
        except TypeError:
            if self.fallback is None:
                raise
        return self._value(self.fallback(value), None, None, above)

    def _pydantic_arguments(self) -> dict[str, Any]:
        """Return the arguments of pydantic's `model_dump`; older versions lack the last ones."""
        given = {name: getattr(self, name) for name in _LATER_ARGUMENTS if getattr(self, name)}
        arguments = {name: getattr(self, name) for name in _ARGUMENTS}
        return {"mode": "json" if self.json else "python", **arguments, **given}

    def _link(self, link: Any, include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]) -> Any:
        document = fetched(link)
        # A document that links to one above it is shown once.
        if document is None or any(document is each for each in above):
            return self._value(link.id, None, None, above)
        return self._model(document, self._shown_as(type(document)), include, exclude, above)

    def _shown_as(self, kind: Any) -> Any:
        """Return the model whose fields are dumped of an instance of a class."""
        if self.serialize_as_any or not self.declared or kind in self.declared:
            return kind
        return next((each for each in kind.__mro__ if each in self.declared), kind)

    def _mapping(
        self, value: Mapping[Any, Any], include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]
    ) -> dict[Any, Any]:
        result = {}
        for key, each in value.items():
            part = _part(key, include, exclude)
            if part is not None:
                result[key_json(key) if self.json else key] = self._value(each, *part, above)
        return result

    def _items(self, value: Any, include: Selection | None, exclude: Selection | None, above: tuple[Any, ...]) -> Any:
        items = []
        for position, each in enumerate(value):
            part = _part(position, include, exclude, len(value))
            if part is not None:
                items.append(self._value(each, *part, above))
        if self.json or isinstance(value, list):
            return items
        # Dicts, the dumps of models, have no hash.
        if any(new is not old for new, old in zip(items, value, strict=False)) or len(items) != len(value):
            return items
        return copy.copy(value)


def _checked(selection: Selection | None) -> Selection | None:
    if isinstance(selection, str):
        raise TypeError(f"include and exclude take a set of names or a mapping, got {selection!r}")
    # An iterator can be searched once only.
    return selection if selection is None or isinstance(selection, Mapping) else set(selection)


def is_set(instance: Any, field: Any) -> bool:
    """Return whether a field was given to the constructor or assigned, or is stored: it has not just its default."""
    document = state.stored_document(instance)
    return state.is_assigned(instance, field.name) or (document is not None and field.key in document)


def _is_held(instance: Any, name: str) -> bool:
    return state.held_value(instance, name) is not state.MISSING


def _part(
    key: Any, include: Selection | None, exclude: Selection | None, length: int | None = None
) -> tuple[Selection | None, Selection | None] | None:
    """Return the selections below a key; None for a key that is left out."""
    if include is None and exclude is None:
        return _EVERYTHING
    left_out = _selected(key, exclude, length)
    if left_out is True:
        return None
    wanted = True if include is None else _selected(key, include, length)
    if wanted is False:
        return None
    return (None if wanted is True else wanted), (None if left_out is False else left_out)


def _selected(key: Any, selection: Selection | None, length: int | None) -> Any:
    """Return True or False for a key that is selected or not, or the selection below it."""
    if selection is None:
        return False
    keys = [key, "__all__"] if length is None else [key, key - length, "__all__"]
    if not isinstance(selection, Mapping):
        return any(each in selection for each in keys)
    found = [_selection_of(selection[each]) for each in keys if each in selection]
    found = [each for each in found if each is not False]
    if not found:
        return False
    own, *others = found
    for each in others:
        # As in pydantic: True for all items, or for this one, leaves the selection of the item as it is.
        if own is not True and each is not True:
            own = _merged(own, each)
    return own


def _selection_of(value: Any) -> Any:
    """Return True, False or a mapping."""
    if value is ... or value is True:
        return True
    if value is None or value is False:
        return False
    return value if isinstance(value, Mapping) else dict.fromkeys(value, True)


def _merged(own: Mapping[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(own)
    for key, value in other.items():
        mine, theirs = _selection_of(merged.get(key)), _selection_of(value)
        both = isinstance(mine, Mapping) and isinstance(theirs, Mapping)
        merged[key] = _merged(mine, theirs) if both else (theirs if mine is False else mine)
    return merged
