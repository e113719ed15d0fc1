"""The options of a table, and those of a run: schema, storage of types, deadline, progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from .._core import Codec, NativeTableOptions, Schema
from ..connection.settings import DEFAULT_TYPES
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
    types: str | None
    objectid: str | None
    uuid: str | None
    decimal: str | None
    mixed: str | None
    strings: str | None
    flatten: bool


class TableOptions(NamedTuple):
    """The schema of a table, the handling of values that do not fit it, and the storage of types.

    The names and defaults of these options stand here only. `NativeTableOptions` checks their values. Without `types`,
    those of the collection count; a switch such as `objectid` overrides them.
    """

    schema: TableSchema | None = None
    on_conflict: str = "error"
    types: str | None = None
    objectid: str | None = None
    uuid: str | None = None
    decimal: str | None = None
    mixed: str | None = None
    strings: str | None = None
    flatten: bool = False

    @classmethod
    def take(cls, keywords: dict[str, Any]) -> TableOptions:
        """Remove the options of a table from keyword arguments, and return them."""
        given = {name: keywords.pop(name) for name in cls._fields if name in keywords} if keywords else None
        return cls(**given) if given else _DEFAULT

    def form(self, codec: Codec, types: str = DEFAULT_TYPES) -> NativeTableOptions:
        """Return the native counterpart.

        Parameters
        ----------
        codec
            Its UUID representation counts for tables, too.
        types
            The collection's.

        Raises
        ------
        TypeError, ValueError
            For a schema or a value that is not supported.
        """
        if self is _DEFAULT:
            key = types, codec.uuid_representation
            form = _DEFAULT_FORMS.get(key)
            if form is None:
                form = _DEFAULT_FORMS[key] = self._native(codec, types)
            return form
        form = self._native(codec, types)
        return form if self.schema is None else form.with_schema(native_schema(self.schema))

    def _native(self, codec: Codec, types: str) -> NativeTableOptions:
        options = self._asdict()
        del options["schema"]
        if self.types is None:
            options["types"] = types
        for name, value in options.items():
            # Before Python 3.11 the native module's error does not name the argument.
            kind = bool if name == "flatten" else str
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
        return NativeTableOptions(**options, codec=codec)


class ReadOptions(NamedTuple):
    """Options of the client side of a query: the table, the deadline and the progress."""

    form: NativeTableOptions
    timeout: float | None
    progress: progress_.Progress
    table: TableOptions
    """The options that `form` was made of."""

    @classmethod
    def check(
        cls,
        table: TableOptions,
        timeout: float | None,
        progress: Progress,
        codec: Codec,
        types: str = DEFAULT_TYPES,
    ) -> ReadOptions:
        """Return the options in their native form; `codec` and `types` as for `TableOptions.form`.

        Raises
        ------
        TypeError, ValueError
            For a value that is not supported.
        """
        return cls(table.form(codec, types), check_timeout(timeout), progress_.check(progress), table)


def native_schema(schema: object) -> Schema | Mapping[str, Any]:
    """Return the schema that a caller passed as a native schema, or as a mapping of names to types.

    Raises
    ------
    TypeError
        For an object that is neither.
    """
    if isinstance(schema, (Schema, Mapping)):
        return schema
    if hasattr(schema, "__arrow_c_schema__"):
        return Schema.from_arrow(schema)
    if any(kind.__module__ == "pymongoarrow.schema" for kind in type(schema).__mro__):
        mapping: Mapping[str, Any] = schema.typemap  # type: ignore[attr-defined]  # names to pyarrow's types
        return mapping
    raise TypeError(
        "schema must be a mapping of names to types, have __arrow_c_schema__ (a pyarrow.Schema, say), or be a "
        "pymongoarrow.schema.Schema, "
        f"got {type(schema).__name__}"
    )


_DEFAULT = TableOptions()
_DEFAULT_FORMS: dict[tuple[str, int], NativeTableOptions] = {}
"""The default options by types and UUID representation; immutable, so shared."""
