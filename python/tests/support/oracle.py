"""Equal to the type: what `==` does not see between Python values."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from bson import Binary, Code, DBRef
from strategies import EXACT_PYMONGO

from data_bridge import Document, ListView

needs_exact_pymongo = pytest.mark.skipif(
    not EXACT_PYMONGO, reason="PyMongo before 4.20 is no oracle of malformed documents"
)


def add_note(error: BaseException, text: str) -> None:
    """Add a note to an exception; print it under Python 3.10, which has no notes."""
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:
        print(text)


def assert_same(actual: Any, expected: Any, path: str = "$") -> None:
    """Fail unless both are the same value of the same type: dicts in one order, NaN like NaN, -0.0 not like 0.0."""
    assert type(actual) is type(expected), (
        f"{path}: {type(actual).__qualname__} {actual!r:.200}, expected {type(expected).__qualname__} {expected!r:.200}"
    )
    if isinstance(expected, dict):
        assert list(actual) == list(expected), f"{path}: keys {list(actual)!r:.200}, expected {list(expected)!r:.200}"
        for key, value in expected.items():
            assert type(key) is str, path
            assert_same(actual[key], value, f"{path}[{key!r}]")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), f"{path}: {len(actual)} items, expected {len(expected)}"
        for position, value in enumerate(expected):
            assert_same(actual[position], value, f"{path}[{position}]")
    elif isinstance(expected, float):
        same = math.isnan(actual) if math.isnan(expected) else actual == expected
        signs = math.copysign(1, actual) == math.copysign(1, expected)
        assert same, f"{path}: {actual!r}, expected {expected!r}"
        assert signs, f"{path}: {actual!r}, expected {expected!r}"
    elif isinstance(expected, DBRef):
        assert_same(actual.collection, expected.collection, f"{path}.collection")
        assert_same(actual.id, expected.id, f"{path}.id")
        assert_same(actual.database, expected.database, f"{path}.database")
        assert_same(actual._DBRef__kwargs, expected._DBRef__kwargs, f"{path}.extra")
    elif isinstance(expected, Code):
        assert str(actual) == str(expected), path
        assert_same(actual.scope, expected.scope, f"{path}.scope")
    elif isinstance(expected, Binary):
        assert (bytes(actual), actual.subtype) == (bytes(expected), expected.subtype), path
    else:
        assert actual == expected, f"{path}: {actual!r}, expected {expected!r}"
        for name in ("tzinfo", "fold"):
            assert getattr(actual, name, None) == getattr(expected, name, None), f"{path}.{name}"


def plain(value: Any) -> Any:
    """A lazy value, all the way down, by its own item access."""
    if type(value) is Document:
        return {key: plain(value[key]) for key in value}
    if type(value) is ListView:
        return [plain(item) for item in value]
    return value
