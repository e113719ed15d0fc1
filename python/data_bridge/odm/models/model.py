"""The base of models: a value for each declared field, and no names that hide a field."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..._core import Document as StoredDocument
from ..converters.checks import CONTEXT
from ..converters.containers import EmbeddedConverter
from ..converters.converter import Converter, plain, root_and_path
from ..errors import Mismatch, ValidationError, raise_all
from . import arrow_rows
from . import instance_state as state
from .check_changes import embedded_in
from .copying import CopiedView
from .dataclass_fields import PARAMETERS, DataclassFields
from .dump import Dump, Selection
from .instance_state import MISSING
from .metaclass import ModelInfo, ModelMeta

if TYPE_CHECKING:
    from typing_extensions import Self


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


class Model(CopiedView, metaclass=ModelMeta):
    """The base of Document, AsyncDocument and EmbeddedDocument: declared fields, and no other attributes.

    An instance of a query is a view of a row. A value is built when its field is read; lists, dicts and embedded models
    are then kept, so that they can be changed in place.
    """

    __odm__: ClassVar[ModelInfo]
    _is_collection: ClassVar[bool] = False
    _is_view: ClassVar[bool] = False
    _is_async: ClassVar[bool] = False
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, /, **values: Any) -> None:
        """
        Raises
        ------
        ValidationError
            For values that are invalid, missing or undeclared; `errors` has one error for each.
        """
        info = type(self).__odm__
        name = type(self).__name__
        if info.model_validators.before:
            values = self._prepared(values)
        errors: list[ValidationError] = []
        fields = info.fields
        for field in fields.values():
            value = values.pop(field.name, MISSING)
            # A key that is also the name of another field means that field.
            if value is MISSING and field.key not in fields:
                value = values.pop(field.key, MISSING)
            if field.converter.virtual and value is MISSING:
                continue
            try:
                if value is MISSING and not field.required:
                    # Kept, not assigned: it was not given.
                    self._keep(field.name, field.default())
                elif value is MISSING:
                    raise Mismatch(field.converter.name, None, found="no value").under(field.name).error(model=name)
                elif field.validators or field.frozen:
                    self._assign(field.name, field.accept(value, state.own_values(self)))
                else:
                    setattr(self, field.name, value)
            except ValidationError as error:
                errors.extend(error.errors)
        if info.config.extra != "ignore" or info.class_key in values:
            errors += self._undeclared(values)
        raise_all(errors)
        if info.model_validators.after:
            self._check_model()

    @classmethod
    def _prepared(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that the model's `before` validators give."""
        try:
            return dict(cls.__odm__.model_validators.prepared(values))
        except Mismatch as mismatch:
            raise mismatch.error(model=cls.__name__) from mismatch.__cause__

    def _check_model(self) -> None:
        try:
            type(self).__odm__.model_validators.check(self)
        except Mismatch as mismatch:
            raise mismatch.error(model=type(self).__name__) from mismatch.__cause__

    @classmethod
    def _undeclared(cls, values: Mapping[str, Any]) -> list[ValidationError]:
        """Return the errors of values without a field. In a tree, the name of the class is allowed."""
        info, errors = cls.__odm__, []
        for key, value in values.items():
            if key != info.class_key or not info.in_tree:
                if info.config.extra != "ignore":
                    errors.append(Mismatch("a declared field", value).under(key).error(model=cls.__name__))
            elif value != info.class_id:
                errors.append(Mismatch(repr(info.class_id), value).under(key).error(model=cls.__name__))
        return errors

    @classmethod
    def _validated(cls, values: Mapping[str, Any]) -> Self:
        """Return an instance of values that fit their fields, and of defaults."""
        made = cls.__new__(cls)
        for name, field in cls.__odm__.fields.items():
            if name in values:
                state.assign(made, {name: values[name]})
            elif not field.converter.virtual:
                state.keep(made, name, field.default())
        return made

    # ---- construction by converters and queries ---------------------------------------------------------------------

    @classmethod
    def _converter_of(cls, _arguments: list[Any]) -> Converter:
        return EmbeddedConverter(cls)

    @classmethod
    def _embedded(cls, document: StoredDocument, place: object) -> Self:
        made = cls.__new__(cls)
        made._fill(document, True, place)
        return made

    @classmethod
    def _of_mapping(cls, values: Mapping[str, Any]) -> Self:
        try:
            return cls(**cls.__odm__.without_derived(values))
        except ValidationError as error:
            first = error.errors[0]
            mismatch = Mismatch(first.expected, None, found=first.found, reason=first.reason)
            mismatch.path = list(first.path)
            raise mismatch from None

    @classmethod
    def from_arrow(cls, data: object) -> list[Self]:
        """Return instances over a table whose columns are the stored keys: of a query, or read back from Parquet.

        They are stored, and read for their declared fields only: `save()` sends later changes, and `replace()` raises
        PartlyRead. In a tree of models, each row is an instance of the class in the row. No `init` is needed.

        Parameters
        ----------
        data
            Arrow data, as for `data_bridge.from_arrow`: null reads as missing, and a field then has its default,
            unless the table was made with `to_arrow(shapes=True)`. Or a Result, such as that of an aggregation, whose
            documents are used unchanged.

        Raises
        ------
        TypeError, ValueError, DecodeError
            As for `data_bridge.from_arrow`.
        """
        return arrow_rows.instances(cls, data)

    @classmethod
    def model_validate(
        cls,
        obj: Any,
        *,
        strict: bool | None = None,
        from_attributes: bool | None = None,
        context: Any = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """Return an instance of a mapping with names or stored keys, or of another model's instance.

        The mapping may be a dump: keys of computed fields and back links are left out, and a link may be the document
        that it leads to. An instance of the model is returned unchanged. Values are those that the constructor takes:
        texts of JSON, such as dates, are converted by `pydantic.TypeAdapter(Model).validate_json(...)`.

        Parameters
        ----------
        from_attributes
            Take the attributes of any other object, as `model_config = {"from_attributes": True}` does.
        context
            The `context` of the argument `info` of validators.
        by_alias, by_name
            With False, take no stored keys that are aliases, or no names of fields that have an alias.

        Raises
        ------
        ValidationError
            As for the constructor, and for an object of another type.
        TypeError
            For `strict=True`, which `pydantic.TypeAdapter(Model).validate_python(obj, strict=True)` has.
        ValueError
            For `by_alias=False` together with `by_name=False`, which leave no keys.
        """
        if strict:
            raise TypeError(
                f"model_validate takes no strict=True: write pydantic.TypeAdapter({cls.__name__}).validate_python(obj, "
                "strict=True); without it, model_validate converts as the constructor does"
            )
        if by_alias is False and by_name is False:
            raise ValueError("by_alias=False and by_name=False leave no keys: leave one of them out")
        if isinstance(obj, cls):
            return obj
        if isinstance(obj, Mapping):
            values = obj if by_alias is not False and by_name is not False else cls._keys_of(obj, by_name is not False)
        elif isinstance(obj, Model) or from_attributes or cls._takes_attributes(obj):
            values = cls._attributes(obj)
        else:
            raise Mismatch("a mapping", obj).error(model=cls.__name__)
        values = cls.__odm__.without_derived(values)
        if context is None:
            return cls(**values)
        token = CONTEXT.set(context)
        try:
            return cls(**values)
        finally:
            CONTEXT.reset(token)

    @classmethod
    def _keys_of(cls, values: Mapping[str, Any], by_name: bool) -> dict[str, Any]:
        """Return the values by names of fields, or by stored keys.

        Raises
        ------
        ValidationError
            For values by the other ones, unless the model ignores undeclared keys.
        """
        info = cls.__odm__
        taken, other = (info.fields, info.by_key) if by_name else (info.by_key, info.fields)
        refused = [key for key in values if key not in taken and key in other]
        if info.config.extra != "ignore":
            faults = [Mismatch("a declared field", values[key]).under(key) for key in refused]
            raise_all([each.error(model=cls.__name__) for each in faults])
        return {key: value for key, value in values.items() if key not in refused}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with other values of fields.

        Parameters
        ----------
        update
            Values by the names of fields, checked as those of the constructor; also of frozen fields.
        deep
            Copy lists, dicts and embedded models too.

        Raises
        ------
        ValidationError
            For a value that does not fit, and for a name that is no field.
        """
        made = copy.deepcopy(self) if deep else copy.copy(self)
        fields = type(self).__odm__.fields
        errors: list[ValidationError] = []
        for name, value in (update or {}).items():
            try:
                if name not in fields:
                    raise Mismatch("a declared field", value).under(name).error(model=type(self).__name__)
                state.replace(made, name, fields[name].accept(value, state.OtherValues(made, name)))
            except ValidationError as error:
                errors.extend(error.errors)
        raise_all(errors)
        return made

    @classmethod
    def _attributes(cls, obj: object) -> dict[str, Any]:
        """Return the attributes of an object that are names of fields, or their keys."""
        found = {}
        for name, field in cls.__odm__.fields.items():
            for attribute in (name, field.key):
                if name not in found and hasattr(obj, attribute):
                    found[name] = getattr(obj, attribute)
        return found

    @classmethod
    def _takes_attributes(cls, obj: object) -> bool:
        """Return whether the attributes of an object are values, as the settings of the model say."""
        if not cls.__odm__.config.from_attributes or isinstance(obj, (type, dict, Mapping)):
            return False
        # As pydantic: the attributes of texts, numbers and lists are no values.
        return type(obj).__module__ != "builtins"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # pydantic asks for it, so it is there.
        from .core_schema import schema_of

        return schema_of(cls, handler)

    # Libraries that take dataclasses take models; FastAPI reads such a parameter from the body.
    __dataclass_fields__ = DataclassFields()
    __dataclass_params__ = PARAMETERS

    # ---- values -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        """Return the value of a stored key; of a declared key, the value of its field."""
        field = type(self).__odm__.by_key.get(key)
        if field is not None:
            return getattr(self, field.name)
        document = self._document()
        if document is None:
            raise KeyError(key)
        return document[key]

    def __setitem__(self, key: str, value: object) -> None:
        field = type(self).__odm__.by_key.get(key)
        if field is None:
            raise KeyError(f"{type(self).__name__} declares no field with the key {key!r}")
        setattr(self, field.name, value)

    def __contains__(self, key: object) -> bool:
        document = self._document()
        return key in type(self).__odm__.by_key or (document is not None and key in document)

    def __iter__(self) -> Iterator[Any]:
        # `__getitem__` would otherwise make it iterable by position.
        raise TypeError(f"a {type(self).__name__} is no mapping: use model_dump()")

    def _dump(self) -> dict[str, Any]:
        """Return the document to store: unchanged values as they were read, without missing ones.

        Keys are in their stored order, then new ones: a value that was only read is dumped as it is stored.
        """
        info = type(self).__odm__
        document = self._document()
        result: dict[str, Any] = {}
        missing = info.by_key
        if document is not None:
            whole = self._is_whole
            for key in document:
                field = missing.pop(key, None)
                if field is not None and field.stored:
                    value = state.held_value(self, field.name)
                    if value is MISSING:
                        result[key] = plain(document[key])
                    elif value is not None or info.stores_null(key):
                        result[key] = field.dump(value)
                elif whole and (field is None or field.options.exclude):
                    result[key] = plain(document[key])
        for key, field in missing.items():
            value = state.held_value(self, field.name) if field.stored else MISSING
            if value is not MISSING and (value is not None or info.stores_null(key)):
                result[key] = field.dump(value)
        if info.in_tree:
            result[info.class_key] = info.class_id
        return result

    def _unknown(self) -> list[str]:
        """Return the stored keys that are not declared."""
        document = self._document()
        info = type(self).__odm__
        known = {*info.by_key, info.class_key} if info.in_tree else info.by_key
        return [] if document is None else [key for key in document if key not in known]

    def _fits(self) -> bool:
        """Return whether all stored values fit; quick checks first."""
        fields = [field for field in type(self).__odm__.fields.values() if field.stored]
        document = self._document()
        if any(field.required and (document is None or field.key not in document) for field in fields):
            return False
        for field in sorted(fields, key=lambda field: field.converter.deep):
            try:
                value = getattr(self, field.name)
            except ValidationError:
                return False
            if not all(embedded._fits() for _, embedded in embedded_in(value)):
                return False
        return True

    def _faults(self) -> list[ValidationError]:
        """Return the errors of all fields and of embedded models."""
        info = type(self).__odm__
        errors: list[ValidationError] = []
        for name, field in info.fields.items():
            if field.converter.virtual:
                continue
            try:
                value = getattr(self, name)
            except ValidationError as error:
                errors.extend(error.errors)
                continue
            if field.has_checks:
                try:
                    field.accept(value, state.OtherValues(self, name))
                except ValidationError as error:
                    errors.extend(self._located(each) for each in error.errors)
            for _, embedded in embedded_in(value):
                errors.extend(embedded._faults())
        if not errors and info.model_validators.after:
            try:
                self._check_model()
            except ValidationError as error:
                errors.append(self._located(error))
        return errors

    def _located(self, error: ValidationError) -> ValidationError:
        """Return an error with the `_id` of the stored document."""
        root, path = root_and_path(self._place())
        if root is None or error.id is not None:
            return error
        reason, name = error.reason, type(self).__name__
        return ValidationError((*path, *error.path), error.expected, error.found, root.get("_id"), name, reason)

    def validate(self) -> Self:
        """Check every field, also those of embedded models.

        Raises
        ------
        ValidationError
            For values that do not fit; `errors` has one error for each.
        """
        raise_all(self._faults())
        return self

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Selection | None = None,
        exclude: Selection | None = None,
        context: Any = None,
        by_alias: bool | None = False,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        exclude_computed_fields: bool = False,
        round_trip: bool = False,
        warnings: bool | str = True,
        fallback: Callable[[Any], Any] | None = None,
        serialize_as_any: bool = False,
    ) -> dict[str, Any]:
        """Return the fields as a dict of copies.

        Embedded models and fetched links are dicts, other links their `_id`. Fields with `Field(exclude=True)` are left
        out.

        Parameters
        ----------
        mode
            `python` for Python's values, `json` for values of plain JSON: an ObjectId as 24 hex digits, a decimal, UUID
            or date as text, a binary as base64, and a value without a plain form as relaxed Extended JSON.
        include, exclude
            Names of fields; or a mapping of names to True or to a selection within the value, where positions are those
            of items, and `"__all__"` stands for all of them.
        by_alias
            Stored keys instead of names.
        exclude_unset
            Leave out values that are defaults, because they were neither given nor stored.
        exclude_defaults
            Leave out values that equal the default.
        exclude_none
            Leave out values that are None.
        context
            The `context` of the argument `info` of serializers.
        exclude_computed_fields, round_trip
            Leave out computed fields.
        fallback
            A function of the values that have no form in JSON; the result is dumped in their place.
        serialize_as_any
            Show the fields of the class of each value, also where an annotation names a class above it.
        warnings
            As for pydantic's models within this one: a dump of this package gives no warnings.

        Raises
        ------
        ValueError
            For an unknown mode.
        TypeError
            For a value that has no form in JSON.
        """
        if mode not in ("python", "json"):
            raise ValueError(f"there is no mode {mode!r}; there are 'python' and 'json'")
        dump = Dump(
            json=mode == "json",
            by_alias=bool(by_alias),
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
            exclude_computed_fields=exclude_computed_fields,
            round_trip=round_trip,
            context=context,
            fallback=fallback,
            serialize_as_any=serialize_as_any,
        )
        return dump.model(self, include, exclude)

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        ensure_ascii: bool = False,
        include: Selection | None = None,
        exclude: Selection | None = None,
        context: Any = None,
        by_alias: bool | None = False,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        exclude_computed_fields: bool = False,
        round_trip: bool = False,
        warnings: bool | str = True,
        fallback: Callable[[Any], Any] | None = None,
        serialize_as_any: bool = False,
    ) -> str:
        """Return the text of `model_dump(mode="json", ...)`. As with pydantic, NaN and infinity are null.

        `to_extended_json` keeps the types of BSON. All other arguments are those of `model_dump`.

        Parameters
        ----------
        indent
            Spaces for each level; None for one line.
        ensure_ascii
            Escape all characters beyond ASCII.
        """
        dump = Dump(
            json=True,
            by_alias=bool(by_alias),
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
            finite=True,
            exclude_computed_fields=exclude_computed_fields,
            round_trip=round_trip,
            context=context,
            fallback=fallback,
            serialize_as_any=serialize_as_any,
        )
        values = dump.model(self, include, exclude)
        if indent is None and not ensure_ascii:
            return _COMPACT.encode(values)
        separators = (",", ":") if indent is None else None
        return json.dumps(values, indent=indent, ensure_ascii=ensure_ascii, separators=separators)

    def to_extended_json(self, *, canonical: bool = False) -> str:
        """Return the document as MongoDB Extended JSON v2, relaxed unless `canonical`."""
        from bson import json_util
        from bson.binary import UuidRepresentation

        options = json_util.CANONICAL_JSON_OPTIONS if canonical else json_util.RELAXED_JSON_OPTIONS
        return json_util.dumps(
            self._dump(), json_options=options.with_options(uuid_representation=UuidRepresentation.STANDARD)
        )

    def __data_bridge_json__(self) -> dict[str, Any]:
        """Return the values for `json_default`."""
        return self.model_dump(mode="json", by_alias=True)

    # ---- comparison and repr ----------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Model):
            return NotImplemented
        if self is other:
            return True
        fields = [field for field in type(self).__odm__.fields.values() if not field.converter.virtual]
        return all(self._comparable(field) == other._comparable(field) for field in fields)

    def _comparable(self, field: Any) -> tuple[bool, Any]:
        """Return whether a value fits its field, and the value to compare: the stored one if it does not fit."""
        try:
            return True, getattr(self, field.name)
        except ValidationError:
            document = self._document()
            stored = document is not None and field.key in document
            return False, plain(document[field.key]) if stored else MISSING  # type: ignore[index]

    def __repr__(self) -> str:
        shown = []
        for name, field in type(self).__odm__.fields.items():
            if field.converter.virtual or not field.options.repr:
                continue
            try:
                shown.append(f"{name}={getattr(self, name)!r}")
            except ValidationError as error:
                shown.append(f"{name}=<{error.found}>")
        return f"{type(self).__name__}({', '.join(shown)})"


class EmbeddedDocument(Model):
    """A model of documents within documents and of projections."""


def faults_of(instance: Model) -> list[ValidationError]:
    """Return the errors of all values of an instance that do not fit."""
    return instance._faults()


def models_in(value: object) -> Iterator[Model]:
    """Yield the embedded models in a value, but not those within them."""
    for _, each in embedded_in(value):
        yield each
