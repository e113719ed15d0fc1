"""Options, filters and types of the Spark source, which need no session and no Spark."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from bson import ObjectId

from data_bridge import InvalidOperation, InvalidQuery
from data_bridge.engines.predicates import UNKNOWN, Compare, IsIn, IsPresent, StartsWith
from data_bridge.engines.spark_filters import condition
from data_bridge.engines.spark_options import SparkOptions
from data_bridge.engines.spark_overwrite import check_replaceable
from data_bridge.engines.spark_types import spark_schema
from data_bridge.query.collection_facts import CollectionFacts

PLACE = {"database": "d", "collection": "c"}


def test_options_of_a_read() -> None:
    options = SparkOptions.of_read(
        {
            **PLACE,
            "filter": '{"_id": {"$oid": "000000000000000000000001"}}',
            "Partitions": "8",
            "snapshot": "TRUE",
            "on_conflict": "null",
            "infer_rows": "all",
            "timeout": "2.5",
        }
    )
    assert options.get("filter") == {"_id": ObjectId(b"\0" * 11 + b"\1")}
    assert options.partitions == {"n": 8, "snapshot": True}
    assert options.table == {"on_conflict": "null"}
    assert options.query == {"timeout": 2.5}
    assert options.get("infer_rows") == "all"
    assert options.origin == {"uri_env": "MONGODB_URI"}
    assert SparkOptions.of_read({**PLACE, "uri": "mongodb://h/"}).origin == {"uri": "mongodb://h/"}


def test_options_of_a_write() -> None:
    options = SparkOptions.of_write(
        {
            **PLACE,
            "operation": "upsert",
            "on": '["shop", ["address", "id"]]',
            "schema": '{"_id": "objectid"}',
            "rounding": "dates, decimals",
            "check_index": "false",
            "uri_env": "OTHER",
        }
    )
    assert options.get("on") == ["shop", ["address", "id"]]
    assert options.write == {
        "schema": {"_id": "objectid"},
        "rounding": ["dates", "decimals"],
        "check_index": False,
    }
    assert options.origin == {"uri_env": "OTHER"}
    assert SparkOptions.of_write({**PLACE, "on": "shop, item"}).get("on") == ["shop", "item"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"database": "d"}, "the option collection is missing"),
        ({**PLACE, "operation": "insert"}, "data_bridge has no option 'operation': there are batch_size, by, "),
        ({**PLACE, "snapshot": "yes"}, "the option snapshot cannot be read: expected true or false"),
        ({**PLACE, "partitions": "many"}, "the option partitions cannot be read"),
        ({**PLACE, "filter": "{"}, "the option filter cannot be read"),
        ({**PLACE, "uri": "mongodb://h/", "uri_env": "X"}, "exclude each other"),
        ({**PLACE, "pipeline": "[]", "filter": '{"a": 1}'}, "the option pipeline excludes filter"),
    ],
)
def test_options_that_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparkOptions.of_read(options)


@pytest.mark.parametrize("uri", ["mongodb://u:hunter2@h/", "mongodb://h/?tlsCertificateKeyFilePassword=hunter2"])
def test_a_uri_with_a_password_is_refused_without_showing_it(uri: str) -> None:
    with pytest.raises(ValueError, match="the option uri has credentials") as caught:
        SparkOptions.of_read({**PLACE, "uri": uri})
    assert "hunter2" not in str(caught.value)


class EqualTo(NamedTuple):
    attribute: tuple[str, ...]
    value: Any


class EqualNullSafe(EqualTo): ...


class GreaterThan(EqualTo): ...


class In(EqualTo): ...


class StringStartsWith(EqualTo): ...


class StringContains(EqualTo): ...


class IsNull(NamedTuple):
    attribute: tuple[str, ...]


class IsNotNull(IsNull): ...


class Not(NamedTuple):
    child: Any


def test_conditions() -> None:
    now = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    assert condition(EqualTo(("a",), 5)) == Compare(("a",), "==", 5)
    assert condition(EqualNullSafe(("n", "x"), "t")) == Compare(("n", "x"), "==", "t")
    assert condition(EqualNullSafe(("a",), None)) == UNKNOWN
    assert condition(GreaterThan(("t",), now)) == Compare(("t",), ">", now)
    assert condition(In(("a",), (1, None))) == IsIn(("a",), [1, None])
    assert condition(IsNotNull(("a",))) == IsPresent(("a",))
    assert condition(StringStartsWith(("s",), "x")) == StartsWith(("s",), "x")
    for unknown in (IsNull(("a",)), StringContains(("s",), "x"), Not(EqualTo(("a",), 5)), object()):
        assert condition(unknown) == UNKNOWN


def test_types() -> None:
    given = pa.schema(
        [
            pa.field("t", pa.timestamp("ms", "UTC"), metadata={"k": "v"}),
            ("u", pa.uint32()),
            ("v", pa.string_view()),
            ("f", pa.binary(12)),
            ("s", pa.struct([("t", pa.list_(pa.timestamp("ns"))), ("l", pa.large_list(pa.large_string()))])),
            ("d", pa.decimal128(38, 3)),
            ("n", pa.null()),
        ]
    )
    found = spark_schema(given)
    assert [str(field.type) for field in found] == [
        "timestamp[us, tz=UTC]",
        "int64",
        "string",
        "binary",
        "struct<t: list<item: timestamp[us]>, l: list<item: string>>",
        "decimal128(38, 3)",
        "null",
    ]
    assert spark_schema(given, decoded=True).field("f").type == pa.binary(12)
    assert found.field("t").metadata == {b"k": b"v"}
    with pytest.raises(InvalidQuery, match=r"the column 's\.id' has an extension type"):
        spark_schema(pa.schema([("s", pa.struct([("id", pa.uuid())]))]))


@pytest.mark.parametrize(("kind", "is_sharded"), [("view", False), ("timeseries", False), ("collection", True)])
def test_collections_that_are_not_overwritten(kind: str, is_sharded: bool) -> None:
    message = r"shop\.c is sharded" if is_sharded else f"is a {kind}, which cannot be overwritten"
    with pytest.raises(InvalidOperation, match=message):
        check_replaceable("shop.c", CollectionFacts(True, kind, {}), is_sharded)
