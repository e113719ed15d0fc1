"""Conversion of values that only BSON has to the annotated types, before pydantic or msgspec read them.

These libraries do not support Decimal128, take bytes of any subtype for a UUID, and have dates of their own. They
decide about all other values, so only values annotated as Decimal, UUID or date are converted; and bytes, where a
library would drop the subtype of a Binary.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from ..odm.errors import Mismatch
from . import declared
from .declared import FieldOf

Leaves = Mapping[Any, tuple[type, Callable[[Any], Any]]]
"""By annotation: the stored type that is converted, and the conversion."""


class Preparation:
    """The conversions below one place of a document; a place without conversions has no object."""

    __slots__ = ("item", "keys", "leaves", "values")

    def __init__(self) -> None:
        self.leaves: dict[type, Callable[[Any], Any]] = {}
        self.keys: dict[str, Preparation] = {}
        self.item: Preparation | None = None
        self.values: Preparation | None = None

    def apply(self, value: Any) -> Any:
        """The value prepared; dicts and lists are changed in place.

        Raises
        ------
        Mismatch
            For a value that would be taken for another one.
        """
        kind = type(value)
        if kind is dict:
            for key, below in self.keys.items():
                if key in value:
                    value[key] = _under(key, below, value[key])
            if self.values is not None:
                for key in value:
                    if key not in self.keys:
                        value[key] = _under(key, self.values, value[key])
            return value
        if kind is list:
            if self.item is not None:
                for position, each in enumerate(value):
                    value[position] = _under(position, self.item, each)
            return value
        leaf = self.leaves.get(kind)
        return value if leaf is None else leaf(value)

    def _absorb(self, other: Preparation) -> None:
        """Merge the conversions of another member of a union."""
        self.leaves.update(other.leaves)
        for key, below in other.keys.items():
            self._add(key, below)
        self.item = _both(self.item, other.item)
        self.values = _both(self.values, other.values)

    def _add(self, key: str, below: Preparation) -> None:
        merged = _both(self.keys.get(key), below)
        assert merged is not None
        self.keys[key] = merged


def preparation(annotation: object, *, keeps_subtypes: bool) -> Preparation | None:
    """Return the conversions of values for an annotation; None for none.

    Parameters
    ----------
    keeps_subtypes
        True keeps a Binary where the annotation is bytes; False refuses it there.

    Raises
    ------
    TypeError
        For an annotation that cannot be resolved.
    """
    return _useful(_of(annotation, {}, _leaves(keeps_subtypes)))


class IdTexts:
    """The conversion of ObjectIds where str is annotated: their 24 digits.

    It runs for a result only if one of its documents needs it, as most values annotated as str are str.
    """

    def __init__(self, annotation: object) -> None:
        self._needed = False
        self._preparation = _useful(_of(annotation, {}, {str: (ObjectId, self._text)}))

    def _text(self, value: ObjectId) -> str:
        self._needed = True
        return str(value)

    def prepare(self, documents: list[dict[str, Any]]) -> None:
        """Convert the values of all documents, if the first one or an earlier result needed it."""
        if self._preparation is None or not documents:
            return
        self._preparation.apply(documents[0])
        if self._needed:
            self._apply(documents)

    def retry(self, documents: list[dict[str, Any]]) -> bool:
        """Convert the values of documents that a library has refused; return whether there were any."""
        if self._preparation is None or self._needed:
            return False
        self._apply(documents)
        return self._needed

    def _apply(self, documents: list[dict[str, Any]]) -> None:
        assert self._preparation is not None
        for document in documents:
            self._preparation.apply(document)


def _useful(root: Preparation | None) -> Preparation | None:
    """Return the preparation without the places that no conversion is below; None for none."""
    if root is None:
        return None
    every: list[Preparation] = []
    _collect(root, every)
    # Classes may refer to themselves: what leads to a leaf is found by going on until nothing is added.
    useful = {id(each) for each in every if each.leaves}
    while more := {id(each) for each in every if id(each) not in useful and _leads(each, useful)}:
        useful |= more
    for each in every:
        each.keys = {key: below for key, below in each.keys.items() if id(below) in useful}
        each.item = each.item if id(each.item) in useful else None
        each.values = each.values if id(each.values) in useful else None
    return root if id(root) in useful else None


def _under(key: Any, below: Preparation, value: object) -> Any:
    try:
        return below.apply(value)
    except Mismatch as mismatch:
        raise mismatch.under(key) from None


def _both(one: Preparation | None, other: Preparation | None) -> Preparation | None:
    if one is None or other is None or one is other:
        return one or other
    merged = Preparation()
    merged._absorb(one)
    merged._absorb(other)
    return merged


def _below(node: Preparation) -> list[Preparation]:
    return [each for each in (*node.keys.values(), node.item, node.values) if each is not None]


def _collect(node: Preparation, every: list[Preparation]) -> None:
    if not any(node is each for each in every):
        every.append(node)
        for each in _below(node):
            _collect(each, every)


def _leads(node: Preparation, useful: set[int]) -> bool:
    return any(id(each) in useful for each in _below(node))


def _of(annotation: object, classes: dict[Any, Preparation], leaves: Leaves) -> Preparation | None:
    while get_origin(annotation) is Annotated:
        if any(map(declared.converts, get_args(annotation)[1:])):
            return None
        annotation = get_args(annotation)[0]
    annotation = declared.bare(annotation)
    union = declared.members(annotation)
    if len(union) > 1:
        made: Preparation | None = None
        for each in union:
            made = _both(made, _of(each, classes, leaves))
        if made is not None:
            # Decimal128 | Decimal keeps what is stored.
            made.leaves = {kind: leaf for kind, leaf in made.leaves.items() if kind not in union}
            takers = {bytes, Any, object} - leaves.keys()
            if ObjectId in made.leaves and not {Any, object}.isdisjoint(union):
                del made.leaves[ObjectId]
            if Binary in made.leaves and not takers.isdisjoint(union):
                made.leaves[Binary] = _lenient(made.leaves[Binary])
        return made
    if annotation in leaves:
        made = Preparation()
        stored_as, leaf = leaves[annotation]
        made.leaves[stored_as] = leaf
        return made
    kind = get_origin(annotation) or annotation
    if not isinstance(kind, type) or issubclass(kind, (str, bytes)):
        return None
    return _of_class(kind, get_args(annotation), classes, leaves)


def _of_class(
    kind: type, arguments: tuple[Any, ...], classes: dict[Any, Preparation], leaves: Leaves
) -> Preparation | None:
    if kind in classes:
        return classes[kind]
    made = Preparation()
    if issubclass(kind, Mapping) and len(arguments) == 2:
        made.values = _of(arguments[1], classes, leaves)
        return made
    if issubclass(kind, Iterable) and arguments:
        for each in arguments:
            made.item = _both(made.item, None if each is ... else _of(each, classes, leaves))
        return made
    fields: list[FieldOf] = list(declared.fields_of(kind))
    if not fields:
        return None
    classes[kind] = made
    for field in fields:
        below = _of(field.annotation, classes, leaves)
        for key in field.keys if below is not None else ():
            assert below is not None
            made._add(key, below)
    return made


def _leaves(keeps_subtypes: bool) -> Leaves:
    leaves = {
        decimal.Decimal: (Decimal128, _lenient(_load(decimal.Decimal))),
        # Strictly: 16 bytes of subtype 3 would pass for a UUID, with its bytes in another order.
        uuid.UUID: (Binary, _load(uuid.UUID)),
        dt.date: (dt.datetime, _lenient(_load(dt.date))),
    }
    return leaves if keeps_subtypes else {**leaves, **dict.fromkeys((bytes, bytearray, memoryview), (Binary, _refuse))}


def _load(kind: type) -> Callable[[Any], Any]:
    from ..odm.converters.conversions import PythonTypeConverter

    load = PythonTypeConverter.kinds[kind]().load
    return lambda value: load(value, None)


def _refuse(value: Binary) -> Any:
    raise Mismatch("bytes without a subtype", value, found=f"binary of subtype {value.subtype}")


def _lenient(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As `load`, but what does not fit stays as it is, for the library to say what is wrong with it."""

    def loaded(value: object) -> Any:
        try:
            return load(value)
        except Mismatch:
            return value

    return loaded
