"""Documents and lists: equal to what PyMongo gives, to the type, and behaving as a dict or list that cannot change."""

from __future__ import annotations

import collections.abc
import copy
import datetime as dt
import gc
import json
import math
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import bson
import pytest
from bson import Binary, Code, CodecOptions, DatetimeMS, DBRef, Int64, ObjectId, json_util
from bson.binary import ALL_UUID_REPRESENTATIONS
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_same, needs_exact_pymongo, plain
from strategies import DATES, TIME_ZONES, documents, framed, raw_documents, results, scalars, values

from data_bridge import Document, ListView, read_bson

OPTIONS = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def views(data: bytes, options: CodecOptions = OPTIONS) -> list[Document]:
    return list(read_bson(data, codec_options=options))


def view(document: dict[str, Any], options: CodecOptions = OPTIONS) -> Document:
    return views(bson.encode(document), options)[0]


def check(data: bytes, options: CodecOptions = OPTIONS) -> None:
    """Every way to read `data` gives what PyMongo gives."""
    try:
        expected = bson.decode_all(data, options)
    except InvalidBSON as error:
        # Near the ends of 64 bits of milliseconds PyMongo's year overflows; ours is the right one.
        message = re.sub(r"year\\ \\?-?\d+", r"year\\ -?\\d+", re.escape(str(error)))
        with pytest.raises(InvalidBSON, match=f"^{message}$"):
            read_bson(data, codec_options=options).to_dicts()
        return
    assert_same(read_bson(data, codec_options=options).to_dicts(), expected)
    documents = views(data, options)
    assert len(documents) == len(expected)
    for document, wanted in zip(documents, expected, strict=True):
        assert_same(document.to_dict(), wanted)
        assert_same(plain(document), wanted)
        assert_same({key: plain(value) for key, value in document.items()}, wanted)
        assert_same(bson.decode(document.to_bson(), options), wanted)
        assert_same(document.detach().to_dict(), wanted)
        assert_same(pickle.loads(pickle.dumps(document)).to_dict(), wanted)
        assert len(document) == len(wanted)
        assert list(document) == list(wanted)
        assert_same(dict(document.items()) == wanted, document == wanted)
        assert repr(document).startswith("Document({")


@given(st.lists(documents(), max_size=4))
def test_documents_of_any_kind(made: list[dict[str, Any]]) -> None:
    check(b"".join(map(bson.encode, made)))


@given(results())
def test_documents_with_much_in_common(made: list[dict[str, Any]]) -> None:
    check(b"".join(map(bson.encode, made)))


@given(st.lists(raw_documents(), max_size=4))
def test_old_types_and_odd_bytes(made: list[bytes]) -> None:
    check(b"".join(made))


@given(
    results(leaves=scalars(broken_uuids=False), max_size=4),
    st.sampled_from(ALL_UUID_REPRESENTATIONS),
    st.sampled_from(DatetimeConversion),
    st.none() | TIME_ZONES,
    st.booleans(),
)
def test_codec_options(
    made: list[dict[str, Any]], uuids: int, dates: DatetimeConversion, zone: Any, aware: bool
) -> None:
    options = CodecOptions(
        tz_aware=aware or zone is not None, tzinfo=zone, uuid_representation=uuids, datetime_conversion=dates
    )
    check(b"".join(map(bson.encode, made)), options)


@pytest.mark.parametrize("dates", list(DatetimeConversion))
@pytest.mark.parametrize("hours", [-12, 0, 14])
@pytest.mark.parametrize("aware", [True, False])
def test_dates_at_the_edges(dates: DatetimeConversion, hours: int, aware: bool) -> None:
    zone = dt.timezone(dt.timedelta(hours=hours)) if aware else None
    options = CodecOptions(tz_aware=aware, tzinfo=zone, datetime_conversion=dates)
    hour = 3_600_000
    near = [
        edge + distance
        for edge in DATES
        for hours in (0, 12, 14)
        for distance in (-hours * hour - 1, -hours * hour, hours * hour, hours * hour + 1)
    ]
    for millis in [*near, -(2**63) + 1000, 2**63 - 1, -1, 0, 951_782_400_000, 4_107_542_400_000, -2_203_891_200_000]:
        check(bson.encode({"at": DatetimeMS(millis)}), options)


