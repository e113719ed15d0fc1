"""The settings that databases and collections inherit: codec, read preference, concerns, deadline."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import bson
from bson.codec_options import CodecOptions

from ..commands import encode
from . import codec, uri_options
from . import write_concern as write_concern_
from .uri import check_timeout

_MODES = {mode.lower(): mode for mode in uri_options.MODES}
DEFAULT_TYPES = "plain"
"""The types of tables when no client, collection or query sets others."""
_TYPES = ("plain", "exact")
_LEVELS = ("local", "available", "majority", "linearizable", "snapshot")


class Settings:
    """Immutable; `replace` makes a changed one. The native codec and the encoded selection are made once."""

    __slots__ = (
        "acknowledged",
        "codec",
        "codec_options",
        "concern",
        "read_concern",
        "read_preference",
        "replies",
        "selection",
        "timeout",
        "types",
        "write_concern",
    )

    def __init__(
        self,
        codec_options: CodecOptions[Any],
        read_preference: Any,
        write_concern: Any,
        read_concern: Any,
        timeout: float | None,
        types: str = DEFAULT_TYPES,
    ) -> None:
        self.codec_options = codec_options
        self.read_preference = read_preference
        self.write_concern = write_concern
        self.read_concern = read_concern
        self.timeout = timeout
        self.types = types
        self.codec = codec.native(codec_options)
        self.selection = encode_selection(read_preference, read_concern)
        # A server cuts texts of its messages off within characters.
        self.replies = codec_options.with_options(unicode_decode_error_handler="replace")
        self.concern = write_concern_.document(write_concern)
        self.acknowledged = write_concern_.acknowledged(self.concern)

    def replace(
        self,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
        timeout: Any = ...,
        types: str | None = None,
    ) -> Settings:
        """With what is not None in place of ours; a timeout of None is none."""
        concerns = read_preference, write_concern, read_concern
        if codec_options is None and concerns == (None, None, None):
            if timeout is ... and types is None:
                return self
            # Nothing else depends on them: the codec and the selection stay.
            changed = copy(self)
            changed.timeout = self.timeout if timeout is ... else check_timeout(timeout)
            changed.types = self.types if types is None else check_types(types)
            return changed
        return Settings(
            self.codec_options if codec_options is None else codec_options,
            self.read_preference if read_preference is None else read_preference,
            self.write_concern if write_concern is None else write_concern,
            self.read_concern if read_concern is None else read_concern,
            self.timeout if timeout is ... else check_timeout(timeout),
            self.types if types is None else check_types(types),
        )


def check_types(types: object) -> str:
    """Return the `types` of tables.

    Raises
    ------
    TypeError, ValueError
        For a value that is none of them.
    """
    if not isinstance(types, str):
        raise TypeError(f"types must be a str, got {type(types).__name__}")
    if types not in _TYPES:
        raise ValueError(f'types must be "plain" or "exact", got {types!r}')
    return types


def encode_selection(read_preference: Any, read_concern: Any) -> bytes:
    """BSON {readPreference?, readConcern?}, as the native module takes them.

    Raises
    ------
    TypeError, ValueError
        For a value that is neither an object of PyMongo's nor a known name.
    """
    if read_preference is None and read_concern is None:
        return encode.EMPTY
    selection: dict[str, Any] = {}
    if read_preference is not None:
        selection["readPreference"] = preference(read_preference)
    if read_concern is not None and (read_level := level(read_concern)) is not None:
        selection["readConcern"] = {"level": read_level}
    return bson.encode(selection)


def preference(value: Any) -> dict[str, Any]:
    """{mode, tagSets?, maxStalenessSeconds?} of a mode's name or one of PyMongo's read preferences."""
    if isinstance(value, str):
        if value.lower() not in _MODES:
            raise ValueError(f"read_preference must be one of {', '.join(_MODES.values())}, got {value!r}")
        return {"mode": _MODES[value.lower()]}
    document = getattr(value, "document", None)
    if not isinstance(document, Mapping) or "mode" not in document:
        raise TypeError(f"read_preference must be a str or one of PyMongo's, got {type(value).__name__}")
    if "hedge" in document:
        raise ValueError("the hedge of a read preference is not supported")
    result = {"mode": document["mode"]}
    if "tags" in document:
        result["tagSets"] = document["tags"]
    if "maxStalenessSeconds" in document:
        result["maxStalenessSeconds"] = document["maxStalenessSeconds"]
    return result


def level(value: Any) -> str | None:
    """The level of a read concern's name or PyMongo's ReadConcern; None for the server's default."""
    name = value if isinstance(value, str) else getattr(value, "level", ...)
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f"read_concern must be a str or a pymongo ReadConcern, got {type(value).__name__}")
    if name not in _LEVELS:
        raise ValueError(f"read_concern must be one of {', '.join(_LEVELS)}, got {name!r}")
    return name


def for_pymongo(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of PyMongo's `get_database` and `get_collection`."""
    keywords: dict[str, Any] = {"codec_options": settings.codec_options}
    if settings.read_preference is not None:
        keywords["read_preference"] = settings.read_preference
        if isinstance(settings.read_preference, str):
            from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name

            mode = _MODES[settings.read_preference.lower()]
            keywords["read_preference"] = make_read_preference(read_pref_mode_from_name(mode), None)
    if settings.concern:
        from pymongo.write_concern import WriteConcern

        keywords["write_concern"] = WriteConcern(**settings.concern)
    if settings.read_concern is not None:
        keywords["read_concern"] = settings.read_concern
        if isinstance(settings.read_concern, str):
            from pymongo.read_concern import ReadConcern

            keywords["read_concern"] = ReadConcern(settings.read_concern)
    return keywords


def client_for_pymongo(settings: Settings, timeout_ms: int | None) -> dict[str, Any]:
    """Keyword arguments of PyMongo's client, beside the URI."""
    keywords = codec.keywords(settings.codec_options)
    if timeout_ms is not None:
        keywords["timeoutMS"] = timeout_ms
    preference = for_pymongo(settings).get("read_preference")
    if preference is not None:
        keywords["read_preference"] = preference
    if settings.read_concern is not None:
        keywords["readConcernLevel"] = level(settings.read_concern)
    return keywords
