"""Update operators. Values are converted by their fields and are never operators."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, overload

from bson.regex import Regex

from ...errors import InvalidQuery
from ..converters.checks import Accept
from ..converters.converter import Converter
from ..errors import Mismatch
from . import linked_paths, mappings, trust
from .expressions import (
    Expression,
    FieldPath,
    Others,
    accept_at,
    converter_at,
    invalid_operand,
    key_of,
    mapping_of,
    roots_of,
)
from .linked_stages import stages_of
from .lookup import check_fields, check_items, resolve

_MISSING: Any = object()
_SOME_TIME = dt.datetime(2000, 1, 1, 12)
"""A time with hours, like those that the server stores."""


class Update:
    """One update operator and the fields it changes: `Set({User.age: 5, User.name: "Ada"})`, or `Set(User.age, 5)`.

    The second form is for single fields, and for fields that type checkers take for lists, which cannot be keys.
    """

    operator: str
    stores: ClassVar[bool] = False
    """The values are those that the fields get: constraints and validators are for these only."""

    @overload
    def __init__(self, changes: Mapping[Any, Any], /) -> None: ...
    @overload
    def __init__(self, field: object, value: object, /) -> None: ...
    def __init__(self, changes: object, value: object = _MISSING, /) -> None:
        if value is not _MISSING:
            changes = {changes: value}
        if not isinstance(changes, Mapping) or not changes:
            raise TypeError(f"{type(self).__name__} takes a mapping of fields to values, or a field and a value")
        self.changes = dict(changes)

    def document(self, model: Any, others: Others | None = None) -> dict[str, Any]:
        """Return {operator: {key: value}} with the keys of `model`.

        Parameters
        ----------
        others
            The values of the instance that is updated, for validators; None for an update of a query.

        Raises
        ------
        InvalidQuery
            For a value that does not fit its field, and for two changes of one key.
        """
        changes: dict[str, Any] = {}
        for field, value in self.changes.items():
            found = resolve(model, field, positional=True)
            if (key := key_of(found)) in changes:
                raise InvalidQuery(f"{self.operator} names {key!r} twice")
            changes[key] = _stored(model, found, value, others) if self.stores else self._value(found, value)
        return {self.operator: changes}

    def _value(self, field: FieldPath, value: object) -> Any:
        return _whole(field, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.changes!r})"


class Set(Update):
    """Sets fields to values."""

    operator = "$set"
    stores = True


class SetOnInsert(Update):
    """Sets fields when an upsert inserts."""

    operator = "$setOnInsert"
    stores = True


class Inc(Update):
    """Adds to numbers. The operand must have the type of the field, as an int plus 1.5 is no int.

    The constraints of the field are for its values, not for the operand.
    """

    operator = "$inc"


class Mul(Inc):
    """Multiplies numbers by a value of the field's type."""

    operator = "$mul"


class Min(Update):
    """Sets fields to values that are less than the stored ones."""

    operator = "$min"
    stores = True


class Max(Update):
    """Sets fields to values that are greater than the stored ones."""

    operator = "$max"
    stores = True


class Unset(Update):
    """Removes fields: `Unset(User.age, User.name)`, or `Unset({User.age: ""})`."""

    operator = "$unset"

    def __init__(self, *fields: object) -> None:
        super().__init__(_named("Unset", fields, ("", 1, True)))

    def _value(self, field: FieldPath, value: object) -> Any:
        return ""


class Rename(Update):
    """Renames fields: `Rename({User.old: "new"})`."""

    operator = "$rename"

    def _value(self, field: FieldPath, value: object) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"the new name of {field!r} must be a str, got {type(value).__name__}")
        return value


class CurrentDate(Update):
    """Sets fields to the server's time: `CurrentDate(User.seen)`, or `CurrentDate({User.seen: True})`."""

    operator = "$currentDate"

    def __init__(self, *fields: object) -> None:
        super().__init__(_named("CurrentDate", fields, (True,)))

    def _value(self, field: FieldPath, value: object) -> Any:
        _whole(field, _SOME_TIME)
        return True


