"""`register_pyarrow_types`: values of PyMongo from pyarrow, and the operations that pyarrow then refuses."""

from __future__ import annotations

import datetime as dt
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import bson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bson import CodecOptions, DBRef, ObjectId
from bson.binary import UuidRepresentation
from oracle import assert_same
from strategies import framed, one_of_each

import data_bridge
from data_bridge.integrations import pyarrow_types

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
AWARE: CodecOptions[Any] = CodecOptions(
    tz_aware=True, tzinfo=dt.timezone.utc, uuid_representation=UuidRepresentation.STANDARD
)
NAMES = [f"data_bridge.{kind.name}" for kind in pyarrow_types.TYPES]


@pytest.fixture
def registered() -> Iterator[None]:
    data_bridge.register_pyarrow_types()
    yield
    unregister()


def unregister() -> None:
    for name in NAMES:
        pa.unregister_extension_type(name)


def table_of(*documents: bytes) -> pa.Table:
    return data_bridge.read_bson(b"".join(documents)).to_arrow()


def nested(kind: int, value: bytes) -> bytes:
    """A value alone, in a list, in a struct and in a list of structs."""
    listed = framed([(kind, "0", value)])
    struct = framed([(kind, "x", value), (0x10, "n", b"\1\0\0\0")])
    return framed([(kind, "v", value), (4, "l", listed), (3, "s", struct), (4, "ls", framed([(3, "0", struct)]))])


def as_read(value: Any) -> Any:
    """A value as a table has it: a DBRef is a struct, a date has the zone of Arrow's, an int has no own class."""
    if isinstance(value, DBRef):
        return as_read(dict(value.as_doc()))
    if isinstance(value, dict):
        return {key: as_read(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(as_read, value))
    return int(value) if isinstance(value, bson.Int64) else value


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", one_of_each())
def test_values_are_those_of_pymongo(name: str) -> None:
    document = nested(*one_of_each()[name])
    (row,) = table_of(document).to_pylist()
    expected = bson.decode(document, AWARE)
    if name == "dbpointer":  # its own type, where a DBRef is a document
        assert_same(row, expected)
        return
    expected = as_read(expected)
    if name == "date":
        assert row == expected
        assert row["v"].utcoffset() == dt.timedelta(0)
        return
    assert_same(row, expected)


@pytest.mark.usefixtures("registered")
def test_mixed_cells_are_decoded() -> None:
    when = dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc)
    values = [1, "x", ObjectId(), {"a": [1.5, None]}, when, bson.Decimal128("1.50"), None]
    column = table_of(*(bson.encode({"m": value}) for value in values))["m"]
    assert column.type == pyarrow_types.MixedType()
    assert column.to_pylist() == values
    assert column[4].as_py().utcoffset() == dt.timedelta(0)


@pytest.mark.usefixtures("registered")
def test_nulls_are_none() -> None:
    table = table_of(*(framed([(kind, name, value)]) for name, (kind, value) in one_of_each().items()))
    for column in table.columns:
        assert column.to_pylist().count(None) >= len(table) - 1
        assert column.slice(0, 0).to_pylist() == []


def test_importing_and_reading_register_nothing() -> None:
    code = """
    import bson, pyarrow, data_bridge
    table = data_bridge.read_bson(bson.encode({"_id": bson.ObjectId()})).to_arrow()
    table.to_pandas(); data_bridge.from_arrow(table).to_pylist()
    assert table.schema.field("_id").type == pyarrow.binary(12), table.schema
    data_bridge.register_pyarrow_types()
    data_bridge.register_pyarrow_types()
    table = data_bridge.read_bson(bson.encode({"_id": bson.ObjectId()})).to_arrow()
    assert isinstance(table["_id"][0].as_py(), bson.ObjectId)
    """
    program = "\n".join(line.strip() for line in code.splitlines())
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_pyarrow_an_error_names_the_extra() -> None:
    code = """
    import sys, data_bridge
    sys.modules["pyarrow"] = None
    try:
        data_bridge.register_pyarrow_types()
    except ImportError as error:
        assert "pip install" in str(error), error
    else:
        raise AssertionError
    """
    program = "\n".join(line[4:] for line in code.splitlines())
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# ---- tables keep their documents -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("registered")
def test_tables_read_as_the_same_documents(tmp_path: Path) -> None:
    documents = [nested(*value) for value in one_of_each().values()]
    # Mixed, as the types differ; beside them a column for each type.
    documents += [framed([(kind, name, value)]) for name, (kind, value) in one_of_each().items()]
    result = data_bridge.read_bson(b"".join(documents)).read()
    table = result.to_arrow(shapes=True)
    pq.write_table(table, tmp_path / "t.parquet")
    for each in (table, pq.read_table(tmp_path / "t.parquet"), pickle.loads(pickle.dumps(table))):
        assert data_bridge.from_arrow(each).to_dicts() == result.to_dicts()
    unregister()
    try:
        assert data_bridge.from_arrow(pq.read_table(tmp_path / "t.parquet")).to_dicts() == result.to_dicts()
    finally:
        data_bridge.register_pyarrow_types()


