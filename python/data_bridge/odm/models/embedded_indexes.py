"""Indexes of fields, also of those in embedded documents: `Field(unique=True)` of a model within a Document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ...commands.operations import IndexModel
from ..converters.containers import EmbeddedConverter, ListConverter, TupleConverter
from ..converters.converter import Converter
from ..converters.metadata import is_index
from ..converters.objects import ObjectConverter
from .option_checks import check_expiry


class _Options(NamedTuple):
    """The options of the index of a field, named as those of `Field`."""

    index: Any = False
    unique: bool = False
    index_options: Mapping[str, Any] = MappingProxyType({})
    sparse: bool = False
    expire_after_seconds: float | None = None

    @property
    def is_indexed(self) -> bool:
        return self.index is not False

    @classmethod
    def of(cls, declarations: Iterable[Any]) -> Any:
        """Return the options that a field of another library states in its annotation."""
        for each in declarations:
            if is_index(each):
                kind, arguments = getattr(each, "_indexed")  # noqa: B009 - an attribute of Beanie's class
                rest = {name: value for name, value in arguments.items() if name != "unique"}
                return cls(kind, bool(arguments.get("unique")), rest)
            if getattr(each, "is_indexed", False) is True:  # the `Field(...)` of this package
                return each
        return cls()


class _Place(NamedTuple):
    """The place of a value in a Document."""

    field: str
    """The field of the Document, for errors."""
    key: str
    classes: tuple[tuple[Any, bool], ...] = ()
    """The classes that contain the value, each with True if a field of it has an index."""
    in_list: bool = False
    """The value is an item of a list."""
    fault: str | None = None
    """The reason for which values here have no key that an index could have."""


def field_indexes(info: Any) -> Iterator[IndexModel]:
    """Yield the indexes of the fields of a Document, and of those in its embedded documents.

    The options of a Document that is embedded are those of its own collection.

    Raises
    ------
    TypeError
        For an index in a place without a key of its own, such as the values of a dict.
    """
    for field in info.fields.values():
        if field.options.is_indexed:
            yield _index(field.key, field.options)
        if field.stored:
            yield from _below(field.converter, _Place(f"{info.cls.__name__}.{field.name}", field.key))


def _index(key: str, options: Any) -> IndexModel:
    given: dict[str, Any] = {"unique": options.unique}
    if options.sparse:
        given["sparse"] = True
    if options.expire_after_seconds is not None:
        given["expireAfterSeconds"] = options.expire_after_seconds
    kind = 1 if options.index in (True, False) else options.index
    return IndexModel([(key, kind)], **{**given, **options.index_options})


def _below(converter: Converter, place: _Place) -> Iterator[IndexModel]:
    """Yield the indexes in the values of a converter."""
    if isinstance(converter, EmbeddedConverter):
        info = converter.model.__odm__
        for each in () if info.is_collection else info.descendants() if info.in_tree else [info]:
            fields = [
                (f"{each.cls.__name__}.{field.name}", field.key, field.options, field.converter)
                for field in each.fields.values()
                if field.stored
            ]
            yield from _of_class(each, fields, place)
    elif isinstance(converter, ObjectConverter):
        fields = [
            (f"{converter.name}.{name}", field.key, _Options.of(field.declarations), field.converter)
            for name, field in converter.fields.items()
        ]
        yield from _of_class(converter, fields, place)
    else:
        is_list = isinstance(converter, (ListConverter, TupleConverter))
        if converter.keyed or (is_list and place.in_list):
            inside = "values of a dict" if converter.keyed else "lists within lists"
            place = place._replace(in_list=False, fault=place.fault or f"{place.field}: {inside}")
        elif is_list:
            place = place._replace(in_list=True)
        for each in converter.parts():
            yield from _below(each, place)


def _of_class(cls: Any, fields: list[tuple[str, str, Any, Converter]], place: _Place) -> Iterator[IndexModel]:
    has_index = any(options.is_indexed for _, _, options, _ in fields)
    above = [each for each, _ in place.classes]
    if cls in above:
        if has_index or any(indexed for _, indexed in place.classes[above.index(cls) :]):
            raise TypeError(
                f"{place.field}: {fields[0][0].partition('.')[0]} contains itself, so that its indexes have no end: "
                "write those that you need in Settings.indexes of the Document"
            )
        return
    place = place._replace(classes=(*place.classes, (cls, has_index)), in_list=False)
    for name, own, options, converter in fields:
        key = f"{place.key}.{own}"
        if options.is_indexed:
            if place.fault is not None:
                raise TypeError(f"{place.fault} have no keys that an index could have: remove the index of {name}")
            check_expiry(options, converter)
            yield _index(key, options)
        yield from _below(converter, place._replace(key=key))
