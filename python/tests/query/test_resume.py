"""`resume=True`: a read goes on behind its last row; no cut doubles or skips one."""

from __future__ import annotations

import datetime as dt
import pickle
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import bson
import proxy as wire
import pytest
from bson import Code, Decimal128, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import Binary, UuidRepresentation
from configured import prefetch_bytes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proxy import Proxy, Spoil
from pymongo.read_concern import ReadConcern
from servers import WAYS, Admin, Reader, failing, wait_until_at_rest

from data_bridge import ConnectionFailure, InvalidQuery, MongoClient, OperationFailure, ServerTimeout

IDS: list[Any] = [
    MinKey(),
    None,
    float("nan"),
    float("-inf"),
    -(2**63),
    -1,
    0,
    Decimal128(Decimal("0.1")),
    1.5,
    2,
    2**31,
    2.0**70,
    "",
    "Ab",
    "a\0b",
    "z" * 2000,
    {},
    {"a": 1, "b": None},
    {"a": [1, {"c": "d"}]},
    b"",
    Binary(b"\1\2", 128),
    b"bytes",
    Binary.from_uuid(uuid.UUID(int=7), UuidRepresentation.STANDARD),
    ObjectId("0" * 24),
    ObjectId("f" * 24),
    False,
    True,
    dt.datetime(1, 1, 1),
    dt.datetime(2024, 1, 2, 3, 4, 5, 6000),
    Timestamp(0, 1),
    Timestamp(9, 9),
    Code("f()"),
    Code("g()", {"x": 1}),
    MaxKey(),
]
"""In the order of the server."""


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        admin.resume.c.insert_many([{"_id": _id, "n": n} for n, _id in enumerate(IDS)])
        assert [row["n"] for row in admin.resume.c.find(sort=[("_id", 1)])] == list(range(len(IDS)))
        yield admin
        admin.drop_database("resume")


@pytest.fixture
def healed(admin: Admin, proxy: Proxy) -> Iterator[None]:
    yield
    proxy.heal()
    wait_until_at_rest(admin)


pytestmark = pytest.mark.usefixtures("healed")

CUTS: dict[str, Spoil] = {"close": wire.close, "reset": wire.reset, "truncate": wire.truncate}


def _same(ids: list[Any], expected: list[Any]) -> bool:
    """NaN and all: as bytes."""
    return [bson.encode({"_id": _id}) for _id in ids] == [bson.encode({"_id": _id}) for _id in expected]


@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_cut_at_each_reply(admin: Admin, reader: Reader, batch_size: int, direction: int, nth: int) -> None:
    """Each cursor dies at its nth getMore, or its first one from then on."""
    options = {"sort": [("_id", direction)], "batch_size": batch_size, "resume": True}
    ways = ["read", WAYS[(nth + batch_size) % len(WAYS)]]
    for way in ways:
        if way in ("to_arrow", "stream", "async stream"):
            way = "iterate"  # `_id`s of many types come back from a table as bytes
        with failing(admin, {"skip": nth - 1}, failCommands=["getMore"], errorCode=43):
            outcome = reader.attempt("resume", way, **options)
        assert outcome.error is None
        assert _same(outcome.ids, IDS[::direction])


@pytest.mark.parametrize("direction", [1, -1])
def test_cursors_that_die_at_once(admin: Admin, reader: Reader, direction: int) -> None:
    """Each first reply brings a new row, whether the last one comes again before it or not."""
    query = reader.client.resume.c.find(sort=[("_id", direction)], batch_size=1, resume=True)
    with failing(admin, "alwaysOn", failCommands=["getMore"], errorCode=43):
        assert _same([row["_id"] for row in query.read()], IDS[::direction])
    assert query.report is not None
    assert query.report.resumed >= len(IDS) - 1


def test_no_new_row_ends_it(admin: Admin, reader: Reader) -> None:
    lost = {"failCommands": ["find", "getMore"], "errorCode": 43}
    query = reader.client.resume.c.find(batch_size=1, resume=True, timeout=60)
    with (
        failing(admin, {"skip": 1}, **lost),
        pytest.raises(OperationFailure, match="continued 6 times in a row without a new row") as caught,
    ):
        query.read()
    assert caught.value.code == 43
    assert query.report is not None
    assert query.report.resumed == 6
    with failing(admin, {"skip": 1}, **lost), pytest.raises((ServerTimeout, OperationFailure)):
        reader.client.resume.c.find(batch_size=1, resume=True, timeout=0.3).read()