@pytest.mark.parametrize("uuids", [0, 3, 4, 5, 6])
@pytest.mark.parametrize("subtype", [3, 4])
@pytest.mark.parametrize("size", [16, *(pytest.param(size, marks=needs_exact_pymongo) for size in (0, 15, 17))])
def test_uuids(uuids: int, subtype: int, size: int) -> None:
    data = bson.encode({"id": Binary(bytes(range(size)), subtype)})
    check(data, CodecOptions(uuid_representation=uuids, datetime_conversion=DatetimeConversion.DATETIME_AUTO))


@pytest.mark.parametrize("handler", ["replace", "ignore"])
def test_text_that_is_not_utf8(handler: str) -> None:
    options = OPTIONS.with_options(unicode_decode_error_handler=handler)
    bad = b"a\xff\xed\xa0\x80\xf0\x9fb"
    text = len(bad + b"\0").to_bytes(4, "little") + bad + b"\0"
    check(framed([(2, "text", text), (14, "symbol", text), (13, "code", text), (11, "regex", bad + b"\0i\0")]), options)


def test_dbrefs_are_made_inside_documents_only() -> None:
    ref = {"$ref": "c", "$id": 1, "$db": "d", "more": {"$ref": "e", "$id": [2]}}
    document = view({**ref, "one": ref, "list": [ref, [ref]], "code": Code("f", ref)})
    assert isinstance(document.to_dict(), dict)
    assert document["$ref"] == "c"
    assert document["one"] == DBRef("c", 1, "d", more=DBRef("e", [2]))
    assert type(document["list"][1][0]) is DBRef
    assert document["code"].scope == ref | {"more": DBRef("e", [2])}


def test_mapping() -> None:
    inner = {"b": [1, {"c": 2}], "d": {}}
    document, other = view({"_id": 1, "a": inner, "items": None}), view({"_id": 1})
    assert isinstance(document, collections.abc.Mapping)
    assert isinstance(document["a"]["b"], collections.abc.Sequence)
    assert type(document["a"]) is Document
    assert type(document["a"]["b"]) is ListView
    assert document["items"] is None
    assert "items" in document
    assert "get" not in document
    assert document.get("items", 5) is None
    assert document.get("x") is None
    assert document.get("x", 5) == 5
    assert document.keys() & {"a", "z"} == {"a"}
    assert list(reversed(document)) == ["items", "a", "_id"]
    assert next(iter(document.values())) == 1
    assert ("_id", 1) in document.items()
    with pytest.raises(KeyError) as missing:
        document["nowhere"]
    assert missing.value.args == ("nowhere",)
    with pytest.raises(KeyError):
        document[1]
    with pytest.raises(TypeError):
        document[[]]
    with pytest.raises(TypeError):
        hash(document)
    with pytest.raises(TypeError):
        document["a"] = 1
    with pytest.raises(AttributeError):
        document.x = 1
    assert "".join(["_", "id"]) in document
    match document:
        case {"a": {"b": [first, *_]}}:
            assert first == 1
        case _:
            pytest.fail("not seen as a mapping")
    assert dict(document) == {**document} == document
    assert document["a"] == inner
    assert document["a"] != other
    assert inner == document["a"]
    assert document == collections.OrderedDict(document.to_dict())
    assert document != []
    assert (document == None) is False  # noqa: E711
    assert {"x": document["a"]} == {"x": inner}


def test_missing_is_not_null() -> None:
    first, second, third = views(b"".join(map(bson.encode, [{"a": None, "b": 1}, {"b": None}, {"b": 2, "a": 5}])))
    assert "a" in first
    assert first["a"] is None
    assert "a" not in second
    assert second.get("a", 7) == 7
    assert len(second) == 1
    assert list(third) == ["b", "a"]


def test_many_keys_and_shapes() -> None:
    made = [{f"k{number * 7 % (row + 5)}": number for number in range(row % 40)} for row in range(300)]
    made.append({f"key {number}": number for number in range(3000)})
    check(b"".join(map(bson.encode, made)))


