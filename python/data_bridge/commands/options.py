"""The options of finds, aggregates and counts: their names, types and defaults, and their form for the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from bson.codec_options import CodecOptions

from .._core import InvalidQuery
from .._typing import Collation, Projection, Sort
from . import encode

if TYPE_CHECKING:
    from .._typing import Collation, Hint, Sort

_INT64 = 1 << 63


class FindKeywords(TypedDict, total=False):
    """Keyword arguments of `find` that are options of the server's command."""

    batch_size: int | None
    hint: Hint | None
    collation: Collation | None
    max_time_ms: int | None
    comment: Any
    let: Mapping[str, Any] | None
    allow_disk_use: bool | None
    allow_partial_results: bool
    min: Sort | None
    max: Sort | None
    return_key: bool | None
    show_record_id: bool | None


class AggregateKeywords(TypedDict, total=False):
    """Keyword arguments of `aggregate` that are options of the server's command, also by PyMongo's names."""

    batch_size: int | None
    hint: Hint | None
    collation: Collation | None
    max_time_ms: int | None
    comment: Any
    let: Mapping[str, Any] | None
    allow_disk_use: bool | None
    bypass_document_validation: bool | None
    batchSize: int | None
    maxTimeMS: int | None
    allowDiskUse: bool | None
    bypassDocumentValidation: bool | None


class Option(NamedTuple):
    """An option of the server's commands."""

    name: str
    """The name of the keyword argument."""
    driver: str
    """The name that the driver and the server use."""
    check: Callable[[str, Any], Any]
    """Return a value in the driver's form, or raise for one of another type or range."""
    calls: frozenset[str]
    """The calls that take the option: find, aggregate, count, estimate, distinct, write."""
    default: Any = None
    unsent: Any = None
    """A value that equals the server's default, and is not sent."""


