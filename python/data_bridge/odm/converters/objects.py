"""Converters of classes of other libraries: pydantic models, dataclasses, and pydantic's types of values."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import sys
import weakref
from collections import ChainMap
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, NamedTuple, get_args, get_origin
from uuid import UUID

from bson.objectid import ObjectId

from ..._core import Document
from ..errors import Mismatch
from .converter import Converter, dump_any, each_of, plain
from .object_fields import fields_of, is_pydantic

ConverterOf = Callable[[Any, Mapping[str, Any]], Converter]


class ObjectOptions(NamedTuple):
    """The options of a field of such a class."""

    exclude: bool
    """The field is not stored."""


class ObjectField(NamedTuple):
    """A field of such a class."""

    key: str
    """The key in documents."""
    converter: Converter
    options: ObjectOptions
    declarations: tuple[Any, ...] = ()
    """The annotation, and the metadata of it."""

    @property
    def source(self) -> Any:
        """The owner of the converter for a path, which refuses a field that is not stored."""
        return self if self.options.exclude else self.converter


class ObjectConverter(Converter):
    """A pydantic model or a dataclass: a document. The class itself makes the objects, with its own validation.

    Documents have the keys of pydantic's aliases, or of `field(metadata={"alias": ...})`.
    """

    keeps = True
    _known: weakref.WeakKeyDictionary[type, ObjectConverter] = weakref.WeakKeyDictionary()

    def __init__(self, cls: Any) -> None:
        self.cls = cls
        self.name = cls.__name__
        self.fields: dict[str, ObjectField] = {}
        self.by_key: dict[str, tuple[str, Converter]] = {}
        self._pydantic = is_pydantic(cls)

    @classmethod
    def of(cls, kind: type, names: Mapping[str, Any], converter_of: ConverterOf) -> ObjectConverter:
        """Return the converter of a class, which may contain itself.

        Raises
        ------
        NameError, TypeError
            As `converter_of`, for the annotations of its fields.
        """
        if (known := cls._known.get(kind)) is not None:
            return known
        made = cls._known[kind] = cls(kind)
        try:
            made._declare(names, converter_of)
        except BaseException:
            del cls._known[kind]
            raise
        return made

    def _declare(self, names: Mapping[str, Any], converter_of: ConverterOf) -> None:
        module = sys.modules.get(self.cls.__module__)
        own = ChainMap({self.cls.__name__: self.cls}, dict(vars(module)) if module is not None else {}, dict(names))
        for name, key, annotation, stored, required, metadata in fields_of(self.cls):
            converter = converter_of(annotation, own)
            if required and not stored:
                raise TypeError(
                    f"{self.name}.{name} is not stored, as Field(exclude=True) says, so it needs a default: without "
                    f"one no stored {self.name} can be read"
                )
            if _holds_models(converter):
                raise TypeError(
                    f"{self.name}.{name}: a model or a Link of this package cannot be a field of a pydantic model or "
                    f"dataclass: derive {self.name} from EmbeddedDocument"
                )
            declared = (
                get_args(converter.annotation) if get_origin(converter.annotation) is Annotated else (annotation,)
            )
            self.fields[name] = ObjectField(key, converter, ObjectOptions(not stored), (*declared, *metadata))
            self.by_key[key] = (name, converter)

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        return True

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        if self in above:
            return False
        return any(field.converter.read_differs(above | {self}) for field in self.fields.values())

    def attribute(self, name: str) -> tuple[str, Any] | None:
        if name in self.by_key and name not in self.fields:
            name = self.by_key[name][0]
        field = self.fields.get(name)
        return None if field is None else (field.key, field.source)

    def load(self, stored: object, place: object) -> Any:
        if not isinstance(stored, Document):
            raise self.fail(stored)
        return self._made(stored, lambda converter, value: converter.load(value, None))

    def accept(self, value: object) -> Any:
        if isinstance(value, self.cls):
            if type(value) is not self.cls:
                found = f"a {type(value).__name__}, whose class would not be stored"
                raise Mismatch(f"{self.name} itself", value, found=found)
            return value
        if isinstance(value, Mapping):
            return self._made(value, lambda converter, each: converter.accept(each))
        raise self.fail(value)

    def _made(self, values: Mapping[str, Any], convert: Callable[[Converter, Any], Any]) -> Any:
        """Return the object of stored keys; keys that the class does not declare go to pydantic, or to nothing."""
        arguments: dict[str, Any] = {}
        for key, value in values.items():
            name, converter = self.by_key.get(key) or (key, self.fields[key].converter if key in self.fields else None)
            if converter is None:
                if self._pydantic:
                    arguments[key] = plain(value)
                continue
            try:
                converted = convert(converter, value)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
            arguments[key if self._pydantic else name] = converted
        return self._built(arguments)

    def _built(self, arguments: dict[str, Any]) -> Any:
        try:
            if self._pydantic and hasattr(self.cls, "model_validate"):
                return self.cls.model_validate(arguments)
            return self.cls(**arguments)
        except Exception as error:
            raise _refusal(self.name, error) from error

    def dump(self, value: object) -> dict[str, Any]:
        accepted = self.accept(value)
        fields = [(name, field) for name, field in self.fields.items() if not field.options.exclude]
        values = each_of(
            lambda pair: pair[0].dump(pair[1]),
            ((field.key, (field.converter, getattr(accepted, name))) for name, field in fields),
        )
        document = dict(zip((field.key for _, field in fields), values, strict=True))
        # `extra="allow"` of pydantic.
        document.update({key: dump_any(each) for key, each in (getattr(accepted, "model_extra", None) or {}).items()})
        return document

    def operand(self, value: object) -> Any:
        # Compare a mapping unchanged: the defaults of the class would make it another document.
        return dump_any(value) if isinstance(value, Mapping) else self.dump(value)

    def exact(self, value: object) -> bool:
        return type(value) is self.cls

    def differing(self, stored: Document) -> set[str]:
        """Return the keys that only the stored document or only the class has; a write stores all keys of the class."""
        return {*stored} ^ {*self.keys_below()}

    def keys_below(self) -> Mapping[str, Converter]:
        return {field.key: field.converter for field in self.fields.values() if not field.options.exclude}


class PydanticConverter(Converter):
    """A type that pydantic validates, such as EmailStr, HttpUrl or SecretStr: its plain value."""

    def __init__(self, annotation: Any) -> None:
        from pydantic import TypeAdapter

        self.adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self.kind = annotation if isinstance(annotation, type) else object
        self.name = getattr(annotation, "__name__", None) or str(annotation)

    def load(self, stored: object, place: object) -> Any:
        return self.accept(plain(stored))

    def accept(self, value: object) -> Any:
        try:
            return self.adapter.validate_python(value)
        except ValueError as error:
            raise _refusal(self.name, error, value) from None

    def dump(self, value: object) -> Any:
        accepted = self.accept(value)
        if hasattr(accepted, "get_secret_value"):
            return dump_any(accepted.get_secret_value())
        if hasattr(accepted, "root"):
            return dump_any(accepted.root)
        return dump_any(accepted) if isinstance(accepted, _STORED) else self.adapter.dump_python(accepted, mode="json")

    def read_differs(self, above: frozenset[Any] = frozenset()) -> bool:
        return True

    @property
    def keeps(self) -> bool:  # type: ignore[override]
        # A RootModel can be changed in place.
        return hasattr(self.kind, "model_fields")

    def exact(self, value: object) -> bool:
        return self.kind is not object and isinstance(value, self.kind)


_STORED = (str, int, float, bytes, ObjectId, date, decimal.Decimal, UUID, enum.Enum, list, dict, set, tuple, frozenset)
"""Types that are stored without the help of pydantic."""


_REFUSED = {
    "BaseModel": "it declares no fields; name the class of the values, or write dict[str, Any]",
    "Json": "declare the type of the parsed value, such as dict[str, Any], and a BeforeValidator(json.loads) for texts",
}
"""Classes of pydantic that cannot be annotations, and the form to write."""


def object_converter(
    kind: type, annotation: Any, names: Mapping[str, Any], converter_of: ConverterOf
) -> Converter | None:
    """Return the converter of a class of another library; None for any other class."""
    if kind.__module__.partition(".")[0] == "pydantic" and kind.__name__ in _REFUSED:
        raise TypeError(f"{kind.__name__} of pydantic is not supported: {_REFUSED[kind.__name__]}")
    if is_pydantic(kind) and not getattr(kind, "__pydantic_root_model__", False):
        return ObjectConverter.of(kind, names, converter_of)
    if dataclasses.is_dataclass(kind):
        return ObjectConverter.of(kind, names, converter_of)
    if "pydantic" in sys.modules and hasattr(get_origin(annotation) or kind, "__get_pydantic_core_schema__"):
        return PydanticConverter(annotation)
    return None


def _holds_models(converter: Converter) -> bool:
    return converter.model is not None or converter.links is not None or any(map(_holds_models, converter.parts()))


def _refusal(name: str, error: Exception, value: object = None) -> Mismatch:
    """Return the mismatch of an error that a class has raised: pydantic's first one, with its path."""
    details = getattr(error, "errors", None)
    if details is None:
        return Mismatch(name, value, found=f"values that it refuses ({type(error).__name__}: {error})")
    first = details(include_url=False, include_context=False, include_input=False)[0]
    mismatch = Mismatch(name, value, found=f"a value that it refuses ({first['msg']})")
    mismatch.path = [step for step in first["loc"] if isinstance(step, (str, int))]
    return mismatch