@pytest.mark.usefixtures("registered")
def test_frames_of_polars_come_back_with_the_types() -> None:
    ids = [ObjectId(), ObjectId()]
    frame = pl.DataFrame(
        data_bridge.read_bson(b"".join(bson.encode({"_id": each, "l": [each]}) for each in ids)).read()
    )
    table = frame.to_arrow()
    assert isinstance(table.schema.field("_id").type, pyarrow_types.ObjectIdType)
    assert table.to_pylist() == [{"_id": each, "l": [each]} for each in ids]


# ---- operations ------------------------------------------------------------------------------------------------------

SHOWN = {
    "`as_py()`, `to_pylist()`": lambda table: isinstance(table["i"][0].as_py(), ObjectId),
    "`sort_by`": lambda table: table.sort_by("i").num_rows == 3,
    "`group_by`": lambda table: table.group_by("i").aggregate([([], "count_all")]).num_rows == 2,
    "`pc.equal`": lambda table: pc.equal(table["i"], table["i"]).to_pylist() == [True] * 3,
    "`unique`, `value_counts`, `dictionary_encode`": lambda table: (
        len(table["i"].unique()) == len(table["i"].value_counts()) == len(table["i"].dictionary_encode().unique()) == 2
    ),
    "`pc.is_in`": lambda table: pc.is_in(table["i"], value_set=table["i"]).to_pylist() == [True] * 3,
    "`join` on the column": lambda table: table.select(["i", "n"]).join(table.select(["i"]), "i").num_rows == 5,
    "`filter`, `take`, `slice`, `concat_tables`": lambda table: (
        pa.concat_tables([table.filter(pc.is_valid(table["i"])), table.take([0]), table.slice(1)]).num_rows == 6
    ),
    "Parquet, Feather, IPC, pickle": lambda table: pickle.loads(pickle.dumps(table)).equals(table),
    "`cast` to the storage": lambda table: table["i"].cast(pa.binary()).unique().to_pylist()[0] == bytes(range(12)),
}  # type: dict[str, Callable[[pa.Table], bool]]
REFUSALS = (pa.ArrowNotImplementedError, pa.ArrowTypeError)


def table_of_the_page() -> dict[str, tuple[str, str]]:
    section = PAGE.split("## Exact types in pyarrow")[1].split("\n## ")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line.startswith("|")]
    return {operation: (before, after) for operation, before, after in rows[2:]}


def outcome(operation: Callable[[pa.Table], bool], table: pa.Table) -> str:
    try:
        return "yes" if operation(table) else "no"
    except REFUSALS:
        return "refused"


def test_the_page_shows_the_operations_before_and_after() -> None:
    ids = [ObjectId(bytes(range(12))), ObjectId(bytes(12)), ObjectId(bytes(range(12)))]
    documents = [bson.encode({"i": each, "n": number}) for number, each in enumerate(ids)]
    before = {name: outcome(operation, table_of(*documents)) for name, operation in SHOWN.items()}
    data_bridge.register_pyarrow_types()
    try:
        after = {name: outcome(operation, table_of(*documents)) for name, operation in SHOWN.items()}
    finally:
        unregister()
    assert {name: (before[name], after[name]) for name in SHOWN} == table_of_the_page()


def test_uuids_are_of_pyarrow_in_both_cases() -> None:
    document = bson.encode({"u": bson.Binary.from_uuid(UUID(int=5))})
    assert table_of(document)["u"].to_pylist() == [UUID(int=5)]
    data_bridge.register_pyarrow_types()
    try:
        assert table_of(document)["u"].to_pylist() == [UUID(int=5)]
    finally:
        unregister()
