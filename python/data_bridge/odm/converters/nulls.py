"""Stored values without the null fields of documents, for models with `Settings.keep_nulls = False`."""

from __future__ import annotations

from typing import Any

from .containers import DictConverter, EmbeddedConverter, ListConverter, TupleConverter
from .converter import Converter
from .objects import ObjectConverter
from .unions import UnionConverter


def without_nulls(converter: Converter, stored: Any) -> Any:
    """Return a stored value whose documents of models and of other classes have no null fields.

    Nulls in lists, in dicts and in `Any` are values, and stay.
    """
    if isinstance(stored, dict):
        if isinstance(converter, DictConverter):
            return {key: without_nulls(converter.item, each) for key, each in stored.items()}
        below = _fields(converter, stored)
        if below is not None:
            return {
                key: without_nulls(below[key], each) if key in below else each
                for key, each in stored.items()
                if each is not None or key not in below
            }
    elif isinstance(stored, list):
        if isinstance(converter, ListConverter):
            return [without_nulls(converter.item, each) for each in stored]
        if isinstance(converter, TupleConverter):
            return [without_nulls(each, item) for each, item in zip(converter.items, stored, strict=True)]
        if isinstance(converter, UnionConverter):
            lists = [each for each in converter.members if isinstance(each, (ListConverter, TupleConverter))]
            return without_nulls(lists[0], stored) if len(lists) == 1 else stored
    return stored


def _fields(converter: Converter, stored: dict[str, Any]) -> dict[str, Converter] | None:
    """Return the converters of the declared keys of a document."""
    if isinstance(converter, (EmbeddedConverter, ObjectConverter)):
        return dict(converter.keys_below())
    if isinstance(converter, UnionConverter):
        # The document is one of a class that has all its keys.
        members = [each.keys_below() for each in converter.parts()]
        fitting = [dict(each) for each in members if each is not None and stored.keys() <= each.keys()]
        return fitting[0] if fitting else None
    return None
