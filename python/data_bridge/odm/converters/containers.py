"""Converters of containers: lists, dicts, embedded models."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ..._core import Document, ListView, ModelView, NativeConverter
from ..errors import Mismatch
from .converter import CLASS_KEY, AnyConverter, Converter, each_of


class ListConverter(Converter):
    """list[T], set[T], frozenset[T] and tuple[T, ...]: a list."""

    keeps = True

    def __init__(self, kind: type, item: Converter) -> None:
        self.kind = kind
        self.item: Converter = item
        self.deep, self.virtual, self.links = item.deep, item.virtual, item.links
        self.name = f"{kind.__name__}[{item.name}{', ...' if kind is tuple else ''}]"
        self._takes = (list, tuple) if kind in (list, tuple) else (set, frozenset, list, tuple)

    def load(self, stored: object, place: object) -> Any:
        if not isinstance(stored, ListView):
            raise self.fail(stored)
        item, deep, loaded = self.item, self.deep, []
        for position, each in enumerate(stored):
            try:
                loaded.append(item.load(each, (place, position) if deep else None))
            except Mismatch as mismatch:
                raise mismatch.under(position) from None
        return self._make(loaded)

    def native(self) -> NativeConverter | None:
        return None if self.virtual else NativeConverter.list_of(self.kind, self.item.within(), self.item.is_cyclic())

    def accept(self, value: object) -> Any:
        if isinstance(value, ListView):
            value = value.to_list()
        if not isinstance(value, self._takes):
            raise self.fail(value)
        items = each_of(self.item.accept, enumerate(value))
        # Keep the caller's list where no item was converted.
        if type(value) is self.kind and all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return self._make(items)

    def for_field(self, field: object) -> Converter:
        return ListConverter(self.kind, self.item.for_field(field)).annotated(self.annotation)

    def unchecked(self) -> Converter:
        return _with_item(self, self.item.unchecked())

    def _make(self, items: list[Any]) -> Any:
        if self.kind is list:
            return items
        try:
            return self.kind(items)
        except TypeError:
            raise Mismatch(f"{self.name} of hashable values", items) from None

    def dump(self, value: object) -> list[Any]:
        if not isinstance(value, self._takes):
            raise self.fail(value)
        items = each_of(self.item.dump, enumerate(value))
        # Sorted, as equal sets may iterate in different orders.
        return sorted(items, key=repr) if isinstance(value, (set, frozenset)) else items

    def operand(self, value: object) -> Any:
        # Like the server, compare a list field with lists or with its items.
        if isinstance(value, (list, tuple, set, frozenset)):
            try:
                return super().operand(value)
            except Mismatch:
                if not isinstance(self.item, ListConverter):
                    raise
        return self.item.operand(value)

    def exact(self, value: object) -> bool:
        return isinstance(value, (ListView, self.kind))


class TupleConverter(Converter):
    """tuple[A, B]: a list of this length."""

    keeps = True

    def __init__(self, items: list[Converter]) -> None:
        check_stored(items)
        self.items = items
        self.deep = any(each.deep for each in items)
        self.name = f"tuple[{', '.join(each.name for each in items)}]"

    def below(self, step: int | str) -> Converter | None:
        return self.items[step] if isinstance(step, int) and step < len(self.items) else None

    def parts(self) -> list[Converter]:
        return self.items

    def unchecked(self) -> Converter:
        items = [each.unchecked() for each in self.items]
        return self if items == self.items else TupleConverter(items).annotated(self.annotation)

    def _all(self, value: object, convert: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)) or len(value) != len(self.items):
            raise self.fail(value)
        converted = []
        for position, (converter, each) in enumerate(zip(self.items, value, strict=True)):
            try:
                converted.append(convert(converter, each, position))
            except Mismatch as mismatch:
                raise mismatch.under(position) from None
        return converted

    def load(self, stored: object, place: object) -> tuple[Any, ...]:
        if not isinstance(stored, ListView):
            raise self.fail(stored)
        return tuple(self._all(stored, lambda converter, each, position: converter.load(each, (place, position))))

    def native(self) -> NativeConverter:
        return NativeConverter.tuple_of([each.within() for each in self.items])

    def accept(self, value: object) -> tuple[Any, ...]:
        return tuple(self._all(value, lambda converter, each, _: converter.accept(each)))

    def dump(self, value: object) -> list[Any]:
        return self._all(value, lambda converter, each, _: converter.dump(each))

    def exact(self, value: object) -> bool:
        return isinstance(value, (ListView, tuple))


class DictConverter(Converter):
    """dict[str, T]: a document."""

    keeps = True
    keyed = True

    def __init__(self, item: Converter) -> None:
        check_stored([item])
        self.item: Converter = item
        self.deep, self.links = item.deep, item.links
        self.name = f"dict[str, {item.name}]"

    def load(self, stored: object, place: object) -> dict[str, Any]:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        item, deep, loaded = self.item, self.deep, {}
        for key, each in stored.items():
            try:
                loaded[key] = item.load(each, (place, key) if deep else None)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
        return loaded

    def native(self) -> NativeConverter:
        return NativeConverter.dict_of(self.item.within())

    def accept(self, value: object) -> Any:
        values = self._checked(value)
        accepted = dict(zip(values, each_of(self.item.accept, values.items()), strict=True))
        if type(value) is dict and all(accepted[key] is value[key] for key in value):
            return value
        return accepted

    def dump(self, value: object) -> dict[str, Any]:
        values = self._checked(value)
        return dict(zip(values, each_of(self.item.dump, values.items()), strict=True))

    def unchecked(self) -> Converter:
        return _with_item(self, self.item.unchecked())

    def _checked(self, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.fail(value)
        for key in value:
            if not isinstance(key, str):
                raise Mismatch("a key that is a str", key)
        return value

    def exact(self, value: object) -> bool:
        return isinstance(value, Mapping)


class EmbeddedConverter(Converter):
    """An embedded model: a document."""

    keeps = True
    deep = True

    def __init__(self, model: Any) -> None:
        self.model = model
        self.name = model.__name__

    @property
    def in_tree(self) -> bool:
        """The stored documents name their class."""
        return bool(self.model.__odm__.in_tree)

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        info = self.model.__odm__
        # In a tree the class may be one that is not defined yet.
        if self.in_tree or info in above or not _holds_fields_only(self.model):
            return True
        try:
            return any(field.converter.is_cyclic(above | {info}) for field in info.fields.values())
        except NameError:
            return True

    def keys_below(self) -> Mapping[str, Converter]:
        return {key: field.converter for key, field in self.model.__odm__.by_key.items()}

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        info = self.model.__odm__
        # In a tree the class may be one that is not defined yet.
        if self.in_tree:
            return True
        below = above | {info}
        return info not in above and any(field.converter.read_differs(below) for field in info.fields.values())

    def load(self, stored: object, place: object) -> Any:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        model = self.named(stored.get(CLASS_KEY)) if self.in_tree else self.model
        return model._embedded(stored, place)

    def native(self) -> NativeConverter | None:
        info = self.model.__odm__
        if not self.in_tree:
            return NativeConverter.embedded(info.maker(True)) if _is_made_natively(self.model) else None
        # Classes that join the tree later are made by `load`.
        below = [each for each in info.descendants() if _is_made_natively(each.cls)]
        if info not in below:
            return None
        return NativeConverter.embedded(
            info.maker(True), (CLASS_KEY, {each.class_id: each.maker(True) for each in below})
        )

    def knows(self, class_id: object) -> bool:
        """Return whether a stored class name is that of the model or of a class below it."""
        return self._class_of(class_id) is not None

    def _class_of(self, class_id: object) -> Any:
        classes = (each.cls for each in self.model.__odm__.descendants() if each.class_id == class_id)
        return next(classes, None)

    def named(self, class_id: object) -> Any:
        """Return the class of a stored name; the model for documents without one, which are older than the tree."""
        if class_id is None:
            return self.model
        if (found := self._class_of(class_id)) is not None:
            return found
        raise Mismatch(f"{self.name} or a class below it", class_id).under(CLASS_KEY)

    def accept(self, value: object) -> Any:
        if isinstance(value, self.model):
            if type(value) is self.model or self.in_tree:
                return value
            found = f"a {type(value).__name__}, whose class would not be stored"
            raise Mismatch(f"{self.name} itself, which has no Settings.is_root = True", value, found=found)
        if isinstance(value, Mapping):
            model = self.named(value.get(CLASS_KEY)) if self.in_tree else self.model
            return model._of_mapping(value)
        if self.model._takes_attributes(value):
            return self.model._of_mapping(self.model._attributes(value))
        raise self.fail(value)

    def dump(self, value: object) -> dict[str, Any]:
        return self.accept(value)._dump()  # type: ignore[no-any-return]

    def operand(self, value: object) -> Any:
        # Compare a mapping unchanged: the model's defaults would make it another document.
        return AnyConverter().dump(value) if isinstance(value, Mapping) else self.dump(value)

    def exact(self, value: object) -> bool:
        return type(value) is self.model or (self.in_tree and isinstance(value, self.model))


def _with_item(converter: ListConverter | DictConverter, item: Converter) -> Converter:
    """Return a converter with another converter of its items."""
    if item is converter.item:
        return converter
    made = copy.copy(converter)
    made.item = item
    return made


def _holds_fields_only(model: Any) -> bool:
    """Return whether instances of a model have no attributes beside their fields."""
    return bool(model.__basicsize__ == ModelView.__basicsize__ and model.__dictoffset__ == 0)


def _is_made_natively(model: Any) -> bool:
    """Return whether the native module makes the instances of a model: it calls no `__new__`."""
    return model.__new__ is ModelView.__new__


def models_of_items(converter: Converter) -> EmbeddedConverter | None:
    """Return the converter of the items of a list or tuple of one embedded model, or of None; else None."""
    item = converter.item
    is_list = isinstance(item, EmbeddedConverter) and not converter.keyed and converter.model is None
    return item if is_list else None  # type: ignore[return-value]


def check_stored(converters: Iterable[Converter]) -> None:
    """Refuse parts that are not stored.

    Raises
    ------
    TypeError
        For a BackLink.
    """
    if any(each.virtual for each in converters):
        raise TypeError(
            "a BackLink, which is not stored, cannot be part of this type: write BackLink[T] or list[BackLink[T]]"
        )
