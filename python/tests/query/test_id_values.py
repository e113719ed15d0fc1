"""`object_ids` and `uuids`: any series as values for a filter."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import bson
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bson import Binary, CodecOptions, ObjectId
from bson.binary import UuidRepresentation
from pymongo.database import Database

import data_bridge
from data_bridge import MongoClient, object_ids, read_bson, uuids
from data_bridge.integrations import pyarrow_types

Mongo = Database[dict[str, Any]]
# The last one ends in a zero byte, which numpy drops from bytes.
IDS = [ObjectId(bytes(range(1, 13))), ObjectId(b"\xff" * 12), ObjectId(b"\xfe" * 11 + b"\0")]
UUIDS = [uuid.UUID(bytes=bytes(range(1, 17))), uuid.UUID(int=2**128 - 1), uuid.UUID(bytes=b"\xfe" * 15 + b"\0")]


def table_of(values: list[Any]) -> pa.Table:
    return read_bson(b"".join(bson.encode({"k": value}) for value in values)).to_arrow()


TEXTS: dict[str, Callable[[list[str]], Iterable[Any]]] = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "polars": pl.Series,
    "polars categories": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "pandas": pd.Series,
    "pandas objects": lambda texts: pd.Series(texts, dtype=object),
    "pandas ArrowDtype": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.large_string())),
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "pandas index": pd.Index,
    "pandas array": pd.array,
    "numpy": np.array,
    "numpy objects": lambda texts: np.array(texts, dtype=object),
    "pyarrow": pa.array,
    "pyarrow chunks": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "pyarrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "pyarrow view": lambda texts: pa.array(texts, pa.string_view()),
    "duckdb": lambda texts: duckdb.sql("select unnest(?::varchar[]) as k", params=[texts]).fetchnumpy()["k"],
}
BYTES: dict[str, Callable[[list[bytes]], Iterable[Any]]] = {
    "list": list,
    "polars": lambda values: pl.Series(values, dtype=pl.Binary),
    "pandas": pd.Series,
    "pandas ArrowDtype": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.binary())),
    "pandas fixed size": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.binary(len(values[0])))),
    "numpy": np.array,
    "numpy void": lambda values: np.array(values, dtype=f"V{len(values[0])}"),
    "pyarrow": pa.array,
    "pyarrow fixed size": lambda values: pa.array(values, pa.binary(len(values[0]))),
}
OBJECTS: dict[str, Callable[[list[Any]], Iterable[Any]]] = {
    "list": list,
    "dict keys": lambda values: dict.fromkeys(values).keys(),
    "polars objects": lambda values: pl.Series(values, dtype=pl.Object),
    "pandas": pd.Series,
    "numpy": lambda values: np.array(values, dtype=object),
}


@pytest.mark.parametrize("series", TEXTS.values(), ids=TEXTS)
def test_texts(series: Callable[[list[str]], Iterable[Any]]) -> None:
    assert object_ids(series([str(each) for each in IDS])) == IDS
    assert uuids(series([str(each) for each in UUIDS])) == [Binary.from_uuid(each) for each in UUIDS]


@pytest.mark.parametrize("series", BYTES.values(), ids=BYTES)
def test_bytes(series: Callable[[list[bytes]], Iterable[Any]]) -> None:
    assert object_ids(series([each.binary for each in IDS])) == IDS
    assert uuids(series([each.bytes for each in UUIDS])) == [Binary.from_uuid(each) for each in UUIDS]


@pytest.mark.parametrize("series", OBJECTS.values(), ids=OBJECTS)
def test_objects(series: Callable[[list[Any]], Iterable[Any]]) -> None:
    assert object_ids(series(IDS)) == IDS
    assert uuids(series(UUIDS)) == [Binary.from_uuid(each) for each in UUIDS]


@pytest.mark.parametrize("registered", [False, True])
def test_columns_of_tables(registered: bool) -> None:
    binaries = [Binary.from_uuid(each) for each in UUIDS]
    if registered:
        data_bridge.register_pyarrow_types()
    try:
        for table in (table_of(IDS), table_of([str(each) for each in IDS])):
            for column in (table["k"], pl.DataFrame(table)["k"], table.to_pandas()["k"]):
                assert object_ids(column) == IDS
        for column in (table_of(binaries)["k"], pl.DataFrame(table_of(binaries))["k"]):
            assert uuids(column) == binaries
    finally:
        if registered:
            for each in pyarrow_types.TYPES:
                pa.unregister_extension_type(f"data_bridge.{each.name}")
    query = read_bson(b"".join(bson.encode({"k": value, "l": IDS}) for value in IDS))
    for backend in ("pyarrow", "numpy_nullable", "numpy"):
        assert object_ids(query.to_pandas(dtype_backend=backend)["k"]) == IDS
    assert object_ids(query.to_polars()["k"]) == IDS
    assert object_ids(query.to_polars()["l"].explode()) == IDS * 3
    assert object_ids(query.to_list()[0]["l"]) == IDS
    assert object_ids([*query.to_list()[0]["l"].to_list(), str(IDS[0])]) == [*IDS, IDS[0]]


def test_ids_find_their_documents(client: MongoClient, database: Mongo) -> None:
    database.users.insert_many([{"_id": each, "u": Binary.from_uuid(UUIDS[at])} for at, each in enumerate(IDS)])
    database.orders.insert_many([{"user": each, "u": Binary.from_uuid(UUIDS[at])} for at, each in enumerate(IDS[:2])])
    orders = client[database.name].orders.find().to_polars()
    for representation in (
        UuidRepresentation.UNSPECIFIED,
        UuidRepresentation.STANDARD,
        UuidRepresentation.PYTHON_LEGACY,
    ):
        options: CodecOptions[Any] = CodecOptions(uuid_representation=representation)
        users = client[database.name].users.with_options(codec_options=options)
        assert users.count_documents({"_id": {"$in": object_ids(orders["user"])}}) == 2
        assert users.count_documents({"u": {"$in": uuids(orders["u"])}}) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pythonLegacy", UuidRepresentation.PYTHON_LEGACY),
        ("javaLegacy", UuidRepresentation.JAVA_LEGACY),
        ("csharpLegacy", UuidRepresentation.CSHARP_LEGACY),
        ("standard", UuidRepresentation.STANDARD),
    ],
)
def test_uuids_in_a_legacy_form(name: str, value: int) -> None:
    expected = [Binary.from_uuid(each, value) for each in UUIDS]
    for representation in (name, value):
        assert uuids(UUIDS, representation) == expected
        assert uuids(map(str, UUIDS), uuid_representation=representation) == expected
    # A Binary is in the stored form already.
    assert uuids(expected, name) == uuids(expected) == expected


@pytest.mark.parametrize("name", ["unspecified", UuidRepresentation.UNSPECIFIED, "nonsense", 17])
def test_an_unknown_form_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="uuid"):
        uuids(UUIDS, name)


@pytest.mark.parametrize(
    "values",
    [
        [str(IDS[0]), None],
        pl.Series([str(IDS[0]), None]),
        pl.Series([IDS[0].binary, None]),
        pd.Series([str(IDS[0]), None]),
        pd.Series([str(IDS[0]), None], dtype="string"),
        pd.Series([IDS[0].binary, None], dtype=pd.ArrowDtype(pa.binary())),
        pd.Series([IDS[0], pd.NaT], dtype=object),
        pa.array([IDS[0].binary, None], pa.binary(12)),
        np.array([IDS[0], np.nan], dtype=object),
    ],
    ids=lambda values: type(values).__module__,
)
def test_a_null_is_refused_with_its_position(values: Any) -> None:
    with pytest.raises(ValueError, match=r"object_ids\(\): null at position 1\. Drop nulls first"):
        object_ids(values)
    for column in ("drop_nulls", "dropna", "drop_null"):
        if hasattr(values, column):
            assert object_ids(getattr(values, column)()) == IDS[:1]


@pytest.mark.parametrize("bad", ["", "xyz", "0" * 23, "g" * 24, b"", b"short", b"x" * 16, str(UUIDS[0])])
def test_a_value_that_is_no_object_id_is_refused_with_its_position(bad: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"object_ids\(\): .* at position 2 is no id") as caught:
        object_ids([IDS[0], IDS[1], bad])
    assert type(caught.value) is ValueError
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("bad", ["", "xyz", str(IDS[0]), b"x" * 12])
def test_a_value_that_is_no_uuid_is_refused_with_its_position(bad: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"uuids\(\): .* at position 1 is no id"):
        uuids([UUIDS[0], bad])


@pytest.mark.parametrize("bad", [1, 1.5, True, {}, [], uuid.UUID(int=1)])
def test_values_of_another_type_are_refused_with_their_position(bad: Any) -> None:
    with pytest.raises(TypeError, match=rf"object_ids\(\): {type(bad).__name__} at position 1 is no id"):
        object_ids([IDS[0], bad])


def test_another_subtype_is_no_uuid() -> None:
    with pytest.raises(TypeError, match="Binary at position 0"):
        uuids([Binary(bytes(16), 5)])


@pytest.mark.parametrize("single", [str(IDS[0]), IDS[0], IDS[0].binary, UUIDS[0]])
def test_a_single_value_is_refused(single: Any) -> None:
    with pytest.raises(TypeError, match=r"object_ids\(\) takes several values: pass \["):
        object_ids(single)


@pytest.mark.parametrize("frame", [pl.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["x"]}), pa.table({"a": ["x"]})])
def test_a_frame_is_refused(frame: Any) -> None:
    with pytest.raises(TypeError, match=r"object_ids\(\) takes one column"):
        object_ids(frame)
    with pytest.raises(TypeError, match="takes a series or another iterable"):
        object_ids(5)  # type: ignore[arg-type]


def test_empty_series() -> None:
    for values in ([], pl.Series([], dtype=pl.String), pa.array([], pa.binary(12)), np.array([])):
        assert object_ids(values) == uuids(values) == []
