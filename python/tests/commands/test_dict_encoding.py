"""Dicts are encoded as `bson.encode` encodes them, or left to it."""

from __future__ import annotations

import datetime as dt
import enum
import gc
import sys
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import bson
import pymongo
import pytest
import strategies
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, TypeDecoder, TypeEncoder, TypeRegistry
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

import data_bridge
from data_bridge import InvalidQuery, MongoClient
from data_bridge._core import encode_dict
from data_bridge.commands import batches, encode, statement

PLAIN: CodecOptions[Any] = CodecOptions()
MORE = st.one_of(
    strategies.scalars(),
    strategies.UUIDS,
    st.datetimes(timezones=st.none() | strategies.TIME_ZONES),
    st.datetimes(timezones=st.just(dt.timezone.utc)),
    st.binary(max_size=9),
    st.integers(-(2**65), 2**65),
    st.text(st.characters(categories=["Cs", "Lu"]), max_size=3),
    st.tuples(st.integers(), st.none()),
)
OPTIONS = st.sampled_from([PLAIN, *(PLAIN.with_options(uuid_representation=each) for each in (3, 4, 5, 6))])


@given(strategies.documents(MORE), OPTIONS)
def test_same_bytes(document: dict[str, Any], options: CodecOptions[Any]) -> None:
    """Whatever BSON does not hold is left to `bson.encode`, which refuses it."""
    before = repr(document)
    encoded = encode_dict(document, options, 100)
    assert repr(document) == before
    if encoded is not None:
        assert encoded == bson.encode(document, codec_options=options)


USUAL: dict[str, Any] = {
    "text": ["", "x", "nul\0inside", "ä𝄞" * 9],
    "number": [0, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)],
    "double": [0.0, -0.0, float("nan"), 1e300],
    "flag": [True, False, None],
    "at": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.datetime(1969, 12, 31, 23, 59)],
    "zoned": [
        dt.datetime(2024, 2, 29, 1, 2, 3, 4_567, dt.timezone.utc),
        dt.datetime(2024, 2, 29, 1, 2, 3, 4_567, dt.timezone(dt.timedelta(hours=-3))),
        dt.datetime(1900, 3, 1, 5, tzinfo=bson.tz_util.utc),
    ],
    "id": bson.ObjectId(),
    "long": bson.Int64(5),
    "bytes": [b"", b"abc"],
    "binary": [bson.Binary(b"x", 2), bson.Binary(b"x", 0x80)],
    "decimal": bson.Decimal128(Decimal("1.10")),
    "uuid": uuid.uuid4(),
    "stamp": bson.Timestamp(1, 2),
    "regex": bson.Regex("a", "i"),
    "ms": bson.DatetimeMS(2**55),
    "nested": {"a": {"b": [[], {}, [{"c": (1, 2)}]], "_id": 1}, "": 0},
    "_id": {"y": 1},
}


@pytest.mark.parametrize("key", USUAL)
def test_usual_values_are_not_left(key: str) -> None:
    """The `_id` is first at the top level, and in its place below it."""
    options = PLAIN.with_options(uuid_representation=UuidRepresentation.STANDARD)
    document = {"first": 1, key: USUAL[key], "last": "z"}
    assert encode_dict(document, options, 190) == bson.encode(document, codec_options=options)


class Color(enum.IntEnum):
    RED = 1


class Text(str):
    pass


LEFT: dict[str, Any] = {
    "too large": 2**63,
    "subclass of str": Text("x"),
    "subclass of int": Color.RED,
    "ordered": OrderedDict(a=1),
    "key that is no text": {1: 2},
    "key that is text of a subclass": {Text("a"): 2},
    "NUL in a key": {"a\0b": 1},
    "surrogate": "\ud800",
    "surrogate in a key": {"\ud800": 1},
    "object": object(),
    "code": bson.Code("f"),
    "reference": bson.DBRef("c", 1),
    "raw": RawBSONDocument(bson.encode({"a": 1})),
    "smallest": bson.MinKey(),
    "unspecified UUID": uuid.uuid4(),
    "year before the first": dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))),
}


@pytest.mark.parametrize("key", LEFT)
def test_others_are_left(key: str) -> None:
    """And then encoded, or refused with the place, as before."""
    for document in ({"a": LEFT[key]}, {"a": [{"b": LEFT[key]}]}):
        assert encode_dict(document, PLAIN, 190) is None
        try:
            expected: Any = bson.encode(document)
        except Exception:  # noqa: BLE001 - the classes differ, and the text is the subject of other tests
            with pytest.raises(InvalidQuery, match=r"document cannot be encoded"):
                encode.document(document, PLAIN, "document", 190)
        else:
            assert encode.document(document, PLAIN, "document", 190) == expected


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for level in range(levels - 1):
        document = {"a": [document]} if level % 2 else {"a": document}
    return document


def test_depth() -> None:
    """The limit counts documents and lists; a structure that contains itself ends there."""
    flat: dict[str, Any] = {"a": {"b": [{}]}}
    assert encode_dict(flat, PLAIN, 4) == bson.encode(flat)
    assert encode_dict(flat, PLAIN, 3) is None
    with pytest.raises(InvalidQuery, match="deeper than 3 levels"):
        encode.document(flat, PLAIN, "document", 3)
    loop: dict[str, Any] = {}
    loop["a"] = [loop]
    assert encode_dict(loop, PLAIN, 190) is None
    shared: list[Any] = [None]
    for _ in range(60):
        shared = [shared, shared]
    assert encode_dict({"a": shared}, PLAIN, 190) is None
    with pytest.raises(InvalidQuery, match="holds more than"):
        encode.document({"a": shared}, PLAIN, "document", 190)


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class MoneyCodec(TypeEncoder, TypeDecoder):
    python_type = Money  # type: ignore[assignment]
    bson_type = int  # type: ignore[assignment]

    def transform_python(self, value: Money) -> int:
        return value.cents

    def transform_bson(self, value: int) -> int:
        return value


