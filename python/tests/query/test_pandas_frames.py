"""`to_pandas`: columns that pandas prints, compares, groups and exports, with each backend."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId
from strategies import framed, one_of_each

import data_bridge
from data_bridge import Result, read_bson

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
BACKENDS = ["pyarrow", "numpy_nullable", "numpy"]
VALUES = {
    "ObjectId": (ObjectId(b"\xff" * 12), ObjectId(b"\xfe" * 12)),
    "UUID": (Binary.from_uuid(uuid.UUID(int=2**128 - 1)), Binary.from_uuid(uuid.UUID(int=2))),
    "decimal128": (Decimal128("2.50"), Decimal128("1")),
    "mixed": (1, "x"),
}
PLACES: dict[str, Callable[[Any], Any]] = {
    "alone": lambda value: value,
    "list": lambda value: [value],
    "struct": lambda value: {"x": value},
    "list of structs": lambda value: [{"x": value}],
}
NESTED = ["list", "struct", "list of structs"]


def read(*documents: dict[str, Any]) -> Result:
    return read_bson(b"".join(map(bson.encode, documents)), types="exact").read()


def printed(frame: pd.DataFrame) -> bool:
    frame.info(buf=io.StringIO())
    return all("k" in text for text in (repr(frame), frame.to_string(), frame.to_html()))


OPERATIONS: dict[str, Callable[[pd.DataFrame], bool]] = {
    "print, `to_string`, `to_html`, `info`": printed,
    "`isna`": lambda frame: frame.k.isna().tolist() == [False] * 3 + [True],
    "compare with `==`": lambda frame: (frame.k == frame.k)[:3].tolist() == [True] * 3,
    "select, `concat`, `explode`, `copy`": lambda frame: (
        len(pd.concat([frame[frame.n > 1], frame.explode("k"), frame.copy(deep=True)])) == 11
    ),
    "`groupby`": lambda frame: sorted(frame.groupby("k").n.sum().tolist()) == [2, 4],
    "`sort_values`": lambda frame: frame.sort_values("k").n.tolist()[-1] == 4,
    "`merge`": lambda frame: len(frame[:3].merge(frame[:3], on="k")) == 5,
    "`unique`": lambda frame: len(frame.k[:3].unique()) == 2,
    "`describe`": lambda frame: frame.describe(include="all").shape[1] == 2,
    "`to_csv`": lambda frame: frame.to_csv().count("\n") == 5,
    "`to_json`": lambda frame: frame.to_json().startswith("{"),
    "`to_parquet`": lambda frame: pq.read_table(io.BytesIO(frame.to_parquet())).num_rows == 4,
    "`read_parquet` of it": lambda frame: len(pd.read_parquet(io.BytesIO(frame.to_parquet()))) == 4,
    "pickle": lambda frame: len(pd.read_pickle(pickled(frame))) == 4,
}


def works(operation: Callable[[pd.DataFrame], bool], frame: pd.DataFrame) -> bool:
    try:
        return operation(frame)
    except (pa.ArrowNotImplementedError, TypeError, UnicodeDecodeError, OverflowError):
        return False


def pickled(frame: pd.DataFrame) -> io.BytesIO:
    buffer = io.BytesIO()
    frame.to_pickle(buffer)
    buffer.seek(0)
    return buffer


def table_of_the_page() -> dict[str, dict[str, set[str]]]:
    """For each operation and backend: the places where pandas refuses it."""
    section = PAGE.split("## Columns of pandas")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    rows = rows[[row[0] for row in rows].index("operation") :]
    header, _, *rows = rows
    backends = [cell.strip('`"') for cell in header[1:]]
    return {
        operation: {backend: PLACES_OF[cell] for backend, cell in zip(backends, cells, strict=True)}
        for operation, *cells in rows
    }


PLACES_OF = {
    "yes": set[str](),
    "not nested columns": set(NESTED),
    "not structs": {"struct", "list of structs"},
    "not bytes": {"bytes"},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_operations_are_those_of_the_page(backend: str, kind: str, place: str) -> None:
    first, second = map(PLACES[place], VALUES[kind])
    result = read({"n": 1, "k": first}, {"n": 2, "k": second}, {"n": 3, "k": first}, {"n": 4})
    page = table_of_the_page()
    assert list(page) == list(OPERATIONS)
    for name, operation in OPERATIONS.items():
        frame = result.to_pandas(dtype_backend=backend)
        refused = page[name][backend]
        if place in refused or ("bytes" in refused and kind != "mixed"):
            assert not works(operation, frame), name
        else:
            assert operation(frame), name


def test_no_column_has_a_type_that_pandas_cannot_use() -> None:
    """In each place, with each type registered with pyarrow or not."""
    documents = []
    for name, (kind, value) in one_of_each().items():
        struct = framed([(kind, "x", value)])
        listed = framed([(kind, "0", value)])
        nested = framed([(4, "0", listed)])
        documents.append(
            framed([(kind, name, value), (4, f"{name} l", listed), (4, f"{name} ll", nested), (3, f"{name} s", struct)])
        )
    result = read_bson(b"".join(documents), types="exact").read()
    before = result.to_pandas()
    data_bridge.register_pyarrow_types()
    try:
        after = result.to_pandas()
    finally:
        from data_bridge.integrations import pyarrow_types

        for each in pyarrow_types.TYPES:
            pa.unregister_extension_type(f"data_bridge.{each.name}")
    pd.testing.assert_frame_equal(before, after)
    for dtype in before.dtypes:
        text = str(dtype)
        assert "extension" not in text
        assert "fixed_size_binary" not in text
    for backend in BACKENDS:
        repr(result.to_pandas(dtype_backend=backend))


def test_ids_have_the_bytes_of_their_values() -> None:
    first = VALUES["ObjectId"][0]
    frame = read({"_id": first, "l": [first], "u": VALUES["UUID"][0]}).to_pandas()
    assert frame["_id"][0] == frame["l"][0][0] == first.binary
    assert frame["u"][0] == bytes(VALUES["UUID"][0])
    assert data_bridge.object_ids(frame["_id"]) == [first]


def test_numpy_nullable_is_as_in_pandas(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = [
        {"i": 1, "l": Int64(1), "f": 1.5, "b": True, "s": "x", "t": None, "n": None, "a": [1, None], "d": {"x": 1}},
        {"i": None, "l": None, "f": None, "b": None, "s": None, "t": bson.DatetimeMS(5), "a": None, "d": None},
    ]
    result = read(*documents)
    frame = result.to_pandas(dtype_backend="numpy_nullable")
    pq.write_table(result.to_arrow(), tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / "t.parquet", dtype_backend="numpy_nullable"))
    kinds = {"i": "Int32", "l": "Int64", "f": "Float64", "b": "boolean", "s": "string", "t": "datetime64[ms, UTC]"}
    assert {name: str(frame.dtypes[name]) for name in kinds} == kinds
    assert frame["l"].tolist() == [1, pd.NA]
    schema = {"u": "uint8", "s": "large_string", "f": "float32"}
    given = read_bson(bson.encode({"u": 1, "s": "x", "f": 0.5}), schema=schema).to_pandas(
        dtype_backend="numpy_nullable"
    )
    assert list(map(str, given.dtypes)) == ["UInt8", "string", "Float32"]


def test_columns_of_a_given_schema_keep_their_types() -> None:
    schema = pa.schema(
        [
            ("fixed", pa.list_(pa.binary(12), 1)),
            ("large", pa.large_list(pa.uuid())),
            ("map", pa.map_(pa.string(), pa.binary(12))),
            ("json", pa.json_()),
            ("kind", pa.dictionary(pa.int32(), pa.string())),
            ("price", pa.decimal128(10, 2)),
        ]
    )
    first, other = VALUES["ObjectId"][0], VALUES["UUID"][0]
    document = {
        "fixed": [first],
        "large": [other],
        "map": {"a": first},
        "json": 1,
        "kind": "k",
        "price": Decimal128("1"),
    }
    frame = read_bson(bson.encode(document), schema=schema).to_pandas()
    assert [re.sub(r", ordered.*>", ">", str(dtype)) for dtype in frame.dtypes] == [
        "fixed_size_list<item: binary>[1][pyarrow]",
        "large_list<item: binary>[pyarrow]",
        "map<string, binary>[pyarrow]",
        "string[pyarrow]",
        "dictionary<values=string, indices=int32>[pyarrow]",
        "decimal128(10, 2)[pyarrow]",
    ]
    assert "1.00" in repr(frame)


def test_repeated_printing_and_export_do_not_crash() -> None:
    """In a process of its own: a list of fixed-size binaries crashed it at the second attempt."""
    code = """
    import bson, data_bridge, pandas
    ids = bson.encode({"l": [bson.ObjectId()], "u": [bson.Binary.from_uuid(__import__("uuid").uuid4())]})
    for backend in ("pyarrow", "numpy_nullable", "numpy"):
        frame = data_bridge.read_bson(ids, types="exact").to_pandas(dtype_backend=backend)
        for _ in range(3):
            repr(frame), frame.to_csv(), frame.describe(include="all") if backend != "pyarrow" else None
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


