"""Extended JSON: the text that PyMongo's `json_util` writes, of documents and of mixed columns."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import bson
import pytest
from bson import CodecOptions, DatetimeMS, Decimal128, Int64, json_util
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import assert_same
from strategies import DECIMALS, DOUBLES, documents, framed, one_of_each, results

import data_bridge
from data_bridge._core import Codec, Document, _document_from_bson
from data_bridge.connection.codec import DEFAULT, native

CODEC: Codec = native(DEFAULT)
# Documents stay as they are stored: PyMongo's dicts turn what looks like a DBRef into one, with its keys in order.
RAW: CodecOptions[Any] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
MODES = [(False, json_util.RELAXED_JSON_OPTIONS), (True, json_util.CANONICAL_JSON_OPTIONS)]
EXAMPLES = int(os.environ.get("DATA_BRIDGE_EXAMPLES", 150))


def view(data: bytes) -> Document:
    return _document_from_bson(data, CODEC)


@settings(max_examples=EXAMPLES)
@example({"a": 1e16, "b": 123456789012345.6, "c": 1e-4, "d": 9.9e-5, "e": -5e-324, "f": -0.0, "g": 1e22, "h": 1.7e308})
@example({"a": dt.datetime(9999, 12, 31, 23, 59, 59, 999000), "b": DatetimeMS(253_402_300_800_000)})
@example({"a": dt.datetime(1970, 1, 1), "b": dt.datetime(1969, 12, 31, 23, 59, 59), "c": dt.datetime(2000, 2, 29, 1)})
@example({"\x7f": '"\\/\b\f\n\r\t\x1f\x7f\u2028\ud7ff\ue000\U0001f600'})
@given(documents())
def test_documents_are_written_as_pymongo_writes_them(document: dict[str, Any]) -> None:
    data = bson.encode(document)
    for canonical, options in MODES:
        expected = json_util.dumps(RawBSONDocument(data, RAW), json_options=options)
        assert view(data).to_json(canonical=canonical) == expected


@settings(max_examples=EXAMPLES * 4)
@example([562949953421312.25, -562949953421312.75, 1e-5, -1.5e-5, 9.99e-5, 1e-4, 1e-6, 9e-7, 1e15, 1e16, 0.0, -0.0], [])
@given(st.lists(DOUBLES, max_size=20), st.lists(DECIMALS, max_size=20))
def test_numbers_are_written_as_python_writes_them(doubles: list[float], decimals: list[Decimal128]) -> None:
    document = {"doubles": doubles, "decimals": decimals}
    options = json_util.CANONICAL_JSON_OPTIONS
    assert view(bson.encode(document)).to_json(canonical=True) == json_util.dumps(document, json_options=options)


def test_a_day_of_every_year() -> None:
    start, days = dt.datetime(1970, 1, 1, 12, 34, 56), (dt.datetime(9999, 12, 31) - dt.datetime(1970, 1, 1)).days
    document = {"days": [start + dt.timedelta(days=day) for day in range(0, days, 97)]}
    expected = json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS)
    assert view(bson.encode(document)).to_json() == expected


@pytest.mark.parametrize("name", one_of_each())
def test_every_type_is_read_back(name: str) -> None:
    kind, value = one_of_each()[name]
    data = framed([(kind, "x", value)])
    text = view(data).to_json(canonical=True)
    options = json_util.JSONOptions(
        json_mode=json_util.JSONMode.CANONICAL, tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    expected = bson.decode(data)
    if name == "int32":
        # json_util makes every $numberInt an int, as bson.decode does: the type shows in the text only.
        assert text == '{"x": {"$numberInt": "1"}}'
    found = json_util.loads(text, json_options=options)
    if name in ("binary", "int64", "dbref", "dbpointer"):
        assert found == expected
    else:
        assert_same(found, expected)


def test_what_pymongo_does_not_keep_is_shown() -> None:
    each = one_of_each()
    shown = {
        "undefined": '{"$undefined": true}',
        "symbol": '{"$symbol": "sy"}',
        "dbpointer": '{"$dbPointer": {"$ref": "db.c", "$id": {"$oid": "0102030405060708090a0b0c"}}}',
    }
    for name, text in shown.items():
        kind, value = each[name]
        assert view(framed([(kind, "x", value)])).to_json() == f'{{"x": {text}}}'


def test_the_deepest_document_is_written() -> None:
    value: Any = 1
    for level in range(190):
        value = [value] if level % 2 else {"a": value}
    document = {"x": value}
    expected = json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS)
    assert view(bson.encode(document)).to_json() == expected
    mixed = data_bridge.read_bson(bson.encode(document), mixed="json").to_arrow()
    assert '{"a": [{"a": [' in str(mixed.column("x").to_pylist())


@settings(max_examples=EXAMPLES)
@given(results())
def test_mixed_cells_are_the_text_of_their_values(found: list[dict[str, Any]]) -> None:
    documents = [{"x": document.get("a", 1)} for document in found]
    # Types without a common one, so that the column is mixed whatever comes.
    documents += [{"x": Int64(7)}, {"x": "seven"}, {"x": None}]
    data = b"".join(map(bson.encode, documents))
    column = data_bridge.read_bson(data, mixed="json").to_arrow().column("x")
    assert [chunk.storage.type for chunk in column.chunks] == ["string"] * column.num_chunks
    for cell, document in zip(column.to_pylist(), documents, strict=True):
        raw = RawBSONDocument(bson.encode(document), RAW)
        expected = None if document["x"] is None else json_util.dumps(raw, json_options=json_util.RELAXED_JSON_OPTIONS)
        assert expected == (None if cell is None else f'{{"x": {cell}}}')
