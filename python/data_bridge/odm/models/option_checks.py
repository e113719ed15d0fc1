"""Checks of the options of fields: those that the annotation or the place of a field cannot have are refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bson.datetime_ms import DatetimeMS

from ..converters.containers import ListConverter, TupleConverter
from ..converters.conversions import CustomConverter, DateConverter
from ..converters.converter import AnyConverter, Converter, NoneConverter, ScalarConverter, embedded_models
from ..converters.objects import PydanticConverter
from ..converters.unions import UnionConverter

_LONGEST = 2**31 - 1
"""The largest number of seconds that the server takes."""


def check_options(field: Any) -> None:
    """Refuse options that a field of this annotation cannot have.

    Raises
    ------
    TypeError
        With the form to write instead.
    NameError
        When an annotation names a class that is not defined yet.
    """
    if has_rule(field.options):
        _check_rule(field)
    check_expiry(field.options, field.converter)
    _check_below(field.converter, set())


def has_rule(options: Any) -> bool:
    """Return whether a field has a delete rule that does something."""
    return options.delete_rule is not None and options.delete_rule != "DO_NOTHING"


def _check_rule(field: Any) -> None:
    converter = _alone(field.converter)
    is_list = isinstance(converter, ListConverter)
    link = _alone(converter.item) if is_list and converter.item is not None else converter
    if link.target is None or link.virtual:
        raise TypeError("a delete_rule is for a Link or a list of Links")
    if field.options.delete_rule == "PULL" and not is_list:
        raise TypeError("the delete_rule PULL is for a list of Links")
    if field.options.delete_rule == "NULLIFY" and field.required:
        raise TypeError(
            f"the delete_rule NULLIFY removes the link, and the field has no other value: write {link.name} | None, or "
            "the rule CASCADE or DENY"
        )


def _check_below(converter: Converter, seen: set[Any]) -> None:
    """Refuse delete rules in a Document that is embedded: models of embedded documents have none."""
    for model in embedded_models(converter):
        if model not in seen:
            seen.add(model)
            for field in model.__odm__.fields.values():
                if has_rule(field.options):
                    raise TypeError(f"{model.__name__}.{field.name} has a delete_rule: {ADVICE}")
                _check_below(field.converter, seen)


ADVICE = "it has no effect in an embedded document; declare the link in the Document that has a collection"


def check_expiry(options: Any, converter: Converter) -> None:
    """Refuse the option `expire_after_seconds` where the server would never delete a document.

    Raises
    ------
    TypeError
        For values that are no dates, and for another number of seconds than the server takes.
    """
    seconds = options.expire_after_seconds
    if seconds is None:
        seconds = options.index_options.get("expireAfterSeconds")
    if seconds is None:
        return
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds <= _LONGEST:
        raise TypeError(f"expire_after_seconds is a number of seconds from 0 to {_LONGEST}, got {seconds!r}")
    if not _may_be_date(converter):
        raise TypeError(
            f"expire_after_seconds is for a datetime, a date, or a list of these, got {converter.name}: the "
            "server never deletes documents with another value"
        )


def _may_be_date(converter: Converter) -> bool:
    if isinstance(converter, (UnionConverter, ListConverter, TupleConverter)):
        return any(_may_be_date(each) for each in converter.parts())
    if isinstance(converter, CustomConverter):
        return _may_be_date(converter.stored)
    if isinstance(converter, ScalarConverter):
        return issubclass(converter.kind, (dt.datetime, DatetimeMS))
    return isinstance(converter, (AnyConverter, DateConverter, PydanticConverter))


def _alone(converter: Converter) -> Converter:
    """Return the one member of a union that is not None; any other converter unchanged."""
    if not isinstance(converter, UnionConverter):
        return converter
    others = [each for each in converter.members if not isinstance(each, NoneConverter)]
    return others[0] if len(others) == 1 else converter