def test_list() -> None:
    items = [1, 2.5, "x", None, {"a": [1]}, [1, [2]], 2]
    found = view({"list": items})["list"]
    assert list(found) == items == found.to_list()
    assert found == items
    assert items == found
    assert found == found[:]
    assert found != items[:-1]
    assert found != tuple(items)
    assert (found == 5) is False
    assert found[0] == 1
    assert found[-1] == 2
    assert found[-7] == 1
    assert type(found) is ListView
    assert type(found[1:3]) is list
    assert found[1:-1] == items[1:-1]
    assert found[5:1] == []
    assert found[100:] == []
    assert found[::-1] == items[::-1]
    assert found[1::2] == items[1::2]
    assert type(found[::2]) is list
    assert found[1:][1:][0] == "x"
    assert list(reversed(found)) == items[::-1]
    assert len(found) == 7
    assert {"a": [1]} in found
    assert None in found
    assert 17 not in found
    assert found.index("x") == 2
    assert found.index(2, 1) == 6
    assert found.count(2) == 1
    assert found.count(1) == 1
    assert found.index({"a": [1]}, -4, -1) == 4
    with pytest.raises(ValueError, match="not in list"):
        found.index(17)
    for bad in (7, -8, 2**70):
        with pytest.raises(IndexError):
            found[bad]
    with pytest.raises(TypeError):
        found["a"]
    with pytest.raises(TypeError):
        hash(found)
    assert copy.copy(found) == found
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found[2:])) == items[2:]
    assert repr(found) == f"ListView({items!r})"


CHANGES: list[Callable[[Any], Any]] = [
    lambda found: found.append(1),
    lambda found: found.extend([1]),
    lambda found: found.insert(0, 1),
    lambda found: found.pop(),
    lambda found: found.remove(1),
    lambda found: found.clear(),
    lambda found: found.sort(key=str),
    lambda found: found.reverse(),
    lambda found: found.__setitem__(0, 2),
    lambda found: found.__delitem__(0),
    lambda found: found.__iadd__([1]),
    lambda found: found.__imul__(2),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_list_cannot_be_changed(change: Callable[[Any], Any]) -> None:
    found = view({"list": [1, 2]})["list"]
    with pytest.raises(TypeError, match=r"to_list\(\) returns a copy that can"):
        change(found)
    assert found == [1, 2]


def test_other_encoders_take_lists_and_documents() -> None:
    document = view({"list": [1, {"a": [None, {"b": []}]}, [ObjectId(bytes(12))]]})
    assert bson.decode(bson.encode({"x": document["list"]}))["x"] == document.to_dict()["list"]
    assert bson.decode(bson.encode({"x": document}))["x"] == document.to_dict()
    assert json.loads(json.dumps(document["list"][1]["a"], default=dict)) == [None, {"b": []}]


@given(st.lists(values(), max_size=6), st.data())
def test_list_like_a_list(items: list[Any], data: st.DataObject) -> None:
    expected = bson.decode(bson.encode({"": items}), OPTIONS)[""]
    found = view({"": items})[""]
    cut = slice(
        *(data.draw(st.none() | st.integers(-8, 8)) for _ in range(2)), data.draw(st.sampled_from([None, 1, 2, -1, -3]))
    )
    assert_same([plain(item) for item in found[cut]], expected[cut])
    assert_same(found.to_list(), expected)
    assert_same(pickle.loads(pickle.dumps(found)).to_list(), expected)


def test_json() -> None:
    document = {
        "a": Int64(1),
        "b": 1.5,
        "at": dt.datetime(2024, 1, 2),
        "far": DatetimeMS(2**62),
        "u": Binary(bytes(16), 4),
    }
    exact = view(document)
    for options in (json_util.RELAXED_JSON_OPTIONS, json_util.CANONICAL_JSON_OPTIONS):
        canonical = options is json_util.CANONICAL_JSON_OPTIONS
        expected = json.loads(json_util.dumps(bson.decode(bson.encode(document), OPTIONS), json_options=options))
        assert json.loads(exact.to_json(canonical=canonical)) == expected
        clamped = CodecOptions(uuid_representation=4, datetime_conversion=DatetimeConversion.DATETIME_CLAMP)
        assert json.loads(view(document, clamped).to_json(canonical=canonical)) == expected


def test_repr() -> None:
    document = {"a": 1, "b": ["x", {"c": None}], "d": {"$ref": "c", "$id": 1}}
    assert repr(view(document)) == "Document({'a': 1, 'b': ['x', {'c': None}], 'd': DBRef('c', 1)})"
    assert repr(view({})) == "Document({})"
    big = view({"text": "x" * 10**6, "bytes": b"y" * 10**6, "list": list(range(10**5))})
    assert len(repr(big)) < 20_000
    assert "999000 bytes more" in repr(big)
    assert "..." in repr(big)
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME)
    assert "InvalidBSON" in repr(view({"at": DatetimeMS(2**62), "b": 1}, options))


