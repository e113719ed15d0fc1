"""`Field`, and the declared fields of models."""

from __future__ import annotations

import copy
import decimal
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Annotated, Any, get_args, get_origin

from ..._core import FieldSlot
from ..converters.annotations import converter_of, evaluated
from ..converters.checks import Accept, Check, FunctionCheck, ValidationInfo, checked, has_checks
from ..converters.constraints import Constraints
from ..converters.converter import Converter, embedded_models, linked_models, root_and_path
from ..converters.metadata import checks_of, is_declaration, is_index, is_pydantic_field, pydantic_options
from ..converters.nulls import without_nulls
from ..errors import Mismatch, NotFetched, ValidationError
from ..filters.expressions import FieldPath, check_key
from . import instance_state as state
from .database_variants import VariantRoot
from .instance_state import MISSING

_DEFAULTS = {"exclude": False, "frozen": False, "index": False, "repr": True, "sparse": False, "unique": False}
"""Defaults of options; None for all others."""
_INDEXES = {"delete_rule", "expire_after_seconds", "index", "index_options", "sparse", "unique"}
"""Options that belong to the whole field."""
NO_MODELS: frozenset[Any] = frozenset()


class FieldOptions:
    """The arguments of `Field(...)`."""

    __slots__ = (
        *("alias", "default", "default_factory", "description", "index", "original_field", "stored", "unique"),
        *("built_in", "checks", "delete_rule", "examples", "exclude", "expire_after_seconds", "frozen", "given"),
        *("index_options", "json_schema_extra", "repr", "sparse", "title"),
    )

    def __init__(self, default: object = MISSING, *, checks: Iterable[Check] = (), **options: Any) -> None:
        # pydantic writes `...` for a field without a default.
        self.default = MISSING if default is ... else default
        self.given = {name: value for name, value in options.items() if value is not _DEFAULTS.get(name)}
        """The options that differ from their defaults, without `default`."""
        constraints = Constraints.of(options)
        self.checks: tuple[Check, ...] = (*checks, *(() if constraints is None else (constraints,)))
        """Constraints and validators of the value."""
        self.exclude: bool = bool(options.get("exclude", False))
        self.frozen: bool = bool(options.get("frozen", False))
        self.repr: bool = options.get("repr", True)
        self.title: str | None = options.get("title")
        self.examples: list[Any] | None = options.get("examples")
        self.json_schema_extra: Mapping[str, Any] | None = options.get("json_schema_extra")
        self.index_options: Mapping[str, Any] = options.get("index_options") or {}
        """More arguments of the IndexModel."""
        self.default_factory: Callable[[], Any] | None = options.get("default_factory")
        self.alias: str | None = options.get("alias")
        self.index: bool | int | str = options.get("index", False)
        self.unique: bool = options.get("unique", False)
        self.sparse: bool = options.get("sparse", False)
        self.expire_after_seconds: int | None = options.get("expire_after_seconds")
        self.delete_rule: Any = options.get("delete_rule")
        self.original_field: str | None = options.get("original_field")
        self.description: str | None = options.get("description")
        self.stored: Any = options.get("stored")
        """The annotation to use, where the one for type checkers is wider."""
        self.built_in: bool = options.get("built_in", False)
        """The package declares the field for every model."""

    @property
    def is_indexed(self) -> bool:
        """The field has an index of its own."""
        return bool(self.index or self.unique or self.sparse or self.expire_after_seconds is not None)


