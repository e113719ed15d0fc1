"""The report of a read."""

from __future__ import annotations

from typing import Any

import bson
import pyarrow as pa
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from strategies import document_of

from data_bridge import DecodeError, MongoClient, Report, from_arrow, read_bson

Mongo = Database[dict[str, Any]]


def test_of_a_read(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])
    query = client[database.name].c.find(batch_size=100)
    assert query.report is None
    result = query.read()
    report = query.report
    assert report is not None
    assert report.rows == result.report.rows == 300
    assert report.bytes >= 300 * len(bson.encode({"_id": 1}))
    assert report.batches >= 3
    assert all(seconds >= 0 for seconds in report.seconds.values())
    assert report.error is None
    assert "300 rows" in str(report)
    assert "rows=300" in repr(report)
    assert query.limit(3).report is None


def test_of_live_runs(client: MongoClient, database: Mongo) -> None:
    database.c.insert_many([{"_id": i} for i in range(300)])
    query = client[database.name].c.find(batch_size=100)
    assert len(list(query)) == 300
    assert query.report is not None
    assert query.report.rows == 300
    list(query.limit(5).stream())
    assert query.report.rows == 300
    with query.stream() as stream:
        next(stream)
    assert stream.report is not None
    assert stream.report.rows >= 1


def test_duplicate_keys_are_counted() -> None:
    def pair(key: bytes, value: int) -> bytes:
        return b"\x10" + key + b"\0" + value.to_bytes(4, "little")

    body = pair(b"a", 1) + pair(b"b", 2) + pair(b"a", 3)
    document = (len(body) + 5).to_bytes(4, "little") + body + b"\0"
    query = read_bson(document + bson.encode({"a": 9, "b": 8}))
    assert query.to_dicts() == [bson.decode(document), {"a": 9, "b": 8}]
    assert query.report is not None
    assert query.report.duplicates == 1
    assert "duplicate" in str(query.report)
    assert query.report.paths == [
        {"path": ("a",), "types": (), "action": "duplicate key", "count": 1, "first_id": None}
    ]


def test_duplicate_keys_are_told_by_path() -> None:
    def pair(key: bytes, value: bytes, kind: bytes = b"\x10") -> bytes:
        return kind + key + b"\0" + value

    one = b"\1\0\0\0"
    inner = document_of(pair(b"k", one), pair(b"k", one), pair(b"k", one))
    listed = document_of(pair(b"0", inner, b"\3"), pair(b"1", inner, b"\3"))
    string = b"\2\0\0\0x\0"
    broken = [
        bson.encode({"_id": 0, "d": {"k": 1}}),
        document_of(pair(b"_id", b"\7\0\0\0"), pair(b"a", one), pair(b"d", inner, b"\3"), pair(b"a", one)),
        # In a column of several types cells stay BSON.
        document_of(pair(b"_id", b"\x08\0\0\0"), pair(b"m", listed, b"\4")),
        document_of(pair(b"_id", b"\x09\0\0\0"), pair(b"m", string, b"\2"), pair(b"d", inner, b"\3")),
    ]
    result = read_bson(b"".join(broken)).read()
    assert result.to_dicts() == [bson.decode(document) for document in broken]
    found = [entry for entry in result.report.paths if entry["action"] == "duplicate key"]
    assert [(entry["path"], entry["count"], entry["first_id"]) for entry in found] == [
        (("a",), 1, 7),
        (("d", "k"), 4, 7),
        (("m", ..., "k"), 4, 8),
    ]
    assert result.report.duplicates == sum(entry["count"] for entry in found)
    assert "['m'][...]['k']: duplicate key, 4 cells, first in _id 8" in str(result.report)


def test_html_has_a_row_for_each_path_and_escapes() -> None:
    documents: list[dict[str, Any]] = [{"_id": "<i>", "<b>": 1, "w": 1}, {"_id": "<script>", "<b>": "x", "w": 2.5}]
    result = read_bson(b"".join(bson.encode(document) for document in documents)).read()
    for text in (result.report._repr_html_(), result._repr_html_()):
        assert text.count("<td>mixed</td>") == 1
        assert text.count("<td>widened</td>") == 1
        assert "<td>int32 + string</td>" in text
        assert "&lt;script&gt;" in text
        assert "&lt;b&gt;" in text
        for raw in ("<b>", "<script>", "<i>"):
            assert raw not in text
    failed = Report({"rows": 0}, ValueError("<u>"))
    assert "&lt;u&gt;" in failed._repr_html_()
    assert "<u>" not in failed._repr_html_()


