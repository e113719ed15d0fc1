"""`Field`, and the declared fields of models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin

from ..._core import FieldSlot
from ..converters.annotations import converter_of, evaluated
from ..converters.converter import Converter, root_and_path
from ..errors import Mismatch, NotFetched, ValidationError
from ..filters.expressions import FieldPath, check_key
from . import instance_state as state
from .database_variants import VariantRoot
from .instance_state import MISSING


class FieldOptions:
    """The arguments of `Field(...)`."""

    __slots__ = (
        *("alias", "default", "default_factory", "description", "index", "original_field", "stored", "unique"),
        "built_in",
    )

    def __init__(self, default: object = MISSING, **options: Any) -> None:
        self.default = default
        self.default_factory: Callable[[], Any] | None = options.get("default_factory")
        self.alias: str | None = options.get("alias")
        self.index: bool | int | str = options.get("index", False)
        self.unique: bool = options.get("unique", False)
        self.original_field: str | None = options.get("original_field")
        self.description: str | None = options.get("description")
        self.stored: Any = options.get("stored")
        """The annotation to use, where the one for type checkers is wider."""
        self.built_in: bool = options.get("built_in", False)
        """The package declares the field for every model."""


def Field(
    default: object = MISSING,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    index: bool | int | str = False,
    unique: bool = False,
    original_field: str | None = None,
    description: str | None = None,
) -> Any:
    """Declare a field with more than an annotation.

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
    original_field
        For a BackLink: the field of the other model that contains the link.
    description
        A text for readers of the code.

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
        original_field=original_field,
        description=description,
    )


class FieldInfo:
    """A declared field of one model class; derived classes share it."""

    def __init__(self, owner: str, name: str, annotation: Any, options: FieldOptions, names: Mapping[str, Any]) -> None:
        self.name = name
        self.options = options
        self.key = options.alias or ("_id" if name == "id" else name)
        check_key(self.key)
        self.declared_by: Any = None
        """The ModelInfo of the class that declares the field."""
        self._owner = owner
        self._annotation = annotation if options.stored is None else options.stored
        self._names = names
        self._converter: Converter | None = None
        self._variants: Any = None
        self.path = FieldPath(f"{owner}.{name}", self.key, self)
        self.slot = FieldSlot(name, self.key, self.path, self._resolve)

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
        except NameError as error:
            raise NameError(
                f"{self._owner}.{self.name}: the annotation {self._annotation!r} cannot be resolved: {error}"
            ) from None
        except TypeError as error:
            raise TypeError(f"{self._owner}.{self.name}: {error}") from None
        # In this order: another thread that finds no converter still finds the names.
        self.slot._plan(converter.direct, self.load, converter.keeps, self.accept, self._missing)
        self._converter = converter
        self._names = {}

    def in_database(self, variants: Any) -> FieldInfo:
        """Return the field of a variant of the model, whose links lead to the database of the variant."""
        converter, other = self.converter, copy.copy(self)
        other._variants = variants
        other.slot = FieldSlot(self.name, self.key, self.path, other._resolve)
        other.slot._plan(converter.direct, other.load, converter.keeps, other.accept, other._missing)
        return other

    @property
    def required(self) -> bool:
        """The field has no default and does not accept None."""
        return self.options.default is MISSING and self.options.default_factory is None and not self.converter.nullable

    def default(self) -> Any:
        """Return a new default. Only for a field that is not required."""
        if self.options.default_factory is not None:
            return self.accept(self.options.default_factory())
        if self.options.default is MISSING:
            return None
        value = self.options.default
        return value if value is None else self.accept(copy.deepcopy(value) if self.converter.keeps else value)

    def load(self, stored: Any, place: Any) -> Any:
        if self._variants is not None and place is not None:
            place = (VariantRoot(place[0], self._variants), place[1])
        try:
            return self.converter.load(stored, place)
        except Mismatch as mismatch:
            raise located(mismatch, place, self._owner) from None

    def accept(self, value: object) -> Any:
        try:
            if self.converter.virtual:
                raise Mismatch("no value, as fetch_links finds it", value)
            return self.converter.accept(value)
        except Mismatch as mismatch:
            raise mismatch.under(self.name).error(model=self._owner) from None

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
            return self.converter.dump(value)
        except Mismatch as mismatch:
            raise mismatch.under(self.name).error(model=self._owner) from None


def located(mismatch: Mismatch, place: Any, model: str) -> ValidationError:
    """Return the error of a stored value; `place` leads to its document."""
    document, path = root_and_path(place)
    root = document.get("_id") if document is not None else None
    return mismatch.error(id=root, before=tuple(path), model=model)


def options_of(default: object, annotation: Any, names: Mapping[str, Any]) -> FieldOptions:
    """Return the options of a field; `Field(...)` is its default or in its annotation."""
    if isinstance(annotation, str) and "Annotated" in annotation:
        annotation = evaluated(annotation, names)
    if isinstance(default, FieldOptions):
        return default
    if get_origin(annotation) is Annotated:
        for each in get_args(annotation)[1:]:
            if isinstance(each, FieldOptions):
                options = copy.copy(each)
                if default is not MISSING:
                    options.default = default
                return options
    return FieldOptions(default)
