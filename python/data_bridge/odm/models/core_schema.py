"""Core schemas of pydantic: models as request bodies, as responses, and within pydantic's models.

pydantic validates bodies and responses field by field, so its errors, its conversions of JSON and its JSON schema are
those that FastAPI expects. Only pydantic imports this module.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import inspect
import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Annotated, Any, Union

import bson
import pydantic
from bson import json_util
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from pydantic_core import core_schema

from ..converters.checks import PASSIVE, CheckedConverter, Discriminated, FunctionCheck, Strict, ValidationInfo
from ..converters.choice_converter import ChoiceConverter
from ..converters.constraints import Constraints
from ..converters.containers import DictConverter, EmbeddedConverter, ListConverter, TupleConverter
from ..converters.conversions import CustomConverter, PythonTypeConverter
from ..converters.converter import CLASS_KEY, AnyConverter, Converter, NoneConverter, ScalarConverter
from ..converters.dict_keys import TypedKeysConverter
from ..converters.object_id import object_id_schema
from ..converters.objects import ObjectConverter
from ..converters.unions import UnionConverter
from ..errors import Mismatch
from .dump import Dump
from .field import NO_MODELS
from .link import Link, LinkConverter

Schema = Any
"""A core schema, or a JSON schema."""

_LIST_SCHEMAS: dict[type, Callable[..., Schema]] = {
    list: core_schema.list_schema,
    set: core_schema.set_schema,
    frozenset: core_schema.frozenset_schema,
}
_KEYWORDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "choices": "enum",
}
"""Keywords of JSON schemas for constraints that pydantic does not check."""

_LABEL = "pydantic_internal_union_tag_key"
"""The key of pydantic's metadata for the name of a union's member in the locations of errors."""

_building: ContextVar[frozenset[str]] = ContextVar("building", default=frozenset())
"""References of the models whose schemas are being made: a model may contain itself."""


def schema_of(model: Any, handler: Any) -> Schema:
    """Return the core schema of a model.

    Raises
    ------
    NameError
        For an annotation that names a class that is not defined yet.
    """
    reference = f"{model.__module__}.{model.__qualname__}:{id(model)}"
    building = _building.get()
    named = core_schema.definition_reference_schema(reference, metadata={_LABEL: model.__name__})
    if reference in building:
        return named
    token = _building.set(building | {reference})
    try:
        return core_schema.definitions_schema(named, [_Builder(handler).model(model, reference)])
    finally:
        _building.reset(token)


def link_schema(converter: LinkConverter, handler: Any) -> Schema:
    """Return the core schema of a link in a model of pydantic."""
    schema = _Builder(handler).schema(converter)
    target = converter.target
    declared = NO_MODELS if target.__odm__.in_tree else frozenset({target})

    def serialized(link: Any, info: Any) -> Any:
        return Dump(info.mode == "json", bool(info.by_alias), declared=declared).value(link)

    shown = core_schema.plain_serializer_function_ser_schema(serialized, info_arg=True)
    return {**schema, "serialization": shown}


class _Builder:
    """Makes core schemas of converters."""

    def __init__(self, handler: Any) -> None:
        self._generate: Callable[[Any], Schema] = handler.generate_schema

    def model(self, model: Any, reference: str) -> Schema:
        """Return the schema of a model: of its fields, and of the instance that is made of them."""
        info = model.__odm__
        serializers = info.serializers.of_fields
        fields = {
            name: self._field(field, serializers.get(name))
            for name, field in info.fields.items()
            if not field.converter.virtual
        }
        if info.in_tree:
            fields[info.class_key] = core_schema.typed_dict_field(
                core_schema.literal_schema([info.class_id]), required=False
            )
        typed = core_schema.typed_dict_schema(
            fields,
            computed_fields=[self._computed(name, each) for name, each in info.serializers.computed.items()],
            extra_behavior=info.config.extra,
            metadata={"pydantic_js_functions": [_described(model)]},
        )

        def make(values: dict[str, Any]) -> Any:
            made = model._validated(values)
            _raw(info.model_validators.check)(made)
            return made

        schema: Schema = core_schema.no_info_after_validator_function(make, typed)
        if info.model_validators.before:
            schema = core_schema.no_info_before_validator_function(_raw(info.model_validators.prepared), schema)

        def of_instance(value: Any, validate: Any) -> Any:
            if isinstance(value, model):
                return value
            # A view of another model, such as a response with fewer fields.
            if hasattr(type(value), "__odm__") or model._takes_attributes(value):
                value = model._attributes(value)
            return validate(info.without_derived(value) if isinstance(value, dict) else value)

        of_instance.__name__ = model.__name__  # pydantic shows it in the title of errors
        return core_schema.no_info_wrap_validator_function(
            of_instance,
            schema,
            ref=reference,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                _serializer(model),
                info_arg=True,
                schema=_of_class(model),
                return_schema=self._returned(info.serializers.of_model),
            ),
        )

    def _computed(self, name: str, computed: Any) -> Schema:
        describe = _js(dict(computed.described))
        return core_schema.computed_field(
            name, self._generate(computed.returns), alias=computed.alias, metadata=describe
        )

    def _returned(self, serializer: Any) -> Schema | None:
        """Return the schema of what a serializer returns, which only JSON schemas show."""
        return None if serializer is None or serializer.returns is Any else self._generate(serializer.returns)

    def _field(self, field: Any, serializer: Any) -> Schema:
        schema = self.schema(field.converter)
        for validator in field.validators:
            schema = _with_function(schema, validator, field.name)
        if (returned := self._returned(serializer)) is not None:
            # The dump of the model has run the serializer.
            shown = core_schema.plain_serializer_function_ser_schema(lambda value: value, return_schema=returned)
            schema = core_schema.no_info_after_validator_function(lambda value: value, schema, serialization=shown)
        return core_schema.typed_dict_field(
            schema,
            required=field.required,
            # A discriminator of pydantic's own models must be one key.
            validation_alias=None if field.key == field.name else [[field.key], [field.name]],
            serialization_alias=field.key,
            serialization_exclude=field.options.exclude or None,
            metadata={"pydantic_js_functions": [_field_description(field)]},
        )

    def schema(self, converter: Converter) -> Schema:
        """Return the schema of a converter; a valid value is as the converter accepts it."""
        if isinstance(converter, CheckedConverter):
            return self._checked(converter)
        for kind, build in _BUILDERS.items():
            if isinstance(converter, kind):
                return build(self, converter)
        try:
            schema = self._generate(converter.annotation)
        except pydantic.errors.PydanticSchemaGenerationError:
            schema = core_schema.any_schema()
        return core_schema.no_info_after_validator_function(_raw(converter.accept), schema)

    def _checked(self, converter: CheckedConverter) -> Schema:
        schema = None
        strict = any(isinstance(each, Strict) for each in converter.checks)
        checks = [each for each in converter.checks if not isinstance(each, PASSIVE)]
        first = checks[0] if checks and isinstance(checks[0], Constraints) else Constraints()
        if (strict or first.given()) and _is_leaf(converter.plain):
            # pydantic's own errors.
            arguments = {**first.given(), "strict": strict or None}
            arguments.pop("choices", None)
            annotation: Any = converter.plain.annotation
            # Patterns are Python's, as in constructors: others would be refused or mean something else.
            text = {"pattern": re.compile(arguments["pattern"])} if "pattern" in arguments else {}
            schema = self._generate(Annotated[annotation, pydantic.Field(**{**arguments, **text})])
            checks[:1] = [Constraints(choices=first.choices)] if first.given() else checks[:1]
        for each in converter.checks:
            if isinstance(each, Discriminated):
                schema = self._tagged(converter.plain, each.key)
        if schema is None:
            schema = self.schema(converter.plain)
        for check in checks:
            if isinstance(check, FunctionCheck):
                schema = _with_function(schema, check, None)
            elif isinstance(check, Constraints) and check.given():
                schema = _constrained(schema, converter.plain, check)
        return schema

    # ---- by the class of the converter ------------------------------------------------------------------------------

    def _scalar(self, converter: ScalarConverter) -> Schema:
        kind = converter.kind
        if kind is ObjectId:
            return object_id_schema()
        if issubclass(kind, bytes):
            return core_schema.no_info_wrap_validator_function(
                lambda value, text: converter.accept(value if isinstance(value, bytes) else _bytes(text(value))),
                core_schema.str_schema(metadata=_js({"contentEncoding": "base64"})),
            )
        if kind in _OF_OTHER:
            return self._instance_or(kind, self._generate(_OF_OTHER[kind]))
        if kind.__module__.partition(".")[0] == "bson":
            return core_schema.no_info_after_validator_function(
                lambda value: _raw(converter.accept)(_from_extended(value)),
                core_schema.any_schema(metadata=_js({"type": "object"})),
            )
        return self._generate(kind)

    def _instance_or(self, kind: Any, schema: Schema) -> Schema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, other: value if isinstance(value, kind) else kind(other(value)), schema
        )

    def _list(self, converter: ListConverter) -> Schema:
        item = self.schema(converter.item)
        if converter.kind is tuple:
            return core_schema.tuple_schema([item], variadic_item_index=0)
        return _LIST_SCHEMAS[converter.kind](item)

    def _tuple(self, converter: TupleConverter) -> Schema:
        return core_schema.tuple_schema([self.schema(each) for each in converter.items])

    def _dict(self, converter: DictConverter) -> Schema:
        return core_schema.dict_schema(core_schema.str_schema(), self.schema(converter.item))

    def _typed_keys(self, converter: TypedKeysConverter) -> Schema:
        keys = core_schema.no_info_after_validator_function(_raw(converter.accept_key), core_schema.any_schema())
        return core_schema.dict_schema(keys, self.schema(converter.item))

    def _embedded(self, converter: EmbeddedConverter) -> Schema:
        info = converter.model.__odm__
        below = info.descendants() if info.in_tree else [info]
        if len(below) == 1:
            return self._generate(converter.model)

        def named(value: Any) -> Any:
            if hasattr(type(value), "__odm__"):
                return type(value).__odm__.class_id
            return value.get(CLASS_KEY, info.class_id) if hasattr(value, "get") else info.class_id

        choices = {each.class_id: self._generate(each.cls) for each in below}
        return core_schema.tagged_union_schema(choices, named)

    def _union(self, converter: UnionConverter) -> Schema:
        others = [each for each in converter.members if not isinstance(each, NoneConverter)]
        schemas = [self.schema(each) for each in others]
        labels = map(_label, others)
        labelled = [(each, label) if label is not None else each for each, label in zip(schemas, labels, strict=True)]
        schema = schemas[0] if len(schemas) == 1 else core_schema.union_schema(labelled)
        if len(converter.embedded) > 1:
            # An instance is its own class, whatever other models could be made of its attributes.
            schema = core_schema.no_info_wrap_validator_function(
                lambda value, other: value if any(each.exact(value) for each in converter.embedded) else other(value),
                schema,
            )
        return core_schema.nullable_schema(schema) if converter.nullable else schema

    def _tagged(self, converter: Any, key: str) -> Schema:
        """Return the schema of a union of models with a discriminator."""
        if converter.embedded:
            keys: dict[str, None] = {}
            choices: dict[Any, Any] = {}
            fields_of: dict[Any, Any] = {}
            for each in converter.embedded:
                info = each.model.__odm__
                field = fields_of[each.model] = info.fields.get(key) or info.by_key[key]
                keys.update({field.key: None, field.name: None})
                choices.update(dict.fromkeys(field.converter.stored, self.schema(each)))
            by: Any = [[each] for each in keys] if len(keys) > 1 else key
            shown = {fields_of[each.model].key for each in converter.embedded}
            describe = _shown_discriminator(shown.pop() if len(shown) == 1 else _no_discriminator)
            tagged = core_schema.tagged_union_schema(choices, by, metadata={"pydantic_js_functions": [describe]})
            schema = core_schema.no_info_wrap_validator_function(
                lambda value, other: value if any(each.exact(value) for each in converter.embedded) else other(value),
                tagged,
            )
        else:
            union: Any = Union[tuple(each.cls for each in converter.members if not isinstance(each, NoneConverter))]  # noqa: UP007
            schema = self._generate(Annotated[union, pydantic.Field(discriminator=key)])
        return core_schema.nullable_schema(schema) if converter.nullable else schema

    def _custom(self, converter: CustomConverter) -> Schema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, stored: _raw(converter.accept)(
                value if isinstance(value, converter.custom_type.kind) else stored(value)
            ),
            self.schema(converter.stored),
        )

    def _link(self, converter: LinkConverter) -> Schema:
        def of_link(value: Any, key: Any) -> Any:
            try:
                return _raw(converter.accept)(value if converter.exact(value) else key(value))
            except ValueError:
                if not isinstance(value, dict):
                    raise
            # A dump of a fetched link, or a document to write with `link_rule`.
            classes = tuple(each.cls for each in converter.target.__odm__.descendants())
            return Link(_adapter_of(classes).validate_python(value))

        return core_schema.no_info_wrap_validator_function(
            of_link,
            self.schema(converter.target.__odm__.fields["id"].converter),
            metadata={"pydantic_js_functions": [_link_description]},
        )


_BUILDERS: dict[type[Converter], Callable[[Any, Any], Schema]] = {
    AnyConverter: lambda builder, _: core_schema.any_schema(),
    NoneConverter: lambda builder, _: core_schema.none_schema(),
    ScalarConverter: _Builder._scalar,
    ChoiceConverter: lambda builder, converter: builder._generate(converter.annotation),
    ListConverter: _Builder._list,
    TupleConverter: _Builder._tuple,
    TypedKeysConverter: _Builder._typed_keys,
    DictConverter: _Builder._dict,
    EmbeddedConverter: _Builder._embedded,
    UnionConverter: _Builder._union,
    CustomConverter: _Builder._custom,
    LinkConverter: _Builder._link,
}
_OF_OTHER: dict[type, Any] = {bson.Int64: int, Code: str, DatetimeMS: dt.datetime, Decimal128: decimal.Decimal}


@lru_cache(maxsize=256)
def _adapter_of(classes: tuple[Any, ...]) -> Any:
    """Return the adapter of linked documents of one of the classes; made on use, as models link to each other."""
    return pydantic.TypeAdapter(Union[classes])  # noqa: UP007


def _label(converter: Converter) -> str | None:
    """Return the name of a union's member in the locations of errors, as pydantic's; None for pydantic's own."""
    if isinstance(converter, (EmbeddedConverter, ObjectConverter)):
        return converter.name
    item = None if converter.item is None or isinstance(converter, (UnionConverter, LinkConverter)) else converter.item
    if item is None or (below := _label(item)) is None:
        return None
    if isinstance(converter, DictConverter):
        return f"dict[str,{below}]"
    if isinstance(converter, ListConverter):
        return f"tuple[{below}, ...]" if converter.kind is tuple else f"{converter.kind.__name__}[{below}]"
    return None