@pytest.mark.parametrize(("cut", "direction"), [("close", 1), ("close", -1), ("reset", -1), ("truncate", 1)])
def test_connections_that_break(proxy: Proxy, reader: Reader, cut: str, direction: int) -> None:
    proxy.spoil("getMore", [1, 4], CUTS[cut])
    query = reader.client.resume.c.find(sort=[("_id", direction)], batch_size=5, resume=True)
    assert _same([row["_id"] for row in query], IDS[::direction])
    assert query.report is not None
    assert query.report.resumed == 2
    assert "went on" in str(query.report)


@settings(max_examples=20)
@example(cuts={1}, batch_size=1, direction=1, skip=0, limit=0)
@given(
    cuts=st.sets(st.integers(1, 40), max_size=12),
    batch_size=st.sampled_from([1, 2, 3, 7]),
    direction=st.sampled_from([1, -1]),
    skip=st.integers(0, 6),
    limit=st.integers(0, len(IDS) + 2),
)
def test_any_cuts_give_the_same_rows(
    admin: Admin, proxy: Proxy, reader: Reader, cuts: set[int], batch_size: int, direction: int, skip: int, limit: int
) -> None:
    # Changed on the way, not cut: the driver need not connect again. The reply is CursorNotFound.
    proxy.spoil("getMore", cuts, not_found)
    query = reader.client.resume.c.find(
        {"n": {"$ne": 4}}, sort=[("_id", direction)], batch_size=batch_size, skip=skip, limit=limit, resume=True
    )
    expected = [_id for n, _id in enumerate(IDS) if n != 4][::direction][skip:]
    assert _same([row["_id"] for row in query.read()], expected[:limit] if limit else expected)
    proxy.heal()


def not_found(link: wire.Link, reply: bytes) -> None:
    answer = bson.encode({"ok": 0.0, "errmsg": "cursor id 1 not found", "code": 43, "codeName": "CursorNotFound"})
    head = wire.HEADER.pack(21 + len(answer), *wire.HEADER.unpack_from(reply)[1:])
    link.send(head + reply[16:21] + answer)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("limit", [0, 4, 5, 6])
def test_the_last_row_is_deleted_meanwhile(
    admin: Admin, proxy: Proxy, reader: Reader, direction: int, limit: int
) -> None:
    rows = admin.resume.gone
    rows.insert_many([{"_id": n} for n in range(10)])
    last = 1 if direction == 1 else 8

    def delete(link: wire.Link, reply: bytes) -> None:
        rows.delete_one({"_id": last})
        not_found(link, reply)

    proxy.spoil("getMore", 1, delete)
    query = reader.client.resume.gone.find(sort=[("_id", direction)], batch_size=2, limit=limit, resume=True)
    expected = list(range(10))[::direction]
    assert [row["_id"] for row in query.read()] == (expected[:limit] if limit else expected)
    rows.drop()


def test_a_table_and_a_schema(proxy: Proxy, reader: Reader, admin: Admin) -> None:
    admin.resume.plain.insert_many([{"_id": n, "a": n % 3} for n in range(50)])
    proxy.spoil("getMore", [1, 3], not_found)
    plain = reader.client.resume.plain
    assert plain.find(batch_size=5, resume=True).to_arrow().column("_id").to_pylist() == list(range(50))
    proxy.spoil("getMore", [1, 3], not_found)
    table = plain.find(batch_size=5, resume=True, schema={"a": int}).to_arrow()
    assert table.column("a").to_pylist() == [n % 3 for n in range(50)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sort": "n"}, "sort"),
        ({"sort": [("_id", 1), ("n", 1)]}, "sort"),
        ({"hint": "n_1"}, "hint"),
        ({"hint": [("$natural", 1)]}, "hint"),
        ({"min": {"_id": 1}, "hint": [("_id", 1)]}, "min"),
        ({"projection": {"_id": 0}}, "projection"),
        ({"projection": {"_id": "$n"}}, "projection"),
        ({"return_key": True}, "return_key"),
        ({"collation": {"locale": "en"}}, "collation"),
        ({"read_concern": ReadConcern("snapshot")}, "snapshot"),
    ],
)
def test_what_cannot_resume_is_refused(reader: Reader, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidQuery, match=f"cannot resume.*{reason}"):
        reader.client.resume.c.find(resume=True, **options).read()