def test_copies() -> None:
    document = view({"a": {"b": [1]}})
    for made in (document.copy(), copy.copy(document), copy.deepcopy(document), document.detach(), Document(document)):
        assert type(made) is Document
        assert made == document
    assert Document({"a": [1, {"b": None}]}) == {"a": [1, {"b": None}]}
    assert copy.deepcopy({"x": document})["x"] == document


class Model(Document):
    """At module level, for pickle."""


def test_subclasses() -> None:
    made = Model(view({"a": 1}))
    made.note = "own attribute"
    assert made == {"a": 1}
    assert repr(made) == "Model({'a': 1})"
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(other) is Model
        assert other == made


def test_pymongo_encodes_documents() -> None:
    document = view({"a": [1, {"b": Int64(2)}], "$ref": "x"})
    assert bson.encode(document) == document.to_bson()
    assert bson.decode(bson.encode({"x": document, "y": [document["a"][1]]})) == {"x": document, "y": [{"b": 2}]}


def test_pickle_in_a_fresh_process() -> None:
    options = CodecOptions(tz_aware=True, tzinfo=dt.timezone(dt.timedelta(hours=2)), uuid_representation=4)
    document = view({"a": {"at": dt.datetime(2024, 1, 2), "u": Binary(bytes(16), 4)}}, options)
    script = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).to_dict())"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        if protocol < 2:
            continue
        data = pickle.dumps(document, protocol).hex()
        done = subprocess.run([sys.executable, "-c", script, data], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == repr(document.to_dict())


def nest(depth: int, step: Any) -> Any:
    value: Any = 1
    for level in range(depth):
        value = step(level, value)
    return value


@pytest.mark.parametrize(
    "step",
    [
        lambda level, value: {"a": value},
        lambda level, value: [value],
        lambda level, value: {"a": value} if level % 2 else [value, 2],
        lambda level, value: {"a": value, "b": level} if level % 3 else [value],
    ],
)
@pytest.mark.parametrize("stack", [None, 512 * 1024])
def test_deep(step: Any, stack: int | None) -> None:
    document = {"a": nest(170, step)}
    failures = []

    def run() -> None:
        try:
            found = view(document)
            assert_same(found.to_dict(), bson.decode(bson.encode(document)))
            assert found == view(document)
            assert found == found.detach()
            assert repr(found) == f"Document({document!r})"
            assert found.to_json() == json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS)
            assert pickle.loads(pickle.dumps(found)) == found
            value = found["a"]
            while not isinstance(value, int):
                value = value["a"] if isinstance(value, Document) else value[0]
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    if stack is None:
        run()
    else:
        # A sanitizer's frames are several times larger.
        before = threading.stack_size(stack * 8 if "DATA_BRIDGE_SANITIZED" in os.environ else stack)
        try:
            thread = threading.Thread(target=run)
            thread.start()
        finally:
            threading.stack_size(before)
        thread.join()
    if failures:
        raise failures[0]


def test_views_cost_the_collector_nothing() -> None:
    document = view({"a": [1], "b": {"c": 1}})
    assert not any(gc.is_tracked(made) for made in (document, document["a"], document["b"]))
    made = Model(document)
    made.itself = made
    assert gc.is_tracked(made)


def test_nan_equals_itself_only_in_place() -> None:
    document = view({"a": math.nan, "id": ObjectId()})
    assert document == document
    assert document != document.detach()