def test_mixed_and_widened_paths_are_listed() -> None:
    documents: list[dict[str, Any]] = [{"_id": 0, "m": 1, "w": 1}, {"_id": 1, "m": "x", "w": bson.Int64(2)}]
    result = read_bson(b"".join(bson.encode(document) for document in documents)).read()
    assert result.to_dicts() == documents
    result.to_arrow()
    paths = {tuple(entry["path"]): entry["action"] for entry in read_bson_report(documents).paths}
    assert paths[("m",)] == "mixed"
    assert paths[("w",)] == "widened"


def test_items_of_a_list_are_one_path() -> None:
    report = read_bson_report([{"l": [{"v": 1}, {"v": "x"}]}])
    assert [entry["path"] for entry in report.paths] == [("l", ..., "v")]
    assert "['l'][...]['v']: mixed" in str(report)


def read_bson_report(documents: list[dict[str, Any]]) -> Report:
    return read_bson(b"".join(bson.encode(document) for document in documents)).read().report


def test_errors_are_kept() -> None:
    query = read_bson(bson.encode({"a": 1}) + b"\x08\0\0\0\x99b\0\0")  # no type has the number 0x99
    with pytest.raises(DecodeError) as caught:
        query.read()
    assert query.report is not None
    assert query.report.error is caught.value
    assert "DecodeError" in str(query.report)
    with pytest.raises(DecodeError):
        list(query)
    assert isinstance(query.report.error, DecodeError)


def test_text_without_a_server() -> None:
    report = Report(
        {
            "rows": 2,
            "bytes": 30,
            "batches": 1,
            "seconds": {"decode": 0.5},
            "duplicates": 1,
            "paths": [
                {"path": ("a", "b.c"), "types": ["int32", "string"], "action": "mixed", "count": 2, "first_id": 7},
                {"path": ("l", ..., "..."), "types": ["int32", "int64"], "action": "widened", "count": 1},
            ],
        }
    )
    assert str(report).splitlines() == [
        "2 rows, 30 bytes, 1 batches",
        "seconds: decode 0.500",
        "duplicate keys: 1 (the last one was kept)",
        "['a']['b.c']: mixed (int32 + string), 2 cells, first in _id 7",
        "['l'][...]['...']: widened (int32 + int64), 1 cells",
    ]


@pytest.mark.parametrize("policy", ["null", "rescue"])
def test_a_report_of_many_paths_is_bounded_and_does_not_depend_on_batches(
    client: MongoClient, database: Mongo, policy: str
) -> None:
    # Every key does not fit in two documents; the smallest ones come last.
    keys = [f"k{i:04}" for i in reversed(range(2_500))] * 2
    database.c.insert_many([{"_id": i, key: "text"} for i, key in enumerate(keys)])
    schema = {"_id": "int64", "rest": "int64"} | dict.fromkeys(keys, "int64")

    def reports(batch_size: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
        query = client[database.name].c.find(batch_size=batch_size, schema=schema, on_conflict=policy)
        query.to_arrow()
        whole = query.report
        with query.stream() as stream:
            assert sum(batch.num_rows for batch in stream) == len(keys)
        live = stream.report
        assert whole is not None
        assert live is not None
        assert whole.paths == live.paths
        assert whole.unlisted == live.unlisted
        assert "at further paths: 3,000" in str(whole)
        return whole.paths, whole.unlisted

    paths, unlisted = reports(batch_size=10_000)
    action = "nulled" if policy == "null" else "rescued"
    assert unlisted == {action: 3_000}
    first = {f"k{i:04}": 2_499 - i for i in range(1_000)}
    absent, *listed = paths
    assert {entry["path"]: (entry["action"], entry["count"], entry["first_id"]) for entry in listed} == {
        (key,): (action, 2, place) for key, place in first.items()
    }
    assert (absent["path"], absent["action"]) == (("rest",), "absent")
    assert reports(batch_size=7) == (paths, unlisted)
    assert reports(batch_size=1_999) == (paths, unlisted)


def test_many_duplicate_keys_are_told_for_the_first_paths_only(client: MongoClient, database: Mongo) -> None:
    def twice(key: str) -> bytes:
        element = bson.encode({key: 1})[4:-1]
        return (len(element) * 2 + 5).to_bytes(4, "little") + element * 2 + b"\0"

    keys = [f"k{i:04}" for i in reversed(range(1_300))]
    documents = [bson.encode({"_id": i, "m": RawBSONDocument(twice(key))}) for i, key in enumerate(keys)]
    database.c.insert_many([RawBSONDocument(document) for document in documents])
    for batch_size in (1_300, 7, 701):
        query = client[database.name].c.find(batch_size=batch_size)
        query.read()
        report = query.report
        assert report is not None
        assert report.duplicates == 1_300
        assert report.unlisted == {"duplicate key": 300}
        paths = [entry["path"] for entry in report.paths if entry["action"] == "duplicate key"]
        assert paths == [("m", key) for key in keys[300:]]


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"leaf": 1}
    for _ in range(levels):
        document = {"d": document}
    return document