def _named(what: str, fields: tuple[object, ...], values: tuple[object, ...]) -> dict[Any, Any]:
    """Return the fields of an operator that takes no values, also where they are the keys of a mapping."""
    if len(fields) != 1 or not isinstance(fields[0], Mapping):
        return dict.fromkeys(fields, values[0])
    for value in fields[0].values():
        if value not in values:
            raise TypeError(f"{what} takes fields, or a mapping of fields to {values[0]!r}, got {value!r}")
    return dict.fromkeys(fields[0], values[0])


class Pop(Update):
    """Removes the last item of lists (1) or the first (-1)."""

    operator = "$pop"

    def _value(self, field: FieldPath, value: object) -> Any:
        if value not in (1, -1) or isinstance(value, bool):
            raise InvalidQuery(f"Pop takes 1 (the last item) or -1 (the first), got {value!r}")
        return value


class Each:
    """Several items for Push and AddToSet; the parameters are for Push only.

    Parameters
    ----------
    position
        The position to insert at; the end by default.
    slice
        The number of items to keep: the first ones, or the last ones if negative.
    sort
        1 or -1 for items, or a mapping of their fields to 1 and -1.
    """

    def __init__(
        self, items: Iterable[Any], *, position: int | None = None, slice: int | None = None, sort: object = None
    ) -> None:
        self.items = _listed("Each", items)
        self.modifiers = {
            name: value
            for name, value in (("$position", position), ("$slice", slice), ("$sort", sort))
            if value is not None
        }


class Push(Update):
    """Appends an item to lists; several with `Each`."""

    operator = "$push"

    def _value(self, field: FieldPath, value: object) -> Any:
        # Always $each, as a mapping from outside must not become a modifier.
        each = value if isinstance(value, Each) else Each([value])
        modifiers = dict(each.modifiers)
        if "$sort" in modifiers:
            modifiers["$sort"] = _item_sort(field, modifiers["$sort"])
        return {"$each": [_item(field, item) for item in each.items], **modifiers}


class AddToSet(Push):
    """Appends an item to lists that do not contain it; several with `Each`."""

    operator = "$addToSet"


class Pull(Update):
    """Removes the items that equal a value or match an expression of the item's model."""

    operator = "$pull"

    def _value(self, field: FieldPath, value: object) -> Any:
        if isinstance(value, Expression):
            check_items(field, roots_of(value))
            for model in converter_at(field).models() or ():
                for key in linked_paths.keys_of(value.document):
                    linked_paths.check_stored(model, key)
            return value.document
        item = _item(field, value, checked=False)
        if isinstance(item, Mapping) and any(str(key).startswith("$") for key in item):
            raise InvalidQuery(f"Pull takes a value or an expression, got a mapping with operators: {value!r}")
        if isinstance(item, (Regex, re.Pattern)):
            raise InvalidQuery("Pull takes a value or an expression, got a pattern: use RegEx in an expression")
        return {"$in": [item]}


class PullAll(Update):
    """Removes the items that equal one of several values."""

    operator = "$pullAll"

    def _value(self, field: FieldPath, value: object) -> Any:
        return [_item(field, item, checked=False) for item in _listed("PullAll", value)]


def update_document(model: Any, updates: Iterable[Any], others: Others | None = None) -> dict[str, Any]:
    """Return one update of several operators and mappings; `others` as for `Update.document`.

    Raises
    ------
    TypeError
        For any other object.
    InvalidQuery
        For an empty update, for a mapping without operators, and for two changes of one key.
    """
    merged: dict[str, Any] = {}
    for update in updates:
        if isinstance(update, Update):
            document: Mapping[str, Any] = update.document(model, others)
            for changes in document.values():
                linked_paths.check_changes(model, changes)
        elif isinstance(update, Mapping):
            document = _of_caller(model, update)
            for changes in document.values():
                if isinstance(changes, Mapping):
                    linked_paths.check_changes(model, changes)
        else:
            raise TypeError(f"an update must be an operator such as Set, or a mapping, got {type(update).__name__}")
        for operator, changes in document.items():
            if not operator.startswith("$") or not isinstance(changes, Mapping):
                raise InvalidQuery(f"{operator!r} is no update operator; to replace a whole document use replace()")
            into = merged.setdefault(operator, {})
            for key, value in changes.items():
                if key in into:
                    raise InvalidQuery(f"{operator} names {key!r} twice")
                into[key] = value
    if not merged:
        raise InvalidQuery("the update is empty: pass operators such as Set, or a mapping with operators")
    return merged