def test_where_it_cannot_resume_is_refused(admin: Admin, faulty_uri: str) -> None:
    database = admin.resume
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    database.create_collection("collated", collation={"locale": "en", "strength": 2})
    database.create_collection("view", viewOn="c", pipeline=[])
    with MongoClient(faulty_uri) as client:
        for name, reason in (("clustered", "clustered"), ("collated", "collation"), ("view", "view")):
            with pytest.raises(InvalidQuery, match=f"cannot resume.*{reason}"):
                client.resume[name].find(resume=True).read()
        assert client.resume.nowhere.find(resume=True).to_dicts() == []
        with pytest.raises(InvalidQuery, match="aggregate"):
            client.resume.c.aggregate([], resume=True)
        with pytest.raises(TypeError, match="resume must be a bool"):
            client.resume.c.find(resume=1)
        with client.start_session() as session:
            assert len(client.resume.c.find(session=session, resume=True).read()) == len(IDS)
            session.start_transaction()
            with pytest.raises(InvalidQuery, match="transaction"):
                client.resume.c.find(session=session, resume=True).read()
            session.abort_transaction()


def test_a_sharded_cluster_is_refused(proxy: Proxy, reader: Reader) -> None:
    """A server that answers hello as a mongos does; all its other replies are a mongod's."""

    def as_mongos(link: wire.Link, reply: bytes) -> None:
        hello = {**bson.decode(reply[21:]), "msg": "isdbgrid"}
        body = bson.encode(hello)
        link.send(wire.HEADER.pack(21 + len(body), *wire.HEADER.unpack_from(reply)[1:]) + reply[16:21] + body)

    reader.client.resume.c.find(resume=True).read()  # the connection says hello before
    proxy.spoil("hello", range(1, 100), as_mongos)
    with pytest.raises(InvalidQuery, match="cannot resume: the `_id`s of a sharded cluster"):
        reader.client.resume.c.find(resume=True).read()


def test_without_it_the_read_ends(proxy: Proxy, reader: Reader) -> None:
    proxy.spoil("getMore", 2, wire.close)
    with pytest.raises(ConnectionFailure):
        reader.client.resume.c.find(batch_size=2).read()


def test_only_what_is_lost_is_asked_for_again(admin: Admin, reader: Reader) -> None:
    with failing(admin, "alwaysOn", failCommands=["getMore"], errorCode=13), pytest.raises(OperationFailure) as caught:
        reader.client.resume.c.find(batch_size=2, resume=True).read()
    assert caught.value.code == 13
    for code in (136, 11601):  # rows are gone; an operator ended it
        with failing(admin, "alwaysOn", failCommands=["getMore"], errorCode=code), pytest.raises(OperationFailure):
            reader.client.resume.c.find(batch_size=2, resume=True).read()


@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("way", ["read", "iterate", "async iterate"])
def test_a_get_more_that_runs_into_a_limit_of_the_server(
    admin: Admin, reader: Reader, batch_size: int, direction: int, way: str
) -> None:
    options = {"sort": [("_id", direction)], "batch_size": batch_size, "resume": True}
    with failing(admin, {"skip": 1}, failCommands=["getMore"], errorCode=50):
        outcome = reader.attempt("resume", way, **options)
    assert outcome.error is None
    assert _same(outcome.ids, IDS[::direction])


@pytest.mark.parametrize("code", [63, 133, 150, 10058, 262])
def test_codes_of_the_specification(admin: Admin, reader: Reader, code: int) -> None:
    query = reader.client.resume.c.find(batch_size=5, resume=True)
    with failing(admin, {"times": 2}, failCommands=["getMore"], errorCode=code):
        assert _same([row["_id"] for row in query], IDS)
    assert query.report is not None
    assert query.report.resumed == 2


