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
            yield from _below(field.converter, f"{info.cls.__name__}.{field.name}", field.key, ())


def _index(key: str, options: Any) -> IndexModel:
    given: dict[str, Any] = {"unique": options.unique}
    if options.sparse:
        given["sparse"] = True
    if options.expire_after_seconds is not None:
        given["expireAfterSeconds"] = options.expire_after_seconds
    kind = 1 if options.index in (True, False) else options.index
    return IndexModel([(key, kind)], **{**given, **options.index_options})


def _below(converter: Converter, place: str, key: str, above: tuple[Any, ...]) -> Iterator[IndexModel]:
    """Yield the indexes in the values of a converter; `above` are the classes that contain them, and the lists."""
    if isinstance(converter, EmbeddedConverter):
        info = converter.model.__odm__
        for each in () if info.is_collection else info.descendants() if info.in_tree else [info]:
            fields = [
                (f"{each.cls.__name__}.{field.name}", field.key, field.options, field.converter)
                for field in each.fields.values()
                if field.stored
            ]
            yield from _of_class(each, fields, place, key, above)
    elif isinstance(converter, ObjectConverter):
        fields = [
            (f"{converter.name}.{name}", field.key, _Options.of(field.declarations), field.converter)
            for name, field in converter.fields.items()
        ]
        yield from _of_class(converter, fields, place, key, above)
    else:
        is_list = isinstance(converter, (ListConverter, TupleConverter))
        if converter.keyed or (is_list and above[-1:] == (list,)):
            inside = "values of a dict" if converter.keyed else "lists within lists"
            above = (*above, f"{place}: {inside}")
        elif is_list:
            above = (*above, list)
        for each in converter.parts():
            yield from _below(each, place, key, above)


def _of_class(
    cls: Any, fields: list[tuple[str, str, Any, Converter]], place: str, key: str, above: tuple[Any, ...]
) -> Iterator[IndexModel]:
    indexed = [name for name, _, options, _ in fields if options.is_indexed]
    if cls in above:
        below = above[above.index(cls) :]
        if indexed or any(isinstance(each, _Indexed) for each in below):
            raise TypeError(
                f"{place}: {fields[0][0].partition('.')[0]} contains itself, so that its indexes have no end: "
                "write those that you need in Settings.indexes of the Document"
            )
        return
    above = (*above, cls, *(_Indexed(name) for name in indexed))
    for name, own, options, converter in fields:
        if options.is_indexed:
            fault = next((each for each in above if type(each) is str), None)
            if fault is not None:
                raise TypeError(f"{fault} have no keys that an index could have: remove the index of {name}")
            check_expiry(options, converter)
            yield _index(f"{key}.{own}", options)
        yield from _below(converter, place, f"{key}.{own}", above)


class _Indexed(str):
    """The name of a field with an index."""