MIXED: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "keys": ([{"a": {f"k{n}": 1 for n in range(1001)}}], "more than 1,000 different keys"),
    "keys of all documents": ([{"a": {f"k{n}": 1}} for n in range(1001)], "more than 1,000 different keys"),
    "keys in a list": ([{"l": [{f"k{n}": 1} for n in range(1001)]}], "more than 1,000 different keys"),
    "levels": ([nested(60)], "on level 48 of nesting, the last of a table"),
    "empty": ([{"a": {}}, {"a": {}}], "always empty"),
    "numbers": ([{"a": 2**53 + 1}, {"a": 0.5}], "an integer that no double holds"),
    "types": ([{"a": 1}, {"a": "x"}], None),
    "documents and lists": ([{"a": {}}, {"a": []}], None),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_mixed_path_has_its_reason(name: str, size: int) -> None:
    documents, reason = MIXED[name]
    encoded = [bson.encode(document) for document in documents]
    buffers = [b"".join(encoded[at : at + size]) for at in range(0, len(encoded), size)]
    for types, mixed in (("plain", r"\x05\x00\x00\x00mixed\x00"), ("exact", "data_bridge.mixed")):
        result = read_bson(buffers, types=types).read()
        table = result.to_arrow()
        (entry,) = result.report.paths
        assert entry["action"] == "mixed"
        assert entry.get("reason") == reason
        if reason is not None:
            assert f"; {reason})" in str(result.report)
            assert reason in result.report._repr_html_()
        # The table has the type of the report.
        assert mixed in str(table.schema.serialize().to_pybytes())


def test_paths_that_are_not_mixed_have_no_reason() -> None:
    most = {f"k{n}": 1 for n in range(1000)}
    for documents in ([{"a": most}], [{"a": 1}, {"a": 0.5}], [nested(40)]):
        report = read_bson([bson.encode(document) for document in documents]).read().report
        assert not any("reason" in entry for entry in report.paths)


def test_a_column_that_was_mixed_in_its_table_says_so() -> None:
    table = read_bson(bson.encode({"a": {"b": 1}}) + bson.encode({"a": 1}), types="exact").to_arrow()
    (entry,) = from_arrow(table.slice(0, 1)).report.paths
    assert entry["reason"] == "mixed in the table it came from"


YEARS = [-62_135_596_800_000, 253_402_300_799_999]
"""The first and the last millisecond of the years 1 to 9999."""


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("live", [False, True])
def test_dates_beyond_the_years_1_to_9999_are_listed(size: int, live: bool) -> None:
    far = [None, YEARS[0], YEARS[0] - 1, 0, YEARS[1] + 1, -(2**62), YEARS[1]]
    documents = [
        bson.encode(
            {
                "_id": number,
                "near": bson.DatetimeMS(YEARS[number % 2]),
                "far": None if value is None else bson.DatetimeMS(value),
                "l": [{"d": bson.DatetimeMS(YEARS[0] - 1)}] if number == 5 else [],
                # Beside text they are text.
                "m": bson.DatetimeMS(2**62) if number else "text",
            }
        )
        for number, value in enumerate(far)
    ]
    query = read_bson([b"".join(documents[at : at + size]) for at in range(0, len(documents), size)])
    if live:
        with query.stream() as stream:
            assert sum(batch.num_rows for batch in stream) == len(far)
        report = stream.report
        # The query has the same report, also for a consumer that has only the stream.
        assert query.report is not None
        assert report is not None
        assert query.report.paths == report.paths
        pa.table(query)
        assert query.report is not None
        assert query.report.paths == report.paths
    else:
        report = query.read().report
    assert report is not None
    entries = [entry for entry in report.paths if entry["action"] == "dates beyond years 1 to 9999"]
    assert [(entry["path"], entry["types"], entry["count"], entry["first_id"]) for entry in entries] == [
        (("far",), ("date",), 3, 2),
        (("l", ..., "d"), ("date",), 1, 5),
    ]
    assert "dates beyond years 1 to 9999" in str(report)


def test_ids_beside_text_have_a_reason() -> None:
    def reasons(*values: Any) -> list[Any]:
        report = read_bson_report([{"x": value} for value in values])
        return [entry.get("reason") for entry in report.paths]

    (reason,) = reasons(bson.ObjectId(), "text")
    assert "object_ids()" in reason
    assert reasons("text", None, bson.ObjectId(), bson.ObjectId()) == [reason]
    assert reasons(bson.ObjectId(), "text", 1) == [None]
    assert reasons(bson.ObjectId(), 1) == [None]
    assert reasons(bson.ObjectId(), None) == []