def _no_discriminator(_: Any) -> None:
    """Show no discriminator: the models have it under different keys."""


def _shown_discriminator(key: Any) -> Callable[[Schema, Any], Schema]:
    """Return the description of a tagged union by the key of its models, whose own schemas may be made later."""

    def describe(schema: Schema, handler: Any) -> Schema:
        shown: Schema = handler(
            {**{name: each for name, each in schema.items() if name != "metadata"}, "discriminator": key}
        )
        return shown

    return describe


def _is_leaf(converter: Converter) -> bool:
    """Return whether pydantic knows the annotation, and all constraints of it."""
    if isinstance(converter, UnionConverter):
        others = [each for each in converter.members if not isinstance(each, NoneConverter)]
        return len(others) == 1 and _is_leaf(others[0])
    if isinstance(converter, ScalarConverter):
        return converter.kind.__module__ in ("builtins", "datetime") and not issubclass(converter.kind, bytes)
    return isinstance(converter, PythonTypeConverter)


def _constrained(schema: Schema, converter: Converter, constraints: Constraints) -> Schema:
    """Return a schema with constraints that pydantic does not know for the type."""
    keywords = {_KEYWORDS[name]: value for name, value in constraints.given().items() if name in _KEYWORDS}
    unit = "Items" if isinstance(converter, (ListConverter, TupleConverter)) else "Length"
    unit = "Properties" if isinstance(converter, DictConverter) else unit
    for name, word in (("min_length", "min"), ("max_length", "max")):
        if (limit := getattr(constraints, name)) is not None:
            keywords[word + unit] = limit
    if constraints.choices is not None:
        keywords["enum"] = [Dump(json=True).value(each) for each in constraints.choices]
    accept = constraints.around(lambda value: value)
    return core_schema.no_info_after_validator_function(_raw(accept), schema, metadata=_js(keywords))


