"""Models compared with PyMongo: any BSON value, read, kept, changed and written."""

from __future__ import annotations

from typing import Any

import bson
import pymongo
import pytest
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st
from oracle import assert_same
from strategies import documents, values

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument
from data_bridge.odm.models import diff

OPTIONS: CodecOptions[Any] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
STORABLE = values(max_leaves=6)


class Inner(EmbeddedDocument):
    value: Any = None


class Free(Document):
    value: Any = None
    several: list[Any] = []
    named: dict[str, Any] = {}
    inner: Inner | None = None

    class Settings:
        name = "free"


@pytest.fixture
def free(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Free])
    return database["free"].with_options(codec_options=OPTIONS)


def stored(free: Any, key: Any) -> dict[str, Any]:
    try:
        return {each: value for each, value in free.find_one({"_id": key}).items() if each != "_id"}
    except InvalidBSON:
        reject()  # a UUID whose length is not 16, which PyMongo cannot read


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(value=STORABLE, items=st.lists(STORABLE, max_size=3), named=documents(max_leaves=4))
def test_values_are_what_pymongo_reads(free: Any, value: Any, items: list[Any], named: dict[str, Any]) -> None:
    document = {"value": value, "several": items, "named": named, "inner": {"value": value}}
    try:
        key = free.insert_one(dict(document)).inserted_id
    except (pymongo.errors.WriteError, pymongo.errors.InvalidOperation):
        return  # the server does not store this document
    expected = stored(free, key)
    read = Free.get(key)
    assert read is not None
    assert_same(read.value, expected["value"])
    assert_same(read.several, expected["several"])
    assert_same(read.named, expected["named"])
    if isinstance(expected["inner"], dict):
        assert read.inner is not None
        assert_same(read.inner.value, expected["inner"]["value"])
    # All fields were read without changes: save() sends nothing, and replace() the same document.
    assert diff.difference(read) == ({}, {})
    read.replace(overwrite=True)
    assert_same(stored(free, key), expected)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(first={}, second={"": None, "_id": None}, items=[])
@given(first=documents(max_leaves=4), second=documents(max_leaves=4), items=st.lists(STORABLE, max_size=2))
def test_what_is_saved_is_what_is_read(
    free: Any, first: dict[str, Any], second: dict[str, Any], items: list[Any]
) -> None:
    free.delete_many({})
    try:
        # A binary of subtype 4 may have any length, and is then no UUID.
        bson.decode(bson.encode({"values": [first, second, items]}), OPTIONS)
    except InvalidBSON:
        return
    try:
        key = free.insert_one({"named": first, "several": items, "inner": {"value": first}}).inserted_id
        probe = free.insert_one({"named": second, "several": [*items, second], "inner": {"value": second}}).inserted_id
    except (pymongo.errors.WriteError, pymongo.errors.InvalidOperation):
        return
    read = Free.get(key)
    assert read is not None
    assert read.inner is not None
    read.named = second
    read.several.append(second)
    read.inner.value = second
    read.save()
    assert_same(stored(free, key), stored(free, probe))
    if "$ref" not in repr((first, second, items)):
        # A dict with the keys of a DBRef is read as a DBRef, which differs from the assigned dict.
        assert diff.difference(read) == ({}, {})
