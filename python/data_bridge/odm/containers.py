"""Plans of what holds other values: lists, dicts, embedded models, unions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

from .._core import Document, ListView
from .errors import Mismatch
from .plans import NULL, AnyPlan, NonePlan, Plan, ScalarPlan


class ListPlan(Plan):
    """list[T], set[T], frozenset[T] and tuple[T, ...]: a list."""

    keeps = True

    def __init__(self, kind: type, item: Plan) -> None:
        self.kind = kind
        self.item: Plan = item
        self.deep, self.virtual, self.links = item.deep, item.virtual, item.links
        self.name = f"{kind.__name__}[{item.name}{', ...' if kind is tuple else ''}]"
        self._takes = (list, tuple) if kind in (list, tuple) else (set, frozenset, list, tuple)

    def load(self, stored: Any, place: Any) -> Any:
        if not isinstance(stored, ListView):
            raise self.fail(stored)
        item, deep, loaded = self.item, self.deep, []
        for position, each in enumerate(stored):
            try:
                loaded.append(item.load(each, (place, position) if deep else None))
            except Mismatch as mismatch:
                raise mismatch.under(position) from None
        return self._make(loaded)

    def accept(self, value: Any) -> Any:
        if isinstance(value, ListView):
            value = value.to_list()
        if not isinstance(value, self._takes):
            raise self.fail(value)
        items = _each(self.item.accept, enumerate(value))
        # The list that was given stays the list, if nothing in it had to be converted.
        if type(value) is self.kind and all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return self._make(items)

    def for_field(self, field: Any) -> Plan:
        return ListPlan(self.kind, self.item.for_field(field))

    def _make(self, items: list[Any]) -> Any:
        if self.kind is list:
            return items
        try:
            return self.kind(items)
        except TypeError:
            raise Mismatch(f"{self.name} of hashable values", items) from None

    def dump(self, value: Any) -> list[Any]:
        if not isinstance(value, self._takes):
            raise self.fail(value)
        items = _each(self.item.dump, enumerate(value))
        # Equal sets may iterate differently, and must not look changed.
        return sorted(items, key=repr) if isinstance(value, (set, frozenset)) else items

    def operand(self, value: Any) -> Any:
        # A list field is compared with whole lists or, as the server does, with its items.
        if isinstance(value, (list, tuple, set, frozenset)):
            try:
                return super().operand(value)
            except Mismatch:
                if not isinstance(self.item, ListPlan):
                    raise
        return self.item.operand(value)

    def exact(self, value: Any) -> bool:
        return isinstance(value, (ListView, self.kind))


class TuplePlan(Plan):
    """tuple[A, B]: a list of that length."""

    keeps = True

    def __init__(self, items: list[Plan]) -> None:
        _stored(items)
        self.items = items
        self.deep = any(each.deep for each in items)
        self.name = f"tuple[{', '.join(each.name for each in items)}]"

    def _all(self, value: Any, convert: Any) -> list[Any]:
        if not isinstance(value, (list, tuple, ListView)) or len(value) != len(self.items):
            raise self.fail(value)
        converted = []
        for position, (plan, each) in enumerate(zip(self.items, value, strict=True)):
            try:
                converted.append(convert(plan, each, position))
            except Mismatch as mismatch:
                raise mismatch.under(position) from None
        return converted

    def load(self, stored: Any, place: Any) -> tuple[Any, ...]:
        if not isinstance(stored, ListView):
            raise self.fail(stored)
        return tuple(self._all(stored, lambda plan, each, position: plan.load(each, (place, position))))

    def accept(self, value: Any) -> tuple[Any, ...]:
        return tuple(self._all(value, lambda plan, each, _: plan.accept(each)))

    def dump(self, value: Any) -> list[Any]:
        return self._all(value, lambda plan, each, _: plan.dump(each))

    def exact(self, value: Any) -> bool:
        return isinstance(value, (ListView, tuple))


class DictPlan(Plan):
    """dict[str, T]: a document."""

    keeps = True
    keyed = True

    def __init__(self, item: Plan) -> None:
        _stored([item])
        self.item: Plan = item
        self.deep = item.deep
        self.name = f"dict[str, {item.name}]"

    def load(self, stored: Any, place: Any) -> dict[str, Any]:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        item, deep, loaded = self.item, self.deep, {}
        for key, each in stored.items():
            try:
                loaded[key] = item.load(each, (place, key) if deep else None)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
        return loaded

    def accept(self, value: Any) -> Any:
        values = self._checked(value)
        accepted = dict(zip(values, _each(self.item.accept, values.items()), strict=True))
        if type(value) is dict and all(accepted[key] is value[key] for key in value):
            return value
        return accepted

    def dump(self, value: Any) -> dict[str, Any]:
        values = self._checked(value)
        return dict(zip(values, _each(self.item.dump, values.items()), strict=True))

    def _checked(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.fail(value)
        for key in value:
            if not isinstance(key, str):
                raise Mismatch("a key that is a str", key)
        return value

    def exact(self, value: Any) -> bool:
        return isinstance(value, Mapping)


class EmbeddedPlan(Plan):
    """An embedded model: a document."""

    keeps = True
    deep = True

    def __init__(self, model: Any) -> None:
        self.model = model
        self.name = model.__name__

    def load(self, stored: Any, place: Any) -> Any:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        return self.model._embedded(stored, place)

    def accept(self, value: Any) -> Any:
        if isinstance(value, self.model):
            return value
        if isinstance(value, Mapping):
            return self.model._of_mapping(value)
        raise self.fail(value)

    def dump(self, value: Any) -> dict[str, Any]:
        return self.accept(value)._dump()  # type: ignore[no-any-return]

    def operand(self, value: Any) -> Any:
        # A mapping is compared as it is: with the model's defaults added it would be another document.
        return AnyPlan().dump(value) if isinstance(value, Mapping) else self.dump(value)

    def exact(self, value: Any) -> bool:
        return isinstance(value, self.model)


class UnionPlan(Plan):
    """A | B, Optional[T]: the first member that fits exactly, else the first that fits at all."""

    def __init__(self, members: list[Plan]) -> None:
        self.members = members
        self.name = " | ".join(each.name for each in members)
        self.keeps = any(each.keeps for each in members)
        self.deep = any(each.deep for each in members)
        self.nullable = any(each.nullable for each in members)
        others = [each for each in members if not isinstance(each, NonePlan)]
        self._alone = others[0] if len(others) == 1 else None
        self._embedded = [each for each in others if isinstance(each, EmbeddedPlan)]
        if self._alone is not None:
            self.direct = self._alone.direct | (NULL if self.nullable else 0)
            self.model, self.item, self.keyed = self._alone.model, self._alone.item, self._alone.keyed
            self.virtual = self._alone.virtual
            self.free, self.links, self.attribute = self._alone.free, self._alone.links, self._alone.attribute  # type: ignore[method-assign]
        elif all(isinstance(each, (NonePlan, ScalarPlan)) or each.keeps for each in members):
            self.direct = reduce(or_, (each.direct for each in members))

    def for_field(self, field: Any) -> Plan:
        return UnionPlan([each.for_field(field) for each in self.members])

    def load(self, stored: Any, place: Any) -> Any:
        if stored is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.load(stored, place)
        if len(self._embedded) > 1 and isinstance(stored, Document):
            return self._load_embedded(stored, place)
        return self._first(stored, lambda plan: plan.load(stored, place))

    def _load_embedded(self, stored: Document, place: Any) -> Any:
        # Embedded models look at their values when they are touched, which would be too late to take another one.
        for plan in self._embedded:
            loaded = plan.load(stored, place)
            if not loaded._unknown() and not loaded._faults():
                return loaded
        return self._first(stored, lambda plan: plan.load(stored, place)._checked(), self._embedded)

    def accept(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.accept(value)
        return self._first(value, lambda plan: plan.accept(value))

    def dump(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.dump(value)
        return self._first(value, lambda plan: plan.dump(value))

    def operand(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.operand(value)
        return self._first(value, lambda plan: plan.operand(value))

    def _first(self, value: Any, convert: Any, members: Iterable[Plan] | None = None) -> Any:
        members = list(self.members if members is None else members)
        for plan in sorted(members, key=lambda plan: not plan.exact(value)):
            try:
                return convert(plan)
            except (Mismatch, ValueError):
                continue
        raise self.fail(value)

    def exact(self, value: Any) -> bool:
        return any(each.exact(value) for each in self.members)


def _stored(plans: Iterable[Plan]) -> None:
    if any(each.virtual for each in plans):
        raise TypeError("a BackLink stands alone or in a list: nothing is stored for it")


def _each(convert: Any, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    converted = []
    for key, value in pairs:
        try:
            converted.append(convert(value))
        except Mismatch as mismatch:
            raise mismatch.under(key) from None
    return converted