def _with_function(schema: Schema, check: FunctionCheck, field: str | None) -> Schema:
    """Return a schema with a validator, which raises its own errors."""
    function, takes_info = check.function, check.takes_info

    def rest(info: Any) -> tuple[Any, ...]:
        return (ValidationInfo(info.data or {}, field, info.mode, info.context),) if takes_info else ()

    if check.mode == "after":
        return core_schema.with_info_after_validator_function(lambda value, info: function(value, *rest(info)), schema)
    if check.mode == "wrap":
        return core_schema.with_info_wrap_validator_function(
            lambda value, inner, info: function(value, inner, *rest(info)), schema
        )
    return core_schema.with_info_before_validator_function(lambda value, info: function(value, *rest(info)), schema)


def _raw(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose Mismatch is a ValueError with the text for the user."""

    def raising(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Mismatch as mismatch:
            place = "".join(f"{step}: " for step in mismatch.path)
            fault = mismatch.reason or f"expected {mismatch.expected}, found {mismatch.found}"
            raise ValueError(place + fault) from mismatch.__cause__

    return raising


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None


def _from_extended(value: Any) -> Any:
    return json_util.object_hook(value) if isinstance(value, dict) else value


def _serializer(model: Any) -> Callable[[Any, Any, Any], Any]:
    """Return the serializer of a model: the model's own dump, of the fields of this class."""

    def serialized(value: Any, check: Any, info: Any) -> Any:
        kind: Any = type(value)
        if kind is not model:
            # Among the members of a union, pydantic looks for the class itself first, then for one above it.
            check(value)
            if not hasattr(kind, "__odm__"):
                return value  # assigned to a field of another library without validation
            if issubclass(kind, model) and not getattr(info, "serialize_as_any", False):
                kind = model
        dump = Dump(
            json=info.mode == "json",
            by_alias=bool(info.by_alias),
            exclude_unset=info.exclude_unset,
            exclude_defaults=info.exclude_defaults,
            exclude_none=info.exclude_none,
            exclude_computed_fields=getattr(info, "exclude_computed_fields", False),  # since pydantic 2.12
            round_trip=info.round_trip,
            context=getattr(info, "context", None),  # since pydantic 2.7
        )
        return dump.model(value, info.include, info.exclude, kind)

    return serialized


def _of_class(model: Any) -> Schema:
    """Return a schema whose serializer only refuses values of other classes, as far as pydantic refuses them."""
    return core_schema.dataclass_schema(model, core_schema.dataclass_args_schema(model.__name__, []), [])


# ---- JSON schemas ---------------------------------------------------------------------------------------------------


def _js(keywords: dict[str, Any]) -> dict[str, Any]:
    return {"pydantic_js_functions": [lambda schema, handler: {**handler(schema), **keywords}]}


def _described(model: Any) -> Callable[[Schema, Any], Schema]:
    config = model.__odm__.config

    def describe(schema: Schema, handler: Any) -> Schema:
        text = model.__dict__.get("__doc__")
        shown = {**handler(schema), "title": config.title or model.__name__}
        if text:
            shown["description"] = inspect.cleandoc(text)
        return {**shown, **(config.json_schema_extra or {})}

    return describe


def _field_description(field: Any) -> Callable[[Schema, Any], Schema]:
    options = field.options

    def describe(schema: Schema, handler: Any) -> Schema:
        shown = dict(handler(schema))
        for name in ("title", "description", "examples"):
            if getattr(options, name) is not None:
                shown[name] = getattr(options, name)
        if not field.required and options.default_factory is None:
            shown["default"] = Dump(json=True).value(field.default())
        return {**shown, **(options.json_schema_extra or {})}

    return describe


def _link_description(schema: Schema, handler: Any) -> Schema:
    shown = handler(schema)
    # A fetched link is shown as its document.
    return {"anyOf": [shown, {"type": "object"}]} if handler.mode == "serialization" else shown