def test_an_error_that_the_server_calls_retryable(admin: Admin, reader: Reader) -> None:
    """With the label SystemOverloadedError beside it, the driver sends the getMore again by itself."""
    labelled = {"errorCode": 462, "errorLabels": ["RetryableError"]}
    query = reader.client.resume.c.find(batch_size=5, resume=True)
    with failing(admin, {"times": 2}, failCommands=["getMore"], **labelled):
        assert _same([row["_id"] for row in query], IDS)
    assert query.report is not None
    assert query.report.resumed == 2


def test_the_limits_of_the_caller_end_it(admin: Admin, reader: Reader) -> None:
    """`max_time_ms` would begin anew with each cursor, and a find that is too slow be sent again."""
    c = reader.client.resume.c
    with (
        failing(admin, "alwaysOn", failCommands=["getMore"], errorCode=50),
        pytest.raises(ServerTimeout, match="maxTime"),
    ):
        c.find(batch_size=2, resume=True, max_time_ms=60_000).read()
    with failing(admin, "alwaysOn", failCommands=["find"], errorCode=50), pytest.raises(ServerTimeout, match="maxTime"):
        c.find(batch_size=2, resume=True).read()
    blocked = {"failCommands": ["getMore"], "blockConnection": True, "blockTimeMS": 2_000}
    with failing(admin, "alwaysOn", **blocked), pytest.raises(ServerTimeout, match="timeout"):
        c.find(batch_size=2, resume=True, timeout=0.3).read()


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_partitions_continue_after_their_last_row(
    admin: Admin, reader: Reader, proxy: Proxy, parts: int, snapshot: bool
) -> None:
    """A partition continues inside its bounds, and the last one includes MaxKey once."""
    query = reader.client.resume.c.find(batch_size=2, resume=parts == 1)
    planned = pickle.loads(pickle.dumps(query.partitions(parts, snapshot=snapshot)))
    assert len(planned) == parts
    for skip in (0, 1, 3):
        with failing(admin, {"skip": skip}, failCommands=["getMore"], errorCode=43):
            if parts == 1 and snapshot:
                # One cursor over everything has no order.
                break
            results = [part.read() for part in planned]
        assert _same([row["_id"] for result in results for row in result], IDS)
        assert sum(result.report.resumed for result in results) >= 1
    proxy.spoil("getMore", range(1, 40, 3), CUTS["close"])
    if parts > 1:
        assert _same([row["_id"] for part in planned for row in part], IDS)


def test_a_bound_that_is_deleted_meanwhile(admin: Admin, proxy: Proxy, reader: Reader) -> None:
    rows = admin.resume.bounds
    rows.insert_many([{"_id": n} for n in range(40)])
    planned = reader.client.resume.bounds.find(batch_size=3).partitions(4)

    def delete(link: wire.Link, reply: bytes) -> None:
        rows.delete_many({"_id": {"$in": [0, 1, 2, 10, 20, 30]}})
        not_found(link, reply)

    proxy.spoil("getMore", 1, delete)
    assert [row["_id"] for part in planned for row in part] == [n for n in range(40) if n not in (10, 20, 30)]
    rows.drop()


def test_parallel_reads_resume_on_request(admin: Admin, reader: Reader) -> None:
    rows = admin.resume.many
    rows.insert_many([{"_id": n, "x": "x" * 50} for n in range(400)])
    query = reader.client.resume.many.find(batch_size=3, parallel=3, resume=True)
    with prefetch_bytes(2048):
        with failing(admin, {"skip": 2}, failCommands=["getMore"], errorCode=43):
            assert [row["_id"] for row in query.read()] == [*range(400)]
        assert query.report is not None
        assert query.report.resumed > 3
        with failing(admin, {"skip": 2}, failCommands=["getMore"], errorCode=43), pytest.raises(OperationFailure):
            reader.client.resume.many.find(batch_size=3, parallel=3).read()
    rows.drop()


def test_partitions_that_cannot_resume(admin: Admin, reader: Reader) -> None:
    admin.resume.create_collection("collated_parts", collation={"locale": "en"})
    admin.resume.collated_parts.insert_many([{"_id": str(n)} for n in range(10)])
    with pytest.raises(InvalidQuery, match="resume=True is not possible here"):
        reader.client.resume.collated_parts.find(resume=True).partitions(2)
    with pytest.raises(InvalidQuery, match="resume=True is not possible here"):
        reader.client.resume.c.find({}, {"_id": 0}, resume=True).partitions(2)
    admin.resume.drop_collection("collated_parts")