@pytest.mark.parametrize("types", ["plain", "exact"])
def test_lists_of_nulls_keep_their_rows(types: str) -> None:
    """A cast of pyarrow 26 makes an invalid array of them."""
    documents = [{"l": [None, None], "s": [{"v": None, "i": ObjectId()}]}, {"l": [None], "s": []}, {"l": [], "s": None}]
    result = read_bson(b"".join(map(bson.encode, documents)), types=types).read()
    for backend in ("pyarrow", "numpy_nullable", "numpy"):
        frame = result.to_pandas(dtype_backend=backend)
        assert [list(value) for value in frame["l"]] == [[None, None], [None], []]
        assert [None if value is None or value is pd.NA else len(value) for value in frame["s"]] == [1, 0, None]
        assert frame["s"][0][0]["v"] is None


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="numpy_nullable"):
        read({"a": 1}).to_pandas(dtype_backend="cupy")


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_error_of_pandas_names_the_column(backend: str) -> None:
    far = DatetimeMS(-(2**62))
    documents = [{"_id": 1, "fine": {"at": 1}, "far": {"at": far}, "also": far}]
    query = read_bson([bson.encode(document) for document in documents])
    if backend == "pyarrow":
        assert query.to_pandas(dtype_backend=backend).columns.to_list() == ["_id", "fine", "far", "also"]
        return
    with pytest.raises(ValueError, match=r"the column 'far': .*; dtype_backend=\"pyarrow\" keeps"):
        query.to_pandas(dtype_backend=backend)
