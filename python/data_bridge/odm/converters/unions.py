"""Converters of unions, and the check that the members of a union of models can be distinguished."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, reduce
from itertools import combinations
from operator import or_
from typing import Any

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.int64 import Int64

from ..._core import Document, NativeConverter
from ..errors import Mismatch
from .checks import CheckedConverter
from .choice_converter import ChoiceConverter
from .containers import DictConverter, EmbeddedConverter, ListConverter, TupleConverter, check_stored
from .conversions import DateConverter, DecimalConverter, UuidConverter
from .converter import CLASS_KEY, NULL, AnyConverter, Converter, NoneConverter, ScalarConverter
from .dict_keys import TypedKeysConverter
from .objects import ObjectConverter
from .text_types import TextConverter, TimedeltaConverter


class UnionConverter(Converter):
    """A | B, Optional[T]: the first member that fits exactly, else the first that fits.

    Among embedded models, it is the one whose class or tag the document has, or the only one that has the document's
    fields. If several models fit, loading raises Mismatch.
    """

    def __init__(self, members: list[Converter]) -> None:
        self.members: list[Converter] = []
        for each in members:
            # One with checks stays a member, as its members have none.
            flat = isinstance(each, UnionConverter) and not isinstance(each, CheckedConverter)
            self.members += each.members if flat else [each]  # type: ignore[attr-defined]
        members = self.members
        self.name = " | ".join(each.name for each in members)
        self.keeps = any(each.keeps for each in members)
        self.deep = any(each.deep for each in members)
        self.nullable = any(each.nullable for each in members)
        others = [each for each in members if not isinstance(each, NoneConverter)]
        self._alone = others[0] if len(others) == 1 else None
        self.embedded = [each for each in others if isinstance(each, EmbeddedConverter)]
        self._others = [each for each in members if not isinstance(each, EmbeddedConverter)]
        self._objects = [each for each in others if isinstance(each, ObjectConverter)]
        if self._alone is not None:
            self.direct = self._alone.direct | (NULL if self.nullable else 0)
            self.model, self.item, self.keyed = self._alone.model, self._alone.item, self._alone.keyed
            self.virtual = self._alone.virtual
            self.free, self.links = self._alone.free, self._alone.links
            return
        check_stored(members)
        if any(isinstance(each, UnionConverter) and (each.embedded or each._objects) for each in others):
            raise TypeError(
                f"{self.name}: a part of a union of models has constraints, validators or a discriminator of its own: "
                "write Annotated for the whole union, or for one model"
            )
        if all(isinstance(each, (NoneConverter, ScalarConverter)) or each.keeps for each in members):
            self.direct = reduce(or_, (each.direct for each in members))

    def for_field(self, field: object) -> Converter:
        return UnionConverter([each.for_field(field) for each in self.members]).annotated(self.annotation)

    def unchecked(self) -> Converter:
        members = [each.unchecked() for each in self.members]
        return self if members == self.members else UnionConverter(members).annotated(self.annotation)

    def attribute(self, name: str) -> tuple[str, Any] | None:
        """Return the attribute of one model, if all models that declare it have the same key and type."""
        if self._alone is not None:
            return self._alone.attribute(name)
        found = [each for converter in self.embedded if (each := converter.attribute(name)) is not None]
        meant = {(key, source.converter.name) for key, source in found}
        return found[0] if len(meant) == 1 else None

    def keys_below(self) -> Mapping[str, Converter] | None:
        return None if self._alone is None else self._alone.keys_below()

    def below(self, step: int | str) -> Converter | None:
        return None if self._alone is None else self._alone.below(step)

    def key(self, step: object) -> object:
        return step if self._alone is None else self._alone.key(step)

    def parts(self) -> list[Converter]:
        return self.members

    # ---- conversions ------------------------------------------------------------------------------------------------

    def load(self, stored: object, place: object) -> Any:
        if stored is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.load(stored, place)
        if self.embedded and isinstance(stored, Document):
            return self._load_document(stored, place)
        if len(self._objects) > 1 and isinstance(stored, Document):
            return self._load_object(stored, place)
        return self._first(stored, lambda converter: converter.load(stored, place))

    def native(self) -> NativeConverter | None:
        if all(isinstance(each, (NoneConverter, ScalarConverter)) and each.direct for each in self.members):
            return NativeConverter.scalar(self.direct)
        others = [each for each in self.members if not isinstance(each, NoneConverter)]
        if self._alone is not None:
            native = self._alone.native()
        elif len(self.embedded) > 1 or any(each.in_tree for each in self.embedded):
            # The contents of a document decide.
            return None
        else:
            members = [each.native() for each in others]
            native = None if None in members else NativeConverter.union([each for each in members if each is not None])
        return NativeConverter.optional(native) if native is not None and self.nullable else native

    def _load_document(self, stored: Document, place: object) -> Any:
        models = self._models(stored.get(CLASS_KEY))
        if len(models) == 1 and (models[0].in_tree or models == self.embedded):
            return models[0].load(stored, place)
        tag = self._tag
        if tag is not None and tag[0] in stored:
            for choice, converter in tag[1]:
                if _fits(choice, stored[tag[0]]):
                    return converter.load(stored, place)
        fitting = [each for each in (converter.load(stored, place) for converter in models) if each._fits()]
        if fitting:
            return self._best(stored, fitting, lambda each: set(each._unknown()))
        return self._first(stored, lambda converter: converter.load(stored, place), self._others)

    def _load_object(self, stored: Document, place: object) -> Any:
        fitting, differing = [], {}
        for converter in self._objects:
            with suppress(Mismatch):
                fitting.append(converter.load(stored, place))
                differing[id(fitting[-1])] = converter.differing(stored)
        if fitting:
            return self._best(stored, fitting, lambda each: differing[id(each)])
        others = [each for each in self.members if not isinstance(each, ObjectConverter)]
        return self._first(stored, lambda converter: converter.load(stored, place), others)

    def _models(self, class_id: object) -> list[EmbeddedConverter]:
        """Return the models of a document with this class name, or None."""
        plain = [each for each in self.embedded if not each.in_tree]
        if class_id is None:
            # Documents that are older than the tree are of a tree, if no other member fits.
            any_dict = any(isinstance(each, (DictConverter, AnyConverter)) for each in self.members)
            return plain or ([] if any_dict else self.embedded)
        return next(([each] for each in self.embedded if each.in_tree and each.knows(class_id)), plain)

    def _best(self, value: object, fitting: list[Any], unknown: Callable[[Any], set[str]]) -> Any:
        """Return the instance with the fewest undeclared keys among those that fit."""
        first, *rest = sorted(((unknown(each), each) for each in fitting), key=lambda pair: len(pair[0]))
        if all(first[0] < other for other, _ in rest):
            return first[1]
        names = " and ".join(type(each).__name__ for each in fitting)
        raise Mismatch(f"one of {self.name}", value, found=f"a document that may be {names}")

    @cached_property
    def _tag(self) -> tuple[str, list[tuple[Converter, EmbeddedConverter]]] | None:
        """The key of a Literal or Enum in all models that share no value of it, and the models by these values."""
        models = [converter for converter in self.embedded if not converter.in_tree]
        for key in models[0].model.__odm__.by_key if models else ():
            fields = [converter.model.__odm__.by_key.get(key) for converter in models]
            declared = [field.converter for field in fields if field is not None]
            choices = [each for each in declared if isinstance(each, ChoiceConverter)]
            if len(choices) == len(models) and all(_apart(*pair) for pair in combinations(choices, 2)):
                return key, list(zip(choices, models, strict=True))
        return None

    def accept(self, value: object) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.accept(value)
        if self.embedded and isinstance(value, Mapping):
            return self._of_mapping(value)
        return self._first(value, lambda converter: converter.accept(value))

    def _of_mapping(self, value: Mapping[str, Any]) -> Any:
        fitting = []
        for converter in self._models(value.get(CLASS_KEY)):
            try:
                fitting.append(converter.accept(value))
            except (Mismatch, ValueError):
                continue
        made = {type(each): each for each in fitting}
        if made:
            return self._best(value, list(made.values()), lambda _: set())
        return self._first(value, lambda converter: converter.accept(value), self._others)

    def dump(self, value: object) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.dump(value)
        if self.embedded and isinstance(value, Mapping):
            value = self._of_mapping(value)
        return self._first(value, lambda converter: converter.dump(value))

    def operand(self, value: object) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.operand(value)
        return self._first(value, lambda converter: converter.operand(value))

    def _first(self, value: object, convert: Any, members: Iterable[Converter] | None = None) -> Any:
        members = list(self.members if members is None else members)
        for converter in sorted(members, key=lambda converter: not converter.exact(value)):
            try:
                return convert(converter)
            except (Mismatch, ValueError):
                continue
        raise self.fail(value)

    def exact(self, value: object) -> bool:
        return any(each.exact(value) for each in self.members)

    # ---- discriminators ---------------------------------------------------------------------------------------------

    def check_discriminator(self, key: str) -> None:
        """Refuse a field that does not tell the models of the union apart.

        Raises
        ------
        TypeError
            For a member that is no model, and for a field without values of its own in each model.
        """
        others = [each for each in self.members if not isinstance(each, NoneConverter)]
        one_kind = self.embedded == others or self._objects == others
        choices = [found for each in others if (found := choice_of(each, key)) is not None]
        if not one_kind or len(choices) < max(2, len(others)):
            raise TypeError(
                f"discriminator={key!r}: {self.name} must be a union of models in which the field {key!r} is a Literal "
                "or an Enum"
            )
        if not all(_apart(*pair) for pair in combinations(choices, 2)):
            raise TypeError(f"discriminator={key!r}: two models of {self.name} have one value of it")

    # ---- distinguishable members ------------------------------------------------------------------------------------

    def check_distinct(self) -> None:
        """Refuse a union of models where a document of one may be a document of another.

        Raises
        ------
        TypeError
            For such a union, with the change that is needed.
        """
        for kinds in ((ListConverter, TupleConverter), (DictConverter,)):
            several = [each for each in self.members if isinstance(each, kinds) and _embeds(each)]
            if len(several) > 1:
                names = " and ".join(each.name for each in several)
                raise TypeError(f"stored values of {names} cannot be distinguished: write list[A | B]")
        plain = [each for each in self.embedded if not each.in_tree]
        if plain and any(isinstance(each, (DictConverter, AnyConverter)) for each in self.members):
            raise TypeError(f"{self.name}: a dict may be a document of {plain[0].name}; {_ADVICE}")
        classes: dict[str, Any] = {}
        for info in (
            each for converter in self.embedded if converter.in_tree for each in converter.model.__odm__.descendants()
        ):
            if classes.setdefault(info.class_id, info.cls) is not info.cls:
                raise TypeError(f"{self.name}: two classes have the name {info.class_id!r} in documents")
        for one, other in combinations(plain, 2):
            if _covers(one, other) or _covers(other, one):
                raise TypeError(f"{one.name} | {other.name}: a document of one may be one of the other; {_ADVICE}")


def choice_of(converter: Converter, key: str) -> ChoiceConverter | None:
    """Return the converter of a field of a model, by its name or key; None if it is no choice of values."""
    found: Any = None
    if isinstance(converter, EmbeddedConverter):
        info = converter.model.__odm__
        found = info.fields.get(key) or info.by_key.get(key)
    elif isinstance(converter, ObjectConverter):
        found = converter.fields.get(key)
    choice = getattr(found, "converter", None)
    return choice if isinstance(choice, ChoiceConverter) else None


_ADVICE = (
    "give each a field with its own value, such as `kind: Literal['circle'] = 'circle'`, "
    "or Settings.is_root = True, which stores the name of the class"
)


def check_unions(converter: Converter, seen: set[Any] | None = None) -> None:
    """Refuse ambiguous unions in a converter and in its embedded models.

    Raises
    ------
    NameError
        When an annotation names a class that is not defined yet.
    TypeError
        As `UnionConverter.check_distinct`.
    """
    seen = set() if seen is None else seen
    if isinstance(converter, UnionConverter):
        converter.check_distinct()
    for below in converter.parts():
        check_unions(below, seen)
    if isinstance(converter, EmbeddedConverter) and converter.model not in seen:
        seen.add(converter.model)
        for field in converter.model.__odm__.fields.values():
            check_unions(field.converter, seen)


def _embeds(converter: Converter) -> bool:
    return isinstance(converter, EmbeddedConverter) or any(_embeds(each) for each in converter.parts())


def _covers(one: EmbeddedConverter, other: EmbeddedConverter) -> bool:
    """Return whether a document of `one` is a complete document of `other`."""
    theirs = other.model.__odm__.by_key
    ours = one.model.__odm__.by_key
    return (
        ours.keys() <= theirs.keys()
        and all(key in ours for key, field in theirs.items() if field.required)
        and not any(_apart(field.converter, theirs[key].converter) for key, field in ours.items())
    )


def _apart(one: Converter, other: Converter) -> bool:
    """Return whether no stored value fits both."""
    if isinstance(one, ChoiceConverter) and isinstance(other, ChoiceConverter):
        return not any(_fits(other, stored) for stored in one.stored)
    first, second = _kinds(one), _kinds(other)
    return first is not None and second is not None and first.isdisjoint(second)


def _fits(converter: Converter, stored: object) -> bool:
    try:
        converter.load(stored, None)
    except Mismatch:
        return False
    return True


_KINDS: dict[type, str] = {
    int: "number",
    float: "number",
    Int64: "number",
    Binary: "bytes",
    Code: "str",
    dt.datetime: "date",
    DatetimeMS: "date",
    DBRef: "document",
}
"""Stored types of Python types: types with the same one read each other's values."""
_CONVERTERS: dict[type[Converter], set[str]] = {
    NoneConverter: {"None"},
    UuidConverter: {"bytes"},
    DecimalConverter: {"number", "Decimal128"},
    DateConverter: {"date"},
    ListConverter: {"list"},
    TupleConverter: {"list"},
    DictConverter: {"document"},
    TypedKeysConverter: {"document"},
    EmbeddedConverter: {"document"},
    ObjectConverter: {"document"},
    TimedeltaConverter: {"number"},
}


def _kinds(converter: Converter) -> set[str] | None:
    """Return the stored types of a converter; None for any type."""
    if isinstance(converter, UnionConverter):
        below = [_kinds(each) for each in converter.members]
        return None if None in below else set().union(*(each for each in below if each is not None))
    if isinstance(converter, ChoiceConverter):
        return {_KINDS.get(type(each), type(each).__name__) for each in converter.stored}
    if isinstance(converter, TextConverter):
        return {"str"}
    if isinstance(converter, ScalarConverter):
        return {_KINDS.get(converter.kind, converter.kind.__name__)}
    return _CONVERTERS.get(type(converter))