def update_pipeline(model: Any, stages: Iterable[Any]) -> list[Any]:
    """Return the stages of an update by an aggregation pipeline.

    Raises
    ------
    TypeError
        For a stage that is no mapping.
    InvalidQuery
        For a pipeline without stages, and for a stage that sets or reads keys of linked documents.
    """
    pipeline: list[Any] = []
    for stage in stages:
        if not isinstance(stage, Mapping):
            raise TypeError(f"a stage of an update pipeline must be a mapping, got {type(stage).__name__}")
        document = _of_caller(model, stage)
        for operator in ("$set", "$addFields"):
            linked_paths.check_changes(model, document.get(operator, {}))
        pipeline.append(document)
    if not pipeline:
        raise InvalidQuery("the update pipeline has no stages")
    return stages_of(model, pipeline)


def _of_caller(model: Any, update: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return a mapping of the caller with keys and values as they are stored."""
    trust.check_code(update, "update")
    check_fields(model, mappings.roots_in(update))
    return mapping_of("update", update)  # type: ignore[no-any-return]


def _listed(what: str, items: object) -> list[Any]:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise TypeError(f"{what} takes a list of items, got {type(items).__name__}")
    return list(items)


def _stored(model: Any, field: FieldPath, value: object, others: Others | None) -> Any:
    """Return a value that the field itself gets, not one of its items."""
    _check_null(field, value)
    return _converted(field, converter_at(field), accept_at(model, field, others), value)


def _whole(field: FieldPath, value: object) -> Any:
    """Return an operand of the type of the field itself, not of one of its items."""
    _check_null(field, value)
    converter = converter_at(field).unchecked()
    return _converted(field, converter, converter.accept, value)


def _check_null(field: FieldPath, value: object) -> None:
    if value is None and not converter_at(field).nullable:
        raise InvalidQuery(f"{field!r}: expected {converter_at(field).name}, got None")


def _item(field: FieldPath, value: object, *, checked: bool = True) -> Any:
    converter = converter_at(field)
    if converter.item is not None and not converter.keyed:
        converter = converter.item
    elif not converter.free:
        raise InvalidQuery(f"{field!r} ({converter.name}) is no list")
    converter = converter if checked else converter.unchecked()
    return _converted(field, converter, converter.accept, value)


def _item_sort(field: FieldPath, sort: object) -> Any:
    """Return an order of items, with the keys of the fields of their model."""
    for direction in sort.values() if isinstance(sort, Mapping) else [sort]:
        if direction not in (1, -1) or isinstance(direction, bool):
            raise InvalidQuery(f"{field!r}: items are sorted by 1 or -1, got {direction!r}")
    item = converter_at(field).item
    if not isinstance(sort, Mapping) or item is None or item.model is None:
        return sort
    keys = {key_of(resolve(item.model, key)): direction for key, direction in sort.items()}
    if len(keys) < len(sort):
        raise InvalidQuery(f"{field!r}: a key to sort by is named twice: {', '.join(keys)}")
    for key in keys:
        linked_paths.check_stored(item.model, key)
    return keys


def _converted(field: FieldPath, converter: Converter, accept: Accept, value: object) -> Any:
    try:
        return converter.dump(accept(value))
    except Mismatch as mismatch:
        raise invalid_operand(repr(field), mismatch) from mismatch.__cause__
