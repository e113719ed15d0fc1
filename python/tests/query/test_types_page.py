"""Compares docs/types.md, for each type under each argument, with the columns of tables."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from strategies import framed, one_of_each, string

import data_bridge

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
DEFAULTS = {
    "objectid": "extension",
    "uuid": "extension",
    "decimal": "extension",
    "mixed": "extension",
    "strings": "utf8",
}
TEXT = (0x02, string("x"))
# What one_of_each() calls the rows of the table that are not called the same.
NAMES = {
    "binary of subtype 0": "binary",
    "binary of subtype 4": "uuid",
    "binary of another subtype": "user binary",
    "ObjectId": "object id",
    "javascript": "code",
    "javascript with scope": "code with scope",
}
# Those with strings in them, which strings= is to reach.
NESTED = {
    'document `{"a": "x"}`': (0x03, framed([(TEXT[0], "a", TEXT[1])])),
    'list `["x"]`': (0x04, framed([(TEXT[0], "0", TEXT[1])])),
}
MIXED = "several types (mixed)"


def table_of_the_page() -> tuple[list[str], dict[str, tuple[str, dict[tuple[str, str], str]]]]:
    """The options, and for each row its type by default and under (option, value)."""
    section = PAGE.split("## Other representations")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    header, _, *rows = rows
    options = [cell.strip("`=") for cell in header[2:]]
    found = {}
    for name, default, *cells in rows:
        others = {}
        for option, cell in zip(options, cells, strict=True):
            entries = re.findall(r'`"([^`]+)"`: `([^`]+)`', cell)
            # Nothing in a cell goes unread.
            assert cell == "; ".join(f'`"{value}"`: `{kind}`' for value, kind in entries)
            others.update({(option, value): kind for value, kind in entries})
        found[name] = (default.strip("`"), others)
    return options, found


OPTIONS, ROWS = table_of_the_page()
VALUES = sorted({key for _, others in ROWS.values() for key in others} | set(DEFAULTS.items()))


def documents_of(row: str) -> bytes:
    if row == MIXED:
        return framed([(0x10, "x", b"\1\0\0\0")]) + framed([(TEXT[0], "x", TEXT[1])])
    kind, value = example_of(row)
    return framed([(kind, "x", value)])


def example_of(row: str) -> tuple[int, bytes]:
    """Type byte and bytes."""
    return NESTED[row] if row in NESTED else one_of_each()[NAMES.get(row, row.lower())]


def test_the_page_has_every_type_and_option() -> None:
    shown = {example_of(row)[0] for row in ROWS if row != MIXED}
    assert shown == {*range(0x01, 0x14), 0x7F, 0xFF}, "all 21 types"
    assert {*NAMES, *NESTED, MIXED} <= set(ROWS)
    assert list(DEFAULTS) == OPTIONS
    for option in OPTIONS:
        with pytest.raises(ValueError, match=f"{option} must be") as refused:
            data_bridge.read_bson(b"", **{option: "guess"})
        # The code accepts the values of the page; a type given as text stands for all types.
        taken = re.findall(r'"([^"]+)"', str(refused.value).split(", got")[0])
        assert sorted(taken) == sorted(value for name, value in VALUES if name == option)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(("option", "value"), VALUES)
def test_what_leaves_is_what_the_page_says(row: str, option: str, value: str) -> None:
    default, others = ROWS[row]
    expected = f"x: {others.get((option, value), default)}"
    query = data_bridge.read_bson(documents_of(row), **{option: value})
    assert repr(query.schema()) == expected
    assert repr(query.read().schema) == expected
    with query.stream() as stream:
        assert repr(stream.schema) == expected
        for batch in stream:
            pa.record_batch(batch).validate(full=True)
    table = query.to_arrow()
    table.validate(full=True)
