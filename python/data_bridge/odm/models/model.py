"""The base of models: a value for each declared field, and no names that hide a field."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..._core import Document as StoredDocument
from ..converters.containers import EmbeddedConverter
from ..converters.converter import CLASS_KEY, Converter, plain
from ..errors import Mismatch, ValidationError
from . import arrow_rows
from . import instance_state as state
from .copying import CopiedView
from .instance_state import MISSING
from .link import Link
from .metaclass import ModelInfo, ModelMeta

if TYPE_CHECKING:
    from typing_extensions import Self


class Model(CopiedView, metaclass=ModelMeta):
    """The base of Document, AsyncDocument and EmbeddedDocument: declared fields, and no other attributes.

    An instance of a query is a view of a row. A value is built when its field is read; lists, dicts and embedded models
    are then kept, so that they can be changed in place.
    """

    __odm__: ClassVar[ModelInfo]
    _is_collection: ClassVar[bool] = False
    _is_async: ClassVar[bool] = False
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, /, **values: Any) -> None:
        """
        Raises
        ------
        ValidationError
            For values that are invalid, missing or undeclared; `errors` has one error for each.
        """
        errors: list[ValidationError] = []
        name = type(self).__name__
        fields = type(self).__odm__.fields
        for field in fields.values():
            value = values.pop(field.name, MISSING)
            # A key that is also the name of another field means that field.
            if value is MISSING and field.key not in fields:
                value = values.pop(field.key, MISSING)
            if field.converter.virtual and value is MISSING:
                continue
            try:
                if value is MISSING and not field.required:
                    self._assigned[field.name] = field.default()
                elif value is MISSING:
                    raise Mismatch(field.converter.name, None, found="no value").under(field.name).error(model=name)
                else:
                    setattr(self, field.name, value)
            except ValidationError as error:
                errors.extend(error.errors)
        for key, value in values.items():
            info = type(self).__odm__
            if key != CLASS_KEY or not info.in_tree:
                errors.append(Mismatch("a declared field", value).under(key).error(model=name))
            elif value != info.class_id:
                errors.append(Mismatch(repr(info.class_id), value).under(key).error(model=name))
        raise_all(errors)

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
            return cls(**values)
        except ValidationError as error:
            mismatch = Mismatch(error.errors[0].expected, None, found=error.errors[0].found)
            mismatch.path = list(error.errors[0].path)
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
        """Return the document to store: unchanged values as they were read, without missing ones."""
        info = type(self).__odm__
        document = self._document()
        result: dict[str, Any] = {}
        for field in info.fields.values():
            if field.converter.virtual:
                continue
            value = state.held_value(self, field.name)
            if value is MISSING:
                if document is not None and field.key in document:
                    result[field.key] = plain(document[field.key])
            elif value is not None or field.key != "_id":
                result[field.key] = field.dump(value)
        if info.in_tree:
            result[CLASS_KEY] = info.class_id
        if document is not None and self._is_whole:
            declared = info.by_key
            for key in document:
                if key not in result and key not in declared:
                    result[key] = plain(document[key])
        return result

    def _unknown(self) -> list[str]:
        """Return the stored keys that are not declared."""
        document = self._document()
        info = type(self).__odm__
        known = {*info.by_key, CLASS_KEY} if info.in_tree else info.by_key
        return [] if document is None else [key for key in document if key not in known]

    def _fits(self) -> bool:
        """Return whether all stored values fit; quick checks first."""
        fields = [field for field in type(self).__odm__.fields.values() if not field.converter.virtual]
        document = self._document()
        if any(field.required and (document is None or field.key not in document) for field in fields):
            return False
        for field in sorted(fields, key=lambda field: field.converter.deep):
            try:
                value = getattr(self, field.name)
            except ValidationError:
                return False
            if not all(embedded._fits() for embedded in models_in(value)):
                return False
        return True

    def _faults(self) -> list[ValidationError]:
        """Return the errors of all fields and of embedded models."""
        errors: list[ValidationError] = []
        for name, field in type(self).__odm__.fields.items():
            if field.converter.virtual:
                continue
            try:
                value = getattr(self, name)
            except ValidationError as error:
                errors.extend(error.errors)
                continue
            for embedded in models_in(value):
                errors.extend(embedded._faults())
        return errors

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
        by_alias: bool = False,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """Return the fields as a dict of copies, embedded models as dicts.

        Parameters
        ----------
        by_alias
            Stored keys instead of names.
        include, exclude
            Names of fields.
        exclude_none
            Leave out values that are None.
        """
        wanted, unwanted = None if include is None else set(include), set(exclude)
        result = {}
        for name, field in type(self).__odm__.fields.items():
            if name in unwanted or (wanted is not None and name not in wanted) or field.converter.virtual:
                continue
            value = getattr(self, name)
            if value is not None or not exclude_none:
                result[field.key if by_alias else name] = _dumped(value, by_alias, exclude_none)
        info = type(self).__odm__
        if info.in_tree and not info.is_collection:
            result[CLASS_KEY] = info.class_id
        return result

    def model_dump_json(self, *, canonical: bool = False) -> str:
        """Return the document as MongoDB Extended JSON v2, relaxed unless `canonical`."""
        from bson import json_util
        from bson.binary import UuidRepresentation

        options = json_util.CANONICAL_JSON_OPTIONS if canonical else json_util.RELAXED_JSON_OPTIONS
        return json_util.dumps(
            self._dump(), json_options=options.with_options(uuid_representation=UuidRepresentation.STANDARD)
        )

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
            if field.converter.virtual:
                continue
            try:
                shown.append(f"{name}={getattr(self, name)!r}")
            except ValidationError as error:
                shown.append(f"{name}=<{error.found}>")
        return f"{type(self).__name__}({', '.join(shown)})"


class EmbeddedDocument(Model):
    """A model of documents within documents and of projections."""


def raise_all(errors: list[ValidationError]) -> None:
    """Raise one error for all errors, if there are any."""
    if not errors:
        return
    first = errors[0]
    if len(errors) > 1:
        first = ValidationError(first.path, first.expected, first.found, first.id)
        first.errors = errors
        first.args = (f"{errors[0]} (and {len(errors) - 1} more, in `errors`)",)
    raise first


def faults_of(instance: Model) -> list[ValidationError]:
    """Return the errors of all values of an instance that do not fit."""
    return instance._faults()


def models_in(value: object) -> Iterator[Model]:
    """Yield the embedded models in a value, but not those within them."""
    if isinstance(value, Model) and not type(value).__odm__.is_collection:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from models_in(each)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from models_in(each)


def _dumped(value: object, by_alias: bool, exclude_none: bool) -> Any:
    if isinstance(value, Model):
        return value.model_dump(by_alias=by_alias, exclude_none=exclude_none)
    if isinstance(value, Link):
        return value.id
    if isinstance(value, dict):
        return {key: _dumped(each, by_alias, exclude_none) for key, each in value.items()}
    if isinstance(value, list):
        return [_dumped(each, by_alias, exclude_none) for each in value]
    if isinstance(value, (set, frozenset, tuple)) and any(isinstance(each, (Model, Link)) for each in value):
        return [_dumped(each, by_alias, exclude_none) for each in value]
    return copy.copy(value) if isinstance(value, (set, frozenset)) else value
