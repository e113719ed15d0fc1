"""Paths of fields, such as `User.age`, and the expressions that comparisons make of them.

All public names of a path are names of fields, so that `User.address.size` is always a field. Operators without a
Python operator are in `operators`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias

from bson.regex import Regex

from ...errors import InvalidQuery
from ..converters.checks import Accept, ValidationInfo
from ..converters.converter import AnyConverter, Converter, not_stored
from ..errors import Mismatch, describe
from . import mappings, trust

Others: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Gives the values of an instance for validators: those of the other fields, by the name of one."""


class Sort:
    """A key and a direction, such as `-User.age`."""

    __slots__ = ("_root", "direction", "key")

    def __init__(self, key: str, direction: int, _root: FieldPath | None = None) -> None:
        self._root = _root
        self.key = key
        self.direction = direction

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sort) and (self.key, self.direction) == (other.key, other.direction)

    def __hash__(self) -> int:
        return hash((self.key, self.direction))

    def __repr__(self) -> str:
        return f"Sort({self.key!r}, {self.direction!r})"


class Expression(mappings.Condition):
    """A condition on documents. Combine with `&`, `|` and `~`; `and`, `or`, `not` and chained comparisons raise."""

    __slots__ = ("_roots", "document")

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Make an expression of a filter document, with the checks of `find`.

        Raises
        ------
        TypeError
            For a value that is no mapping.
        InvalidQuery
            For operators that run code in a mapping that is not trusted.
        """
        if not isinstance(document, Mapping):
            raise TypeError(f"an Expression takes a mapping, got {describe(document)}")
        self.document = as_filter(document)
        """The filter as it is sent."""
        self._roots: frozenset[FieldPath] = frozenset(mappings.roots_in(document))

    def __and__(self, other: object) -> Expression:
        return expression_of(all_of([self, other]), roots_of(self, other))

    def __rand__(self, other: object) -> Expression:
        return expression_of(all_of([other, self]), roots_of(self, other))

    def __or__(self, other: object) -> Expression:
        return expression_of({"$or": [*_alternatives(self), *_alternatives(other)]}, roots_of(self, other))

    def __ror__(self, other: object) -> Expression:
        return expression_of({"$or": [*_alternatives(other), *_alternatives(self)]}, roots_of(self, other))

    def __invert__(self) -> Expression:
        return expression_of({"$nor": [self.document]}, self._roots)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition has no truth value: use & for and, | for or, ~ for not, and two comparisons for a range"
        )

    def __repr__(self) -> str:
        return f"Expression({self.document!r})"


def expression_of(document: Mapping[str, Any], roots: Iterable[FieldPath] = ()) -> Expression:
    """Return the expression of a document made by operators: its values are values, even with keys like operators.

    `roots` are the fields of a model in the document.
    """
    expression = Expression.__new__(Expression)
    expression.document, expression._roots = document, frozenset(roots)
    return expression


def roots_of(*filters: object) -> frozenset[FieldPath]:
    """Return the fields of a model in the expressions among filters."""
    found = [each._roots for each in filters if isinstance(each, Expression)]
    found += [frozenset(mappings.roots_in(each)) for each in filters if isinstance(each, Mapping)]
    return found[0] if len(found) == 1 else frozenset[FieldPath]().union(*found)


class FieldPath(mappings.StoredKey):
    """A declared field, or a path below one. Only declared names resolve."""

    __slots__ = ("_below", "_label", "_parent", "_root", "_source", "_step", "_stored_key")

    def __init__(self, label: str, step: int | str, source: Any, parent: FieldPath | None = None) -> None:
        self._parent = parent
        self._root: FieldPath = self if parent is None else parent._root
        self._label = label
        self._step = step
        """The last step of the key: a key, or a position in a list."""
        self._stored_key: str = str(step) if parent is None else f"{parent._stored_key}.{step}"
        self._source = source
        self._below: dict[str, FieldPath] = {}

    @property
    def _converter(self) -> Converter:
        # A field of a model has a converter once its annotation can be resolved.
        source = self._source
        return source if isinstance(source, Converter) else source.converter

    @property
    def _key(self) -> str:
        """The dotted key in stored documents.

        Raises
        ------
        InvalidQuery
            For a field that is not stored: a condition on its key would be a condition on null.
        """
        if self._converter.virtual:
            raise InvalidQuery(not_stored(self._label, self._converter))
        options = getattr(self._source, "options", None)
        if options is not None and options.exclude:
            raise InvalidQuery(
                f"{self._label} is not stored, as Field(exclude=True) says: filters and updates cannot use it"
            )
        return self._stored_key

    def __getattr__(self, name: str) -> FieldPath:
        if name.startswith("_"):
            raise AttributeError(name)
        # The same object each time, as a dict compares its keys by identity first.
        if name not in self._below:
            found = self._converter.attribute(name)
            if found is None:
                hint = f'; use {self._label}["{name}"]' if self._converter.free or self._converter.keyed else ""
                raise AttributeError(f"{self._label} ({self._converter.name}) declares no field {name!r}{hint}")
            key, source = found
            self._below[name] = FieldPath(f"{self._label}.{name}", key, source, self)
        return self._below[name]

    def _named(self, name: str) -> FieldPath:
        """Return the field below with this name, or else with this stored key."""
        converter = self._converter
        while converter.model is None and converter.item is not None and not converter.keyed:
            converter = converter.item
        if converter.links is not None and name in ("_id", "$id"):
            name = "id"
        if converter.model is not None and name not in converter.model.__odm__.fields:
            field = converter.model.__odm__.by_key.get(name)
            name = name if field is None else field.name
        found: FieldPath = getattr(self, name)
        return found

    def __getitem__(self, step: int | str) -> Any:
        converter = self._converter
        if converter.keyed:
            try:
                step = converter.key(step)  # type: ignore[assignment]
            except Mismatch as mismatch:
                raise invalid_operand(self._label, mismatch) from None
        if isinstance(step, bool) or not isinstance(step, (int, str)):
            raise TypeError(f"{self._label} is indexed by a position or a key, got {type(step).__name__}")
        if isinstance(step, int):
            if step < 0:
                raise InvalidQuery(f"{self._label}[{step}]: positions are counted from the start")
        else:
            check_key(step)
        below = AnyConverter() if converter.free else converter.below(step)
        if below is None:
            lacks = f"position {step}" if isinstance(step, int) else "keys"
            raise TypeError(f"{self._label} ({converter.name}) has no {lacks}")
        return FieldPath(f"{self._label}[{step!r}]", step, below, self)

    def __iter__(self) -> NoReturn:
        # `__getitem__` would otherwise make it an endless iterable.
        raise TypeError(f"{self._label} is a field of a model, not a value")

    __contains__ = None

    def _operand(self, value: object) -> Any:
        if isinstance(value, (FieldPath, Expression)):
            raise TypeError(f"{self._label} cannot be compared with another field: use operators.Expr")
        if value is None:
            return None
        try:
            return self._converter.unchecked().operand(value)
        except Mismatch as mismatch:
            raise invalid_operand(self._label, mismatch) from None

    def _compared(self, operator: str, value: object) -> Expression:
        return expression_of({self._key: {operator: self._operand(value)}}, [self._root])

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        operand = self._operand(value)
        # Without $eq, these would be operators or a pattern to match.
        if isinstance(operand, (Mapping, Regex, re.Pattern)):
            operand = {"$eq": operand}
        return expression_of({self._key: operand}, [self._root])

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return self._compared("$ne", value)

    def __lt__(self, value: object) -> Expression:
        return self._compared("$lt", value)

    def __le__(self, value: object) -> Expression:
        return self._compared("$lte", value)

    def __gt__(self, value: object) -> Expression:
        return self._compared("$gt", value)

    def __ge__(self, value: object) -> Expression:
        return self._compared("$gte", value)

    # By identity, also in dicts: comparisons have no truth value, so a field and its key, or two fields with one key,
    # are two keys of a dict, and `mappings.stored` refuses them together.
    __hash__ = object.__hash__

    def __neg__(self) -> Sort:
        return Sort(self._key, -1, self._root)

    def __pos__(self) -> Sort:
        return Sort(self._key, 1, self._root)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self._label} is a field of a model, not a value: compare it with one")

    def __repr__(self) -> str:
        return self._label


# The interface of paths for other modules: a FieldPath has no public names, because these are the fields below it.


def key_of(field: FieldPath) -> str:
    """Return the dotted key in stored documents.

    Raises
    ------
    InvalidQuery
        For a BackLink, which is not stored.
    """
    return field._key


def converter_at(field: FieldPath) -> Converter:
    """Return the converter of the values of a field."""
    return field._converter


def accept_at(model: Any, field: FieldPath, others: Others | None) -> Accept:
    """Return the conversion of a value that an update of `model` stores in a field, with constraints and validators."""
    source, accept = field._source, field._converter.accept
    if field._parent is None:
        # The path may be that of a class above, which has fewer validators.
        source = model.__odm__.fields.get(source.name, source)
    for validator in getattr(source, "validators", ()):
        data = others(source.name) if others is not None and field._parent is None else {}
        accept = validator.around(accept, ValidationInfo(data, source.name))
    return accept


def root_of(field: FieldPath) -> FieldPath:
    """Return the field of the model that a path starts with."""
    return field._root


def root_of_sort(sort: Sort) -> FieldPath | None:
    """Return the field of the model that a sort starts with; None for one that was made of a key."""
    return sort._root


def declaration_of(root: FieldPath) -> Any:
    """Return the declared field, a FieldInfo, of the path that is its root."""
    return root._source


def steps_of(field: FieldPath) -> list[FieldPath]:
    """Return the field of the model and the paths below it, down to this one."""
    steps = [field]
    while (parent := steps[0]._parent) is not None:
        steps.insert(0, parent)
    return steps


def step_of(field: FieldPath) -> int | str:
    """Return the last step of a path: a key, or a position in a list."""
    return field._step


def path_below(field: FieldPath, name: str) -> FieldPath:
    """Return the path below a field, by the name of a declared field or by a stored key."""
    return field._named(name)


def path_of_items(field: FieldPath, position: str) -> FieldPath:
    """Return the path of items of a list that an update names by `$`, `$[]` or `$[name]`.

    Raises
    ------
    TypeError
        For a field that is no list.
    """
    converter = field._converter
    item = converter if converter.free else converter.below(0)
    if item is None:
        raise TypeError(f"{field!r} ({converter.name}) has no positions such as {position!r}")
    return FieldPath(f"{field._label}.{position}", position, item, field)


def operand_of(field: FieldPath, value: object) -> Any:
    """Return a value of a condition on a field, as it is stored.

    Raises
    ------
    InvalidQuery
        For a value that does not fit the field.
    """
    return field._operand(value)


def invalid_operand(label: str, mismatch: Mismatch) -> InvalidQuery:
    """Return the error of a value that does not fit the field with this label."""
    place = "".join(f"[{step!r}]" for step in mismatch.path)
    fault = mismatch.reason or f"expected {mismatch.expected}, got {mismatch.found}"
    return InvalidQuery(f"{label}{place}: {fault}")


def path(field: object) -> Any:
    """Return the same field with type Any, for type checkers: `path(User.address).city` where `address` may be None."""
    return field


def as_filter(value: object) -> Mapping[str, Any]:
    """Return the filter of an expression or mapping.

    Raises
    ------
    TypeError
        For any other value. A `bool` means that a comparison did not make an expression.
    InvalidQuery
        For operators that run code in a mapping that is not trusted.
    """
    if isinstance(value, Expression):
        return value.document
    if isinstance(value, Mapping):
        trust.check_code(value, "filter")
        return mapping_of("filter", value)  # type: ignore[no-any-return]
    raise TypeError(
        f"a filter must be an expression such as User.age > 25, or a mapping, got {describe(value)}; nothing was sent"
    )


def mapping_of(what: str, value: object) -> Any:
    """Return a mapping or list of the caller with keys and values as they are stored.

    Raises
    ------
    InvalidQuery
        For a value that cannot be stored, and for a BackLink as a key.
    """
    try:
        return mappings.stored(value)
    except Mismatch as mismatch:
        raise invalid_operand(what, mismatch) from None


def all_of(filters: Iterable[Any]) -> Mapping[str, Any]:
    """Return one filter of several."""
    clauses: list[Mapping[str, Any]] = []
    for each in filters:
        document = as_filter(each)
        if not document:
            continue
        clauses.extend(_clauses("$and", document))
    if len(clauses) == 1:
        return clauses[0]
    return {"$and": clauses} if clauses else {}


def _alternatives(filter: object) -> list[Mapping[str, Any]]:
    # Flat: nested alternatives could exceed the depth of a command.
    return _clauses("$or", as_filter(filter))


def _clauses(operator: str, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the clauses of a filter that consists of `operator` only; any other filter is one clause."""
    below = document.get(operator)
    # Keep invalid filters: `{"$and": []}`, which the server refuses, must not become a filter that matches everything.
    flat = len(document) == 1 and isinstance(below, list) and below and all(isinstance(each, Mapping) for each in below)
    return list(below) if flat and not isinstance(document, trust.Trusted) else [document]  # type: ignore[arg-type]


def check_key(key: str) -> str:
    """Return a key that can be part of a dotted path and is no operator.

    Raises
    ------
    InvalidQuery
        For any other key.
    """
    if not key or "." in key or key.startswith("$") or "\0" in key:
        raise InvalidQuery(
            f"{key!r} cannot be part of a path: a key has no dots, no NUL and no leading $, and is not empty"
        )
    return key