def Field(
    default: object = MISSING,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    index: bool | int | str = False,
    unique: bool = False,
    sparse: bool = False,
    expire_after_seconds: int | None = None,
    delete_rule: object = None,
    original_field: str | None = None,
    description: str | None = None,
    gt: Any = None,
    ge: Any = None,
    lt: Any = None,
    le: Any = None,
    multiple_of: float | decimal.Decimal | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | re.Pattern[str] | None = None,
    choices: Iterable[Any] | None = None,
    max_digits: int | None = None,
    decimal_places: int | None = None,
    allow_inf_nan: bool | None = None,
    exclude: bool = False,
    frozen: bool = False,
    repr: bool = True,
    title: str | None = None,
    examples: list[Any] | None = None,
    json_schema_extra: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a field with more than an annotation.

    Constraints are checked in constructors, assignments and writes. They are not checked when a stored value is read;
    `validate()` checks stored values too. None satisfies every constraint.

    Parameters
    ----------
    default
        The value of an instance without one, or without a stored one. Lists and dicts are copied for each instance.
    default_factory
        A callable that returns the default.
    alias
        The key in stored documents; the name by default. Constructors accept both.
    index
        An index on the field: True or 1, -1, or one of the server's kinds: "text", "2dsphere", "hashed".
    unique
        A unique index.
    sparse
        An index without the documents that do not have the field.
    expire_after_seconds
        An index by which the server deletes documents: so many seconds after the time in the field.
    delete_rule
        For a Link or a list of Links: an `OnDelete`, which says what happens to this document when the linked one is
        deleted.
    original_field
        For a BackLink: the field of the other model that contains the link.
    description, title, examples, json_schema_extra
        Texts and values for readers of the code and of the JSON schema.
    gt, ge, lt, le
        Bounds of a number, date or text.
    multiple_of, max_digits, decimal_places, allow_inf_nan
        Constraints of numbers; `allow_inf_nan=False` refuses NaN and infinity.
    min_length, max_length
        The length of a text, binary, list, set or dict.
    pattern
        A regular expression that matches in the text; `^` and `$` anchor it.
    choices
        The only values.
    exclude
        Do not store the value, and leave it out of `model_dump` and of JSON, as Beanie does.
    frozen
        Refuse assignments to the field of an instance.
    repr
        Show the value in the `repr` of an instance.

    Raises
    ------
    TypeError
        For both a default and a factory.
    """
    if default is not MISSING and default_factory is not None:
        raise TypeError("a field takes a default or a default_factory, not both")
    return FieldOptions(
        default,
        default_factory=default_factory,
        alias=alias,
        index=index,
        unique=unique,
        sparse=sparse,
        expire_after_seconds=expire_after_seconds,
        delete_rule=delete_rule,
        original_field=original_field,
        description=description,
        gt=gt,
        ge=ge,
        lt=lt,
        le=le,
        multiple_of=multiple_of,
        min_length=min_length,
        max_length=max_length,
        pattern=pattern,
        choices=choices,
        max_digits=max_digits,
        decimal_places=decimal_places,
        allow_inf_nan=allow_inf_nan,
        exclude=exclude,
        frozen=frozen,
        repr=repr,
        title=title,
        examples=examples,
        json_schema_extra=json_schema_extra,
    )


class FieldInfo:
    """A declared field of one model class; derived classes share it."""

    def __init__(self, owner: str, name: str, annotation: Any, options: FieldOptions, names: Mapping[str, Any]) -> None:
        self.name = name
        self.options = options
        self.key = options.alias or ("_id" if name == "id" else name)
        check_key(self.key)
        self.frozen = options.frozen
        """Assignments are refused."""
        self.drops_nulls = False
        """The documents in the values are stored without their null fields."""
        self.declared_by: Any = None
        """The ModelInfo of the class that declares the field."""
        self._owner = owner
        self._annotation = annotation if options.stored is None else options.stored
        self._names = names
        self._converter: Converter | None = None
        self._variants: Any = None
        self.validators: tuple[FunctionCheck, ...] = ()
        """The validators of the model for the field, the first one innermost."""
        self.path = FieldPath(f"{owner}.{name}", self.key, self)
        self.slot = FieldSlot(name, self.key, self.path, self._set_conversion)

    def of(self, owner: str) -> FieldInfo:
        """Return the same field, declared by another class."""
        return FieldInfo(owner, self.name, self._annotation, self.options, self._names)

    @cached_property
    def converter(self) -> Converter:
        """The converter of the values; cached, as each new instance reads it several times."""
        if self._converter is None:
            self._resolve()
        assert self._converter is not None
        return self._converter

    def resolved_among(self, names: Mapping[str, Any]) -> Converter | None:
        """Return the converter, where other names than those of the module are known too; None for unknown names."""
        if self._converter is None:
            own = self._names
            self._names = ChainMap(dict(own), dict(names)) if own else names
            try:
                return self.converter
            except NameError:
                self._names = own
                return None
        return self._converter

    @cached_property
    def settles(self) -> bool:
        """A read may give another value than the one that was written; cached, as each write needs it."""
        return self.converter.read_differs()

    def _resolve(self) -> None:
        """Make the converter.

        Raises
        ------
        NameError
            When the annotation names a class that is not defined yet.
        """
        names = self._names
        if self._converter is not None:
            return  # Another thread was faster, and has dropped the names.
        try:
            converter = converter_of(self._annotation, names).for_field(self)
            converter = checked(converter, self.options.checks)
        except NameError as error:
            raise NameError(
                f"{self._owner}.{self.name}: the annotation {self._annotation!r} cannot be resolved: {error}"
            ) from None
        except TypeError as error:
            raise TypeError(f"{self._owner}.{self.name}: {error}") from None
        # In this order: another thread that finds no converter still finds the names.
        self._converter = converter
        self._names = {}

    def _set_conversion(self) -> None:
        """Set the conversion of the slot; on first access, when the models that the annotation names are complete.

        Raises
        ------
        NameError
            When the annotation names a class that is not defined yet.
        """
        converter = self.converter
        native = None if converter.virtual else converter.native()
        root = None if self._variants is None else partial(VariantRoot, variants=self._variants)
        cyclic = converter.is_cyclic()
        plan = (converter.direct, native, self.load, converter.keeps, cyclic, self.accept, self._missing, root)
        if self.frozen or self._takes_info:
            self.slot._plan(*plan, self._assigned)
        else:
            self.slot._plan(*plan)

    def in_database(self, variants: Any) -> FieldInfo:
        """Return the field of a variant of the model, whose links lead to the database of the variant."""
        self._resolve()
        other = self._copied()
        other._variants = variants
        return other

    def with_validators(self, owner: str, validators: Iterable[FunctionCheck]) -> FieldInfo:
        """Return the field of a model that validates its values."""
        other = self._copied()
        other.__dict__.pop("has_checks", None)
        other._owner = owner
        other.validators = tuple(validators)
        return other

    def _copied(self) -> FieldInfo:
        """Return a copy with a slot of its own."""
        other = copy.copy(self)
        other.slot = FieldSlot(self.name, self.key, self.path, other._set_conversion)
        return other

    @property
    def stored(self) -> bool:
        """The value is stored."""
        return not self.options.exclude and not self.converter.virtual

    @cached_property
    def models_below(self) -> frozenset[Any]:
        """The models in the values, also of linked documents, without those that store the name of their class."""
        found = [*embedded_models(self.converter), *linked_models(self.converter)]
        return frozenset(each for each in found if not each.__odm__.in_tree) or NO_MODELS

    @cached_property
    def has_checks(self) -> bool:
        """A value of the field, or one below it, has constraints or validators."""
        return bool(self.validators) or has_checks(self.converter)

    @property
    def _takes_info(self) -> bool:
        return any(each.takes_info for each in self.validators)

    @property
    def required(self) -> bool:
        """The field has no default and does not accept None."""
        return self.options.default is MISSING and self.options.default_factory is None and not self.converter.nullable

    def default(self) -> Any:
        """Return a new default, which validators of the model do not see. Only for a field that is not required.

        Raises
        ------
        ValidationError
            For a default that does not fit.
        """
        if self.options.default_factory is not None:
            value = self.options.default_factory()
        elif self.options.default is MISSING or self.options.default is None:
            return None
        else:
            value = copy.deepcopy(self.options.default) if self.converter.keeps else self.options.default
        try:
            return self.converter.accept(value)
        except Mismatch as mismatch:
            raise mismatch.under(self.name).error(model=self._owner) from mismatch.__cause__

    def check_default(self) -> None:
        """Refuse a default that a constraint refuses.

        Raises
        ------
        TypeError
            For such a default.
        """
        default = self.options.default
        if default is MISSING or default is None:
            return
        for check in getattr(self.converter, "checks", ()):
            if isinstance(check, Constraints):
                try:
                    check.check(default)
                except Mismatch as mismatch:
                    raise TypeError(f"the default {default!r} is refused: expected {mismatch.expected}") from None

    def load(self, stored: Any, place: Any) -> Any:
        if self._variants is not None and place is not None:
            place = (VariantRoot(place[0], self._variants), place[1])
        try:
            return self.converter.load(stored, place)
        except Mismatch as mismatch:
            raise located(mismatch, place, self._owner) from None

    def accept(self, value: object, data: Mapping[str, Any] | None = None) -> Any:
        """Return the value of a user as the instance holds it.

        Parameters
        ----------
        data
            The values of other fields, for validators.

        Raises
        ------
        ValidationError
            For a value that does not fit, or that a constraint or validator refuses.
        """
        try:
            if self.converter.virtual:
                raise Mismatch("no value, as fetch_links finds it", value)
            accept: Accept = self.converter.accept
            for validator in self.validators:
                accept = validator.around(accept, ValidationInfo(data or {}, self.name))
            return accept(value)
        except Mismatch as mismatch:
            raise mismatch.under(self.name).error(model=self._owner) from mismatch.__cause__

    def _assigned(self, instance: Any, value: object) -> Any:
        if self.frozen:
            raise (
                Mismatch("no assignment", value, reason="the field is frozen").under(self.name).error(model=self._owner)
            )
        return self.accept(value, state.OtherValues(instance, self.name))

    def _missing(self, instance: Any) -> Any:
        if self.converter.virtual:
            raise NotFetched(f"{self._owner}.{self.name} was not fetched: use fetch_links")
        if self.required:
            document = state.stored_document(instance)
            place = (state.place(instance), self.key)
            found = "no such key" if document is not None else "no value"
            raise located(Mismatch(self.converter.name, None, found=found), place, self._owner)
        return self.default()

    def dump(self, value: object) -> Any:
        """Return the value as it is stored.

        Raises
        ------
        ValidationError
            For a value that does not fit.
        """
        try:
            stored = self.converter.dump(value)
        except Mismatch as mismatch:
            raise mismatch.under(self.name).error(model=self._owner) from None
        return without_nulls(self.converter, stored) if self.drops_nulls else stored


def located(mismatch: Mismatch, place: Any, model: str) -> ValidationError:
    """Return the error of a stored value; `place` leads to its document."""
    document, path = root_and_path(place)
    root = document.get("_id") if document is not None else None
    return mismatch.error(id=root, before=tuple(path), model=model)


def options_of(default: Any, annotation: Any, names: Mapping[str, Any]) -> FieldOptions:
    """Return the options of a field: of its annotation, and those of its default, which precede them.

    Raises
    ------
    TypeError
        For a declaration of another library that models do not support.
    """
    if isinstance(annotation, str):
        try:
            annotation = evaluated(annotation, names)
        except (AttributeError, NameError, TypeError):
            if "Annotated" in annotation or "Indexed" in annotation:
                raise
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    bare = get_args(annotation)[0] if metadata else annotation
    _check_parts(bare)
    given: dict[str, Any] = {}
    # The constraints in the annotation are those of its converter.
    for each in (*metadata, bare):
        given.update(_options_in(each))
    own = _options_in(default)
    if own or isinstance(default, FieldOptions) or is_pydantic_field(default):
        value = own.pop("default", MISSING)
        checks = checks_of([default])
    elif is_declaration(default):
        raise TypeError(f"{default!r} is no default of a model of this package: write Field(...) of data_bridge.odm")
    else:
        value, checks = default, []
    if value is MISSING:
        value = given.pop("default", MISSING)
    if value is not MISSING and "default_factory" not in own:
        given.pop("default_factory", None)
    options = {**given, **own}
    options.pop("default", None)
    return FieldOptions(value, checks=checks, **options)


def _check_parts(annotation: Any) -> None:
    """Refuse options of a field that are stated for a part of its annotation.

    Raises
    ------
    TypeError
        For the options of an index, and for a delete rule.
    """
    for part in get_args(annotation):
        declared = get_args(part)[1:] if get_origin(part) is Annotated else ()
        for each in (*declared, part):
            found = _INDEXES & (_options_in(each).keys() if is_index(each) or isinstance(each, FieldOptions) else set())
            if found:
                raise TypeError(
                    f"{', '.join(sorted(found))} in a part of the annotation has no effect: write it for the whole "
                    "field, as Field(...) or Annotated[T | None, Indexed(...)]"
                )
        _check_parts(part)


def _options_in(declaration: Any) -> dict[str, Any]:
    """Return the options that a declaration states, without its constraints."""
    if isinstance(declaration, FieldOptions):
        stated = {name: value for name, value in declaration.given.items() if name not in Constraints._fields}
        return stated if declaration.default is MISSING else {**stated, "default": declaration.default}
    if is_pydantic_field(declaration):
        return pydantic_options(declaration)
    if is_index(declaration):
        kind, arguments = getattr(declaration, "_indexed")  # noqa: B009 - an attribute of Beanie's class
        unique = bool(arguments.get("unique", False))
        rest = {name: value for name, value in arguments.items() if name != "unique"}
        return {"index": kind, "unique": unique, "index_options": rest}
    return {}