def test_custom_types() -> None:
    """Types of a registry are encoded by it, and so is the rest by its fallback."""
    registry = TypeRegistry([MoneyCodec()], fallback_encoder=lambda value: str(value))
    options = PLAIN.with_options(type_registry=registry)
    document = {
        "a": Money(7),
        "b": {
            1,
        },
        "c": "text",
    }
    assert encode.document(document, options) == bson.encode({"a": 7, "b": "{1}", "c": "text"})


def test_inserts_and_requests_are_the_commands_of_pymongo() -> None:
    """The statements of every kind, with and without options."""
    options = PLAIN.with_options(uuid_representation=UuidRepresentation.STANDARD)
    heads = {kind: (batches.head(kind, "c", True, {}, options),) * 2 for kind in batches.KINDS}
    ids: list[Any] = []
    documents: list[Any] = [
        {"_id": 1, "u": uuid.uuid4()},
        {"a": Text("b")},
        RawBSONDocument(bson.encode({"_id": 2})),
        {},
    ]
    made = list(batches.inserts(iter(documents), heads["insert"], options, ids))
    assert [len(each.command) for each in made] == [4]
    assert ids == [1, documents[1]["_id"], documents[3]["_id"]]
    assert all(type(each) is bson.ObjectId for each in ids[1:])
    assert [made[0].op(index) for index in range(4)] == documents
    for o in (data_bridge, pymongo):
        operations = [
            o.UpdateOne({"a": 1}, {"$set": {"b": 1}}, upsert=True),
            o.UpdateOne({"a": 1}, [{"$set": {"b": 1}}], hint="a_1", collation={"locale": "en"}),
            o.UpdateMany({"a": 1}, {"$set": {"b.$[e]": 1}}, array_filters=[{"e": 1}]),
            o.ReplaceOne({}, {}, sort={"a": 1}) if o is data_bridge else o.ReplaceOne({}, {}),
            o.DeleteOne({"a": 1}),
        ]
        commands = batches.requests(operations, True, heads, options)
        assert [(each.command.kind, len(each.command), each.command.retryable) for each in commands] == [
            ("update", 4, False),
            ("delete", 1, True),
        ]
        assert [each.op(0)["q"] for each in commands] == [{"a": 1}, {"a": 1}]


def test_a_command_is_sent_once(client: MongoClient, database: Database[dict[str, Any]]) -> None:
    heads = (batches.head("insert", "c", True, {}, PLAIN),) * 2
    batch = next(batches.inserts([{"_id": 1}], heads, PLAIN, []))
    namespace = client[database.name]["c"]._namespace
    namespace.send_statements(batch.command, None, True, None).wait()
    with pytest.raises(RuntimeError, match="already sent"):
        namespace.send_statements(batch.command, None, True, None)
    with pytest.raises(IndexError):
        batch.command.place(1)
    assert database.c.count_documents({}) == 1


def test_new_ids(client: MongoClient, database: Database[dict[str, Any]]) -> None:
    """Ids are unique among threads, ascend within one call, and are put into the dicts."""
    collection, made = client[database.name]["c"], []

    def insert() -> None:
        documents: list[dict[str, Any]] = [{"a": 1} for _ in range(2000)]
        ids = collection.insert_many(documents).inserted_ids
        assert [each["_id"] for each in documents] == ids
        assert [next(iter(each)) for each in documents[:2]] == ["a", "a"]
        made.append(ids)

    threads = [threading.Thread(target=insert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for ids in made for each in ids}) == 8000 == database.c.count_documents({})
    assert next(iter(database.c.find_one() or {})) == "_id"
    assert abs((made[0][0].generation_time - dt.datetime.now(dt.timezone.utc)).total_seconds()) < 60


def test_statements_keep_nothing_alive(client: MongoClient, database: Database[dict[str, Any]]) -> None:
    """A generator is taken as its documents are sent: those of sent commands are dropped."""

    class Marked(dict[str, Any]):
        pass

    marks: weakref.WeakValueDictionary[int, Marked] = weakref.WeakValueDictionary()
    most = 0

    def generate() -> Iterator[dict[str, Any]]:
        nonlocal most
        for number in range(60):
            document = Marked(_id=number, text="x" * (1 << 20))
            marks[number] = document
            yield document
            del document
            most = max(most, len(marks))

    client[database.name]["c"].insert_many(generate())
    gc.collect()
    assert len(marks) <= 1
    assert most < 40
    assert database.c.count_documents({}) == 60


def test_a_dict_that_changes_meanwhile() -> None:
    """Another thread that changes a dict causes an error or other documents, and no crash."""
    changing: dict[str, Any] = {str(number): uuid.uuid4() for number in range(50)}
    options = PLAIN.with_options(uuid_representation=4)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            changing["more"] = 1
            del changing["more"]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2000):
            encoded = encode_dict(changing, options, 5)
            assert encoded is None or bson.decode(encoded)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_an_interrupt_is_no_fault_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "insert", lambda *_: pytest.fail("encoded again"))

    def interrupted(*_: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(bson, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode_dict({"a": bson.Timestamp(1, 1)}, PLAIN, 5)
