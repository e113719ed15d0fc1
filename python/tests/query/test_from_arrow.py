"""`from_arrow` of data that other tools let through."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import data_bridge


def unchecked(values: list[bytes | None], kind: pa.DataType, stored: pa.DataType) -> pa.Array:
    """Bytes declared as text, which pyarrow does not check: neither does its reader of Parquet files."""
    array = pa.array(values, stored)
    return pa.Array.from_buffers(kind, len(array), array.buffers(), array.null_count)


LAYOUTS = {
    "string": (pa.string(), pa.binary()),
    "large_string": (pa.large_string(), pa.large_binary()),
    "string_view": (pa.string_view(), pa.binary_view()),
}
# The second one is two halves of a character.
BAD: list[list[bytes | None]] = [[None, b"a", b"ok \xff"], [b"a", b"x\xc3", b"\xa9"]]
PLACES: dict[str, Any] = {
    "column": lambda text: text,
    "dictionary": lambda text: pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), text),
    "struct": lambda text: pa.StructArray.from_arrays([text], ["s"]),
    "list": lambda text: pa.ListArray.from_arrays(pa.array([0, 1, 2, 3]), text),
    "map value": lambda text: pa.MapArray.from_arrays(pa.array([0, 1, 2, 3]), pa.array(["a", "b", "c"]), text),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("values", BAD, ids=["invalid", "halves"])
def test_text_that_is_not_utf8_is_refused(values: list[bytes | None], layout: str, place: str) -> None:
    column = PLACES[place](unchecked(values, *LAYOUTS[layout]))
    row = 2 if values is BAD[0] else 1
    with pytest.raises(ValueError, match=rf'not UTF-8 \(document {row}, path \["t"\]'):
        data_bridge.from_arrow(pa.table({"t": column}))


def test_keys_of_maps_that_are_not_utf8_are_refused() -> None:
    keys = unchecked([b"a", b"\xff"], *LAYOUTS["string"])
    column = pa.MapArray.from_arrays(pa.array([0, 1, 2]), keys, pa.array([1, 2]))
    with pytest.raises(ValueError, match="not UTF-8"):
        data_bridge.from_arrow(pa.table({"t": column}))


def test_what_stands_under_a_null_is_not_looked_at() -> None:
    values = pa.array([b"a", b"\xff", b"\xc3\xa9"], pa.binary())
    _, offsets, data = values.buffers()
    column = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), offsets, data], 1)
    assert data_bridge.from_arrow(pa.table({"t": column})).to_dicts() == [{"t": "a"}, {}, {"t": "é"}]
    # Nor what a slice leaves out.
    text = unchecked([b"\xff", b"b", b"c", b"\xff"], *LAYOUTS["string"])
    assert data_bridge.from_arrow(pa.table({"t": text.slice(1, 2)})).to_dicts() == [{"t": "b"}, {"t": "c"}]


def test_a_null_row_of_an_array_of_structs_is_refused() -> None:
    rows = pa.StructArray.from_arrays([pa.array([1, 2, 3])], ["hidden"], mask=pa.array([False, True, False]))
    for data in (rows, pa.chunked_array([rows])):
        with pytest.raises(ValueError, match=r"row 1 .* is null"):
            data_bridge.from_arrow(data)
    assert data_bridge.from_arrow(rows.slice(2)).to_dicts() == [{"hidden": 3}]


class Same:
    """Gives the same capsules each time, as only the first consumer may use them."""

    def __init__(self, array: pa.RecordBatch) -> None:
        self.capsules = array.__arrow_c_array__()

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.capsules


def test_an_array_that_was_read_already_is_refused() -> None:
    same = Same(pa.record_batch({"a": [1]}))
    assert data_bridge.from_arrow(same).to_dicts() == [{"a": 1}]
    with pytest.raises(ValueError, match="read already"):
        data_bridge.from_arrow(same)


FED_BY_A_THREAD = """
import io
import pyarrow.csv
import data_bridge
lines = b"a,b\\n" + b"1,x\\n" * 1_000_000
reader = pyarrow.csv.open_csv(io.BytesIO(lines), pyarrow.csv.ReadOptions(block_size=1 << 16))
print(len(data_bridge.from_arrow(reader)))
"""


def test_a_stream_may_be_fed_by_a_thread_that_runs_python() -> None:
    # In a process of its own: were it to wait for itself, no timeout in this one would be heard.
    done = subprocess.run(
        [sys.executable, "-c", FED_BY_A_THREAD], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["1000000"]


Spoiled = tuple[pa.Array, Callable[[], None]]
"""An array, and what spoils it: pyarrow looks at some offsets of what it makes, and not again."""


def spoiled(kind: pa.DataType, bad: list[int], size: int, rest: pa.Buffer | pa.Array) -> Spoiled:
    offsets = bytearray(len(bad) * size)
    buffers, children = [None, pa.py_buffer(offsets)], []
    if isinstance(rest, pa.Array):
        children.append(rest)
    else:
        buffers.append(rest)
    array = pa.Array.from_buffers(kind, len(bad) - 1, buffers, children=children)

    def spoil() -> None:
        offsets[:] = b"".join(offset.to_bytes(size, "little", signed=True) for offset in bad)

    return array, spoil


def of_bytes(kind: pa.DataType, *offsets: int, size: int = 4) -> Spoiled:
    return spoiled(kind, [*offsets], size, pa.py_buffer(b"abcdef"))


def list_of(kind: pa.DataType, *offsets: int, size: int = 4) -> Spoiled:
    return spoiled(kind, [*offsets], size, pa.array([1, 2, 3], pa.int32()))


def view_of(length: int, buffer: int, offset: int) -> Spoiled:
    """One text of more than 12 bytes, declared in a buffer of 26."""
    view = bytearray(16)
    data = pa.py_buffer(b"abcdefghijklmnopqrstuvwxyz")
    array = pa.Array.from_buffers(pa.string_view(), 1, [None, pa.py_buffer(view), data])

    def spoil() -> None:
        view[:] = b"".join(number.to_bytes(4, "little") for number in (length, 0, buffer, offset))
        view[4:8] = b"abcd"

    return array, spoil


def keys_of(*keys: int) -> Spoiled:
    stored = bytearray(4 * len(keys))
    indices = pa.Array.from_buffers(pa.int32(), len(keys), [None, pa.py_buffer(stored)])
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]))

    def spoil() -> None:
        stored[:] = b"".join(key.to_bytes(4, "little", signed=True) for key in keys)

    return array, spoil


OUT_OF_BOUNDS = {
    "string, falling": lambda: of_bytes(pa.string(), 0, 5, 2, 6),
    "string, far out and back": lambda: of_bytes(pa.string(), 0, 2_000_000_000, 6),
    "string, negative": lambda: of_bytes(pa.string(), -5, 3, 6),
    "string, all negative": lambda: of_bytes(pa.string(), -6, -5, -4),
    "large string, falling": lambda: of_bytes(pa.large_string(), 0, 1 << 40, 6, size=8),
    "binary, falling": lambda: of_bytes(pa.binary(), 0, 5, 2, 6),
    "large binary, negative": lambda: of_bytes(pa.large_binary(), -1, 2, 6, size=8),
    "list, past its items": lambda: list_of(pa.list_(pa.int32()), 0, 2, 4),
    "list, falling": lambda: list_of(pa.list_(pa.int32()), 0, 3, 1),
    "list, negative": lambda: list_of(pa.list_(pa.int32()), -1, 1, 3),
    "large list, past its items": lambda: list_of(pa.large_list(pa.int32()), 0, 1 << 33, size=8),
    "view of no buffer": lambda: view_of(20, 3, 0),
    "view past its buffer": lambda: view_of(20, 0, 20),
    "view far past its buffer": lambda: view_of(20, 0, 2_000_000_000),
    "dictionary, past its values": lambda: keys_of(0, 7),
    "dictionary, negative": lambda: keys_of(0, -1),
}


@pytest.mark.parametrize("place", ["column", "struct", "list"])
@pytest.mark.parametrize("what", OUT_OF_BOUNDS)
def test_what_points_out_of_its_bounds_is_refused(what: str, place: str) -> None:
    array, spoil = OUT_OF_BOUNDS[what]()
    if place == "struct":
        array = pa.StructArray.from_arrays([array], ["c"])
    elif place == "list":
        array = pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array)
    table = pa.Table.from_arrays([array], ["c"])
    batch = table.to_batches()[0]
    data_bridge.from_arrow(table)
    spoil()
    for data in (table, batch):
        with pytest.raises(ValueError, match=r"[Oo]ffset|view|[Vv]alue|buffer"):
            data_bridge.from_arrow(data).to_dicts()


def test_what_stays_within_them_is_taken_sliced_and_empty() -> None:
    texts = ["a", None, "a text of more than twelve bytes", "", "é" * 20]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        column = pa.array(texts, kind)
        arrays = {
            "c": column,
            "l": pa.array([[text] for text in texts], pa.list_(kind)),
            "s": pa.StructArray.from_arrays([column], ["t"]),
        }
        if kind != pa.string_view():
            arrays["d"] = column.dictionary_encode()
        table = pa.table(arrays)
        for part in (table, table.slice(1, 3), table.slice(2, 0), table.slice(4)):
            rows = data_bridge.from_arrow(part).to_dicts()
            assert [row.get("c") for row in rows] == part["c"].to_pylist()
            assert [row["s"].get("t") for row in rows] == [row["t"] for row in part["s"].to_pylist()]


def test_null_columns_of_polars() -> None:
    """polars gives them a buffer, which the C interface does not have."""
    frame = pl.DataFrame(
        {"a": [None, None, None], "b": [{"c": None, "d": 1}] * 3, "e": [[None], [], [None, None]]},
        schema={"a": pl.Null, "b": pl.Struct({"c": pl.Null, "d": pl.Int64}), "e": pl.List(pl.Null)},
    )
    wanted = [{"b": {"d": 1}, "e": items} for items in ([None], [], [None, None])]
    assert data_bridge.from_arrow(frame).to_dicts() == wanted
    assert data_bridge.from_arrow(frame.slice(1, 2)).to_dicts() == wanted[1:]


class Thing:
    pass


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"n": [1, 2], "things": pl.Series([Thing(), {1, 2}], dtype=pl.Object)}),
        pl.DataFrame({"things": pl.Series([None, Thing()], dtype=pl.Object)}),
        pl.DataFrame({"a": pl.Series([Thing()], dtype=pl.Object)}).rename({"a": "things"}),
        pl.DataFrame({"things": pl.Series([], dtype=pl.Object)}),
    ],
)
def test_objects_of_polars_are_refused_by_column(frame: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'things' is of polars' type Object.*memory addresses"):
        data_bridge.from_arrow(frame)
    rest = frame.drop("things")
    assert data_bridge.from_arrow(rest).to_dicts() == rest.to_dicts()


def test_bytes_as_wide_as_an_address_are_bytes() -> None:
    column = pa.array([b"12345678", None], pa.binary(8))
    assert data_bridge.from_arrow(pa.table({"b": column})).to_dicts() == [{"b": b"12345678"}, {}]
    frame = pl.DataFrame({"b": [b"12345678"], "l": [[1]], "s": [{"x": 1}]})
    assert data_bridge.from_arrow(frame).to_dicts() == frame.to_dicts()
