"""Options of queries over models: the options of `find`, and those that each other operation takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ...commands.options import OPTIONS, SNAKE_CASE, check_option, options_of
from ...connection.uri import check_timeout
from ...query.find_command import FindCommand
from ...query.table_options import TableOptions
from ..filters import trust
from ..filters.lookup import sort_keys

_COMMAND = ("skip", "limit")
_SWITCHES = ("with_children", "fetch_links", "nesting_depth", "nesting_depths_per_field")
_PARTS = (*_COMMAND, "sort", *_SWITCHES)

FIND_OPTIONS: dict[str, Any] = {
    **{name: option.default for name, option in options_of("find").items() if name not in _PARTS},
    **TableOptions._field_defaults,
    "session": None,
    "read_preference": None,
    "read_concern": None,
    "timeout": ...,
    "resume": False,
    "progress": None,
    "parallel": 1,
    "ordered": True,
}
"""Options of `Collection.find` beside the parts of a query, with their defaults."""

COLLECTION_OPTIONS = {"timeout": None}
"""Options that are settings of the collection, not arguments of the operation."""

READ_OPTIONS = {**COLLECTION_OPTIONS, "read_preference": None, "read_concern": None}
"""The same for reads."""

COUNT_OPTIONS = {
    **READ_OPTIONS,
    "session": "session",
    **{name: option.driver for name, option in options_of("distinct").items()},
}
"""Options of counts and `distinct`, with the names of these operations."""

FOLD_OPTIONS = {
    **{name: name for name in ("session", "timeout", "read_preference", "read_concern")},
    **{name: name for name in options_of("aggregate") if name in FIND_OPTIONS and name != "batch_size"},
}
"""Options of `sum`, `avg`, `min` and `max`."""

AGGREGATE_OPTIONS = {
    **FOLD_OPTIONS,
    **{name: name for name in ("batch_size", "progress", "parallel", "ordered", *TableOptions._fields)},
}
"""Options of `aggregate`."""

WRITE_OPTIONS = {
    **COLLECTION_OPTIONS,
    "session": "session",
    **{name: name for name in options_of("write")},
}
"""Options of writes."""

LINK_OPTIONS = ("session", "timeout", "read_preference", "read_concern", "max_time_ms", "comment")
"""Options that the queries for links take from their query."""

FIND_AND_OPTIONS = {
    "update": frozenset({"sort", "return_document", "upsert", "array_filters", "bypass_document_validation"}),
    "replace": frozenset({"sort", "return_document", "upsert", "bypass_document_validation"}),
    "delete": frozenset({"sort"}),
}
"""Options of `find_one_and_*` beside those of WRITE_OPTIONS."""

AGGREGATE_ONLY = frozenset({"bypass_document_validation", *SNAKE_CASE} - {*FIND_OPTIONS})
"""Options of `aggregate` only, also with the spelling of PyMongo."""


def changed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from their defaults."""
    return {name: value for name, value in options.items() if not _is_default(name, value)}


def split(
    model: Any, options: Mapping[str, Any], command: FindCommand, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the parts of a query from the keyword arguments of `find`, which replace those of `command` and `before`.

    Raises
    ------
    TypeError
        For a name that is no option, and for a value of another type.
    ValueError
        For a number out of range.
    """
    switches: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in options.items():
        if name == "sort":
            if value is not None:
                command = command.sort(sort_keys(model, value if isinstance(value, list) else [value]))
        elif name in _COMMAND:
            command = command.with_option(name, value)
        elif name in _SWITCHES:
            switches[name] = _depth(name, value) if name.startswith("nesting_") else value
        elif name in FIND_OPTIONS:
            rest[name] = _checked(name, value)
        else:
            raise _unknown(f"{model.__name__}.find()", name, (*_PARTS, *FIND_OPTIONS))
    return {**switches, "command": command, "options": {**(before or {}), **rest}}


def find_and_options(model: Any, action: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options given to `find_one_and_*` itself, by its names for them.

    Raises
    ------
    TypeError, ValueError
        As for `split`.
    """
    trust.check_code(options, "options")
    checked: dict[str, Any] = {}
    for given, value in options.items():
        name = SNAKE_CASE.get(given, given)
        if name == "sort":
            if value is not None:
                checked["sort"] = sort_keys(model, value if isinstance(value, list) else [value])
        elif name in FIND_AND_OPTIONS[action] or name in WRITE_OPTIONS:
            checked[name] = _checked(name, value) if name in FIND_OPTIONS else value
        else:
            raise _unknown(f"find_one_and_{action}()", given, (*sorted(FIND_AND_OPTIONS[action]), *WRITE_OPTIONS))
    return checked


def aggregate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options given to `aggregate` itself.

    Raises
    ------
    TypeError, ValueError
        As for `split`.
    """
    for given, value in options.items():
        name = SNAKE_CASE.get(given, given)
        if name not in AGGREGATE_OPTIONS and name != "bypass_document_validation":
            raise _unknown("aggregate()", given, (*AGGREGATE_OPTIONS, "bypass_document_validation"))
        _checked(name, value)
    return dict(options)


def _checked(name: str, value: object) -> Any:
    if name == "timeout":
        return value if value is ... else check_timeout(value)
    if name in OPTIONS:
        if name == "let" and value is not None:
            trust.check_code(value, "let")
        check_option(OPTIONS[name].driver, value)
    return value


def _depth(name: str, value: Any) -> Any:
    """Return a depth, or depths by the names of fields.

    Raises
    ------
    TypeError, ValueError
        For a depth that is no int, or negative.
    """
    if name == "nesting_depths_per_field" and value is not None:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a mapping of fields to depths, got {type(value).__name__}")
        return {str(field): _depth("a nesting depth", depth) for field, depth in value.items()}
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value is not None and value < 0:
        raise ValueError(f"{name} cannot be negative, got {value}")
    return value


def _is_default(name: str, value: object) -> bool:
    default = FIND_OPTIONS[name]
    # None means the default, except for `timeout`, where it means no limit.
    if value is default or (value is None and name != "timeout"):
        return True
    # Types first: a schema may be a frame, whose `==` returns a frame.
    return type(value) is type(default) and bool(value == default)


def _unknown(what: str, name: str, known: Iterable[str]) -> TypeError:
    if name == "projection":
        return TypeError(f"{what} takes no option 'projection': use project()")
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return TypeError(f"{what} takes no option {name!r}{meant}: there are {', '.join(known)}")
