"""The options of a table, and those of a run: schema, storage of types, deadline, progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from .._core import NativeTableOptions, Schema
from ..connection.uri import check_timeout
from . import progress as progress_

if TYPE_CHECKING:
    from .._typing import Progress, TableSchema

DEFAULT_INFER_ROWS = 10_000
"""Documents from which a stream infers its schema when the query has none."""


class TableKeywords(TypedDict, total=False):
    """Keyword arguments of the calls that make a `TableOptions`."""

    schema: TableSchema | None
    on_conflict: str
    objectid: str
    uuid: str
    decimal: str
    mixed: str
    strings: str


class TableOptions(NamedTuple):
    """The schema of a table, the handling of values that do not fit it, and the storage of types.

    The names and defaults of these options stand here only. `NativeTableOptions` checks their values.
    """

    schema: TableSchema | None = None
    on_conflict: str = "error"
    objectid: str = "extension"
    uuid: str = "extension"
    decimal: str = "extension"
    mixed: str = "extension"
    strings: str = "utf8"

    @classmethod
    def take(cls, keywords: dict[str, Any]) -> TableOptions:
        """Remove the options of a table from keyword arguments, and return them."""
        given = {name: keywords.pop(name) for name in cls._fields if name in keywords} if keywords else None
        return cls(**given) if given else _DEFAULT

    def form(self) -> NativeTableOptions:
        """Return the native counterpart.

        Raises
        ------
        TypeError, ValueError
            For a schema or a value that is not supported.
        """
        if self is _DEFAULT or (self.schema is None and self == _DEFAULT):
            return _DEFAULT_FORM
        return NativeTableOptions(**{**self._asdict(), "schema": native_schema(self.schema)})


class ReadOptions(NamedTuple):
    """Options of the client side of a query: the table, the deadline and the progress."""

    form: NativeTableOptions
    timeout: float | None
    progress: progress_.Progress

    @classmethod
    def check(cls, table: TableOptions, timeout: float | None, progress: Progress) -> ReadOptions:
        """Return the options in their native form.

        Raises
        ------
        TypeError, ValueError
            For a value that is not supported.
        """
        return cls(table.form(), check_timeout(timeout), progress_.check(progress))


def native_schema(schema: TableSchema | None) -> Schema | None:
    """Convert the schema that a caller passed.

    Raises
    ------
    TypeError
        For an object that is no schema, and for a mapping with a type that is not supported.
    ValueError
        For a mapping that describes a column that cannot exist.
    """
    if schema is None or isinstance(schema, Schema):
        return schema
    if hasattr(schema, "__arrow_c_schema__"):
        return Schema.from_arrow(schema)
    if isinstance(schema, Mapping):
        return Schema.from_mapping(schema)
    if any(kind.__module__ == "pymongoarrow.schema" for kind in type(schema).__mro__):
        return Schema.from_mapping(schema.typemap)  # a mapping of names to pyarrow's types
    raise TypeError(
        "schema must be a mapping of names to types, have __arrow_c_schema__ (a pyarrow.Schema, say), or be a "
        "pymongoarrow.schema.Schema, "
        f"got {type(schema).__name__}"
    )


_DEFAULT = TableOptions()
_DEFAULT_FORM = NativeTableOptions(**_DEFAULT._asdict())
"""The default options; immutable, so shared."""
