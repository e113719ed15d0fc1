"""Conversion of BSON to Python: from `bson.codec_options.CodecOptions` to the native module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion, TypeRegistry

from .. import _core

_ERROR_HANDLERS = ("strict", "replace", "ignore")
_UUID_NAMES = {
    "unspecified": UuidRepresentation.UNSPECIFIED,
    "standard": UuidRepresentation.STANDARD,
    "pythonLegacy": UuidRepresentation.PYTHON_LEGACY,
    "javaLegacy": UuidRepresentation.JAVA_LEGACY,
    "csharpLegacy": UuidRepresentation.CSHARP_LEGACY,
}
_DATETIME_NAMES = {
    "datetime": DatetimeConversion.DATETIME,
    "datetime_ms": DatetimeConversion.DATETIME_MS,
    "datetime_auto": DatetimeConversion.DATETIME_AUTO,
    "datetime_clamp": DatetimeConversion.DATETIME_CLAMP,
}

DEFAULT: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
"""As PyMongo's defaults, but dates that `datetime` cannot hold become `DatetimeMS` where PyMongo raises."""

KEYWORDS = {
    "tz_aware": "tz_aware",
    "tzinfo": "tzinfo",
    "uuidrepresentation": "uuid_representation",
    "unicode_decode_error_handler": "unicode_decode_error_handler",
    "datetime_conversion": "datetime_conversion",
}
"""PyMongo's keywords of `MongoClient`, lower case, by the name of the codec option they set."""


def check(options: CodecOptions[Any]) -> CodecOptions[Any]:
    """`options` as they are, when this package honours all of them.

    Raises
    ------
    TypeError
        When `options` is no `CodecOptions`.
    ValueError
        For a `type_registry` with entries, a `document_class` other than dict, or an unknown error handler.
    """
    if not isinstance(options, CodecOptions):
        raise TypeError(f"codec_options must be a bson.codec_options.CodecOptions, got {type(options).__name__}")
    if options.document_class is not dict:
        raise ValueError(
            f"document_class {options.document_class.__name__} is not supported: "
            "results are Documents; use to_dict() or to_dicts() for plain dicts"
        )
    if options.type_registry != TypeRegistry():
        raise ValueError("type_registry is not supported: convert values after reading, or use to_pymongo()")
    if options.unicode_decode_error_handler not in _ERROR_HANDLERS:
        raise ValueError(
            f"unicode_decode_error_handler must be one of {', '.join(_ERROR_HANDLERS)}, "
            f"got {options.unicode_decode_error_handler!r}"
        )
    return options


def from_keywords(keywords: Mapping[str, Any]) -> CodecOptions[Any]:
    """Codec options from the keywords (or URI options) of a client; keys are names of codec options.

    Raises
    ------
    ValueError
        For a value that no codec option takes.
    """
    values: dict[str, Any] = {"datetime_conversion": DatetimeConversion.DATETIME_AUTO}
    for name, value in keywords.items():
        if value is None:
            continue
        if name == "uuid_representation":
            values[name] = _named("uuidRepresentation", value, _UUID_NAMES)
        elif name == "datetime_conversion":
            values[name] = DatetimeConversion(_named(name, value, _DATETIME_NAMES))
        elif name == "tz_aware":
            values[name] = _boolean(name, value)
        else:
            values[name] = value
    return check(CodecOptions(**values))


def keywords(options: CodecOptions[Any]) -> dict[str, Any]:
    """Return the keyword arguments of a client, of this package or PyMongo, for the same options."""
    return {
        "tz_aware": options.tz_aware,
        "tzinfo": options.tzinfo,
        "uuidRepresentation": next(name for name, each in _UUID_NAMES.items() if each == options.uuid_representation),
        "unicode_decode_error_handler": options.unicode_decode_error_handler,
        "datetime_conversion": int(options.datetime_conversion or DatetimeConversion.DATETIME),
    }


def native(options: CodecOptions[Any]) -> _core.Codec:
    """Return the native module's options for decoding."""
    check(options)
    return _core.Codec(
        tz_aware=options.tz_aware,
        tzinfo=options.tzinfo,
        uuid_representation=options.uuid_representation,
        datetime_conversion=int(options.datetime_conversion or DatetimeConversion.DATETIME),
        unicode_decode_error_handler=options.unicode_decode_error_handler or "strict",
    )


def _named(name: str, value: Any, names: Mapping[str, int]) -> int:
    if isinstance(value, str):
        for each, number in names.items():
            if each.lower() == value.lower():
                return number
    elif value in names.values():
        return int(value)
    raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r}")


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
    raise ValueError(f"{name} must be true or false, got {value!r}")