def _integer(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if abs(value) >= _INT64:
        raise ValueError(f"{name} does not fit 64 bits")
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{name} cannot be negative, got {value}")
    return _integer(name, value)


def check_bool(name: str, value: object) -> bool:
    """Return a value that is a bool.

    Raises
    ------
    TypeError
        For any other value.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
    return value


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {type(value).__name__}")
    return value


def _hint(name: str, value: Any) -> str | dict[str, Any]:
    return value if isinstance(value, str) else pairs(name, value)


def _keys(name: str, value: Any) -> dict[str, Any]:
    return pairs(name, value)


def _collation(_: str, value: Any) -> dict[str, Any]:
    return collation_of(value)


def _any(_: str, value: object) -> Any:
    return value


def _table() -> dict[str, Option]:
    counts = ("find", "count")
    queries = ("find", "aggregate")
    rows: list[tuple[str, str, Callable[[str, Any], Any], tuple[str, ...], Any, Any]] = [
        # name, driver's name, check, calls, default, value that is not sent
        ("skip", "skip", _count, counts, 0, 0),
        ("limit", "limit", _integer, counts, 0, 0),
        ("batch_size", "batchSize", _count, queries, None, 0),
        ("hint", "hint", _hint, (*queries, "count", "distinct", "write"), None, None),
        ("collation", "collation", _collation, (*queries, "count", "distinct", "write"), None, None),
        ("max_time_ms", "maxTimeMS", _count, (*queries, "count", "distinct", "estimate", "write"), None, 0),
        ("comment", "comment", _any, (*queries, "count", "distinct", "estimate", "write"), None, None),
        ("let", "let", _mapping, (*queries, "write"), None, None),
        ("allow_disk_use", "allowDiskUse", check_bool, queries, None, None),
        ("no_cursor_timeout", "noCursorTimeout", check_bool, ("find",), False, False),
        ("allow_partial_results", "allowPartialResults", check_bool, ("find",), False, False),
        ("bypass_document_validation", "bypassDocumentValidation", check_bool, ("aggregate",), None, None),
        ("min", "min", _keys, ("find",), None, None),
        ("max", "max", _keys, ("find",), None, None),
        ("return_key", "returnKey", check_bool, ("find",), None, None),
        ("show_record_id", "showRecordId", check_bool, ("find",), None, None),
    ]
    return {row[0]: Option(row[0], row[1], row[2], frozenset(row[3]), row[4], row[5]) for row in rows}


OPTIONS = _table()
"""All options by the name of the keyword argument. A new option is a row here, and a name in the keywords above."""
_BY_DRIVER = {option.driver: option for option in OPTIONS.values()}
SNAKE_CASE = {option.driver: option.name for option in OPTIONS.values() if option.driver != option.name}
"""Our names of options by the names that PyMongo's `aggregate` has for them."""


def options_of(call: str) -> dict[str, Option]:
    """Return the options that a call takes, by name."""
    return {name: option for name, option in OPTIONS.items() if call in option.calls}


_FIND = options_of("find")
_AGGREGATE = options_of("aggregate")

_FIND_REFUSED: dict[str, tuple[Any, str]] = {
    "cursor_type": (0, "tailable cursors are not supported yet: use to_pymongo().find(..., cursor_type=...)"),
    "oplog_replay": (False, "servers ignore it since MongoDB 4.4: leave it out"),
    "max_scan": (None, "servers refuse it since MongoDB 4.2: use limit or max_time_ms"),
    "snapshot": (False, "servers refuse it since MongoDB 4.0: use start_session(snapshot=True)"),
}
"""PyMongo's arguments of `find` that are not supported: the default, and the action to take instead of others."""
_EXHAUST = 64
_AGGREGATE_REFUSED = {
    "cursor": "pass batch_size",
    "explain": "call explain() of the query",
    "maxAwaitTimeMS": "it belongs to change streams and tailable cursors, which to_pymongo() has",
    "readConcern": "pass read_concern",
    "readPreference": "pass read_preference",
    "writeConcern": "use with_options(write_concern=...)",
}
"""Options of the server's aggregate that are not supported, and the action to take instead."""


def find_options(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the driver's options of a find; None and the server's defaults are left out.

    Raises
    ------
    TypeError
        For an unknown name, and for a value of another type.
    ValueError
        For a number out of range, and for an argument of PyMongo's that is not supported.
    """
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        option = _FIND.get(name)
        if option is None:
            _refuse_find(name, value)
        elif value is not None:
            _add(options, option, option.driver, value)
    return options


def aggregate_options(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the driver's options of an aggregate, given by our names or PyMongo's.

    Raises
    ------
    TypeError
        For an unknown name, and for a value of another type.
    ValueError
        For a number out of range.
    """
    options: dict[str, Any] = {}
    for name, value in keywords.items():
        option = _AGGREGATE.get(SNAKE_CASE.get(name, name))
        if option is None:
            hint = _AGGREGATE_REFUSED.get(name)
            raise TypeError(f"aggregate() has no option {name!r}" + (f": {hint}" if hint else ""))
        if value is not None:
            _add(options, option, name if name in SNAKE_CASE else option.driver, value)
    return options


def with_option(options: Mapping[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return the driver's options with another value of one, by our name; None and the server's default leave it out.

    Raises
    ------
    TypeError, ValueError
        For a value of another type, and for a number out of range.
    """
    option = OPTIONS[name]
    changed = {**options}
    changed.pop(option.driver, None)
    if value is not None:
        _add(changed, option, option.driver, value)
    return changed


def _add(options: dict[str, Any], option: Option, name: str, value: object) -> None:
    checked = option.check(name, value)
    # Any other False is sent: the server's default may be True, as of `allowDiskUse`.
    if option.unsent is None or checked != option.unsent:
        options[option.driver] = checked


def _refuse_find(name: str, value: object) -> None:
    if name in _FIND_REFUSED:
        default, hint = _FIND_REFUSED[name]
        if value is None or value == default:
            return
        if name == "cursor_type" and value == _EXHAUST:
            hint = "exhaust cursors are not supported: leave it out, replies are fetched ahead of their use anyway"
        raise ValueError(f"{name}={value!r} is not supported by find(): {hint}")
    ours = SNAKE_CASE.get(name)
    raise TypeError(f"find() has no argument {name!r}" + (f": it is called {ours!r}" if ours else ""))


def encoded_options(call: str, options: Mapping[str, Any], codec_options: CodecOptions[Any]) -> bytes:
    """Encode the options of a call, which are given by the driver's names; those that are None are left out.

    Raises
    ------
    TypeError, ValueError
        For an option that the call does not take, and for a value that is not supported.
    """
    if not options:
        return encode.EMPTY
    allowed = sorted(option.driver for option in options_of(call).values())
    refuse_unknown(options, allowed)
    checked = {name: check_option(name, value) for name, value in options.items() if value is not None}
    return encode.document(checked, codec_options, "options")


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse options of other names.

    Raises
    ------
    TypeError
        For the first of them; the message has all known names, in their order.
    """
    for name in given:
        if name not in known:
            raise TypeError(f"unknown option {name!r}: there are {', '.join(known)}")


def check_option(driver: str, value: object) -> Any:
    """Return a value in the driver's form, of the option with this name for the driver."""
    option = _BY_DRIVER.get(driver)
    return value if value is None or option is None else option.check(driver, value)


def pairs(name: str, keys: Sort, direction: int | None = None) -> dict[str, Any]:
    """Keys and directions as a document: from a key, a mapping, or a list of keys and (key, direction) pairs.

    Raises
    ------
    TypeError
        For anything else.
    InvalidQuery
        When a key comes twice.
    """
    if isinstance(keys, str):
        return {keys: 1 if direction is None else direction}
    if direction is not None:
        raise TypeError(f"{name}: a direction goes with one key, got {type(keys).__name__}")
    if isinstance(keys, Mapping):
        return dict(keys)
    if not isinstance(keys, (list, tuple)):
        raise TypeError(f"{name} must be a key, a mapping or a list of (key, direction), got {type(keys).__name__}")
    result: dict[str, Any] = {}
    for item in keys:
        if isinstance(item, str):
            key, value = item, 1
        elif isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str):
            key, value = item
        else:
            raise TypeError(f"{name} must be a list of (key, direction) pairs, got {item!r} in it")
        if key in result:
            raise InvalidQuery(f"{name} names the key {key!r} twice")
        result[key] = value
    return result


def projection_of(projection: Projection) -> dict[str, Any]:
    """A projection as a document: a mapping as it is, a list of keys as those to return; an empty one returns all."""
    if isinstance(projection, Mapping):
        return dict(projection)
    if isinstance(projection, (str, bytes)) or not isinstance(projection, Iterable):
        raise TypeError(f"projection must be a mapping or a list of keys, got {type(projection).__name__}")
    keys = list(projection)
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(f"projection must be a list of str, got {type(key).__name__} in it")
    return dict.fromkeys(keys, 1)


def collation_of(collation: Collation) -> dict[str, Any]:
    """A collation as a document, from a mapping or PyMongo's Collation."""
    document = getattr(collation, "document", collation)
    if not isinstance(document, Mapping):
        raise TypeError(f"collation must be a mapping or a pymongo Collation, got {type(collation).__name__}")
    return dict(document)
