"""The types that engines compute with: the layout of a table that needs no conversion in each."""

from __future__ import annotations

from typing import NamedTuple


class EngineTypes(NamedTuple):
    """The Arrow types that an engine stores as they come. The page docs/engines.md shows the table."""

    strings: str
    """The layout of text: "utf8", "large" or "view"."""
    timestamp_units: tuple[str, ...]
    """Units of timestamps that it keeps; dates of MongoDB are milliseconds."""
    decimal_digits: int
    """The most digits of a decimal."""
    null_columns: bool
    """True if it takes columns of Arrow's null type."""
    extension_types: bool
    """True if it keeps unknown extension types: others need `types="plain"`."""
    unsigned: bool = True
    """True if it has unsigned ints."""


ENGINE_TYPES = {
    "polars": EngineTypes("view", ("ms", "us", "ns"), 38, True, True),
    "duckdb": EngineTypes("utf8", ("s", "ms", "us", "ns"), 38, True, False),
    "datafusion": EngineTypes("utf8", ("s", "ms", "us", "ns"), 38, True, True),
    "spark": EngineTypes("utf8", ("us",), 38, True, False, unsigned=False),
    "ray": EngineTypes("utf8", ("s", "ms", "us", "ns"), 38, True, True),
    "dask": EngineTypes("utf8", ("s", "ms", "us", "ns"), 38, True, False),
}
"""The types of each engine, by its name."""
