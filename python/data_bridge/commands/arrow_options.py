"""Options of the writes of Arrow data, and the checks of their target before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import bson
from bson import Binary, DatetimeMS

from .._core import InvalidQuery
from .._typing import Collation, TableSchema
from . import batches, statement
from .options import check_bool, check_option

Path = tuple[str, ...]
"""The keys of a value, from the top level down."""
On = str | Sequence[str | Sequence[str]]
"""A key column, or several; a nested key is a sequence of keys."""
SAMPLED_DOCUMENTS = 100
"""Documents of the target whose types are compared with the key columns."""


class ArrowWriteKeywords(TypedDict, total=False):
    """Keyword arguments that all writes of Arrow data take."""

    ordered: bool
    parallel: int
    schema: TableSchema | None
    on_conflict: str
    rounding: str | Sequence[str]
    unflatten: bool
    check_keys: bool
    on_error: str
    bypass_document_validation: bool | None
    comment: Any


class ArrowWriteOptions:
    """The options of one write."""

    def __init__(
        self,
        operation: str,
        keywords: ArrowWriteKeywords,
        *,
        on: On = (),
        many: bool = False,
        nested: str = "merge",
        nulls: str = "keep",
        on_duplicate: str = "error",
        ignore_duplicates: bool = False,
        collation: Collation | None = None,
    ) -> None:
        """
        Raises
        ------
        TypeError, ValueError
            For an argument that is not supported.
        """
        unknown = [name for name in keywords if name not in ArrowWriteKeywords.__annotations__]
        if unknown:
            raise TypeError(f"{operation}_arrow() has no argument {unknown[0]!r}")
        self.operation = operation
        self.on = key_paths(on)
        self.many = check_bool("many", many)
        self.nested = _one_of("nested", nested, ("merge", "replace"))
        self.nulls = _one_of("nulls", nulls, ("keep", "omit", "unset"))
        self.on_duplicate = _one_of("on_duplicate", on_duplicate, ("error", "last"))
        self.ignore_duplicates = check_bool("ignore_duplicates", ignore_duplicates)
        self.collation = None if collation is None else check_option("collation", collation)
        self.schema = keywords.get("schema")
        self.on_conflict = _one_of("on_conflict", keywords.get("on_conflict", "error"), ("error", "null"))
        rounding = keywords.get("rounding", ())
        self.rounding = [rounding] if isinstance(rounding, str) else list(rounding)
        self.check_keys = check_bool("check_keys", keywords.get("check_keys", True))
        self.unflatten = check_bool("unflatten", keywords.get("unflatten", False))
        self.on_error = _one_of("on_error", keywords.get("on_error", "raise"), ("raise", "collect"))
        self.shared = {
            "bypassDocumentValidation": keywords.get("bypass_document_validation"),
            "comment": keywords.get("comment"),
        }
        # The server stops an ordered command at a duplicate that is to be ignored.
        self.ordered = check_bool("ordered", keywords.get("ordered", True)) and not self.ignore_duplicates
        self.parallel = keywords.get("parallel", 1)
        if not isinstance(self.parallel, int) or isinstance(self.parallel, bool) or self.parallel < 1:
            raise ValueError(f"parallel must be a positive int, got {self.parallel!r}")
        if self.parallel > 1 and self.ordered:
            raise ValueError("parallel commands have no order: pass ordered=False")

    @property
    def kind(self) -> str:
        """The name of the server's command."""
        return self.operation if self.operation in ("insert", "delete") else "update"

    @property
    def upserts(self) -> bool:
        """Return whether it inserts a document where none matches."""
        return self.operation in ("upsert", "replace_or_insert")

    def native(self, head: bytes, retry: bool) -> dict[str, Any]:
        """The options of `Client.write_arrow`."""
        repeated = "any"
        if self.on:
            repeated = "refuse" if self.on_duplicate == "error" else "in_order"
        elements = b""
        if self.collation is not None:
            elements = bson.encode({"collation": self.collation})[4:-1]
        return {
            "operation": self.operation,
            "head": head,
            "on": [list(path) for path in self.on],
            "many": self.many,
            "nested": self.nested,
            "nulls": self.nulls,
            "on_conflict": self.on_conflict,
            "rounding": self.rounding,
            "statement_elements": elements,
            "repeated_keys": repeated,
            "ignore_duplicates": self.ignore_duplicates,
            "ordered": self.ordered,
            "parallel": self.parallel,
            "max_statements": batches.MAX_STATEMENTS,
            "max_document_bytes": statement.MAX_DOCUMENT_BYTES,
            # A command that changes many documents may be executed twice if it is sent twice.
            "retry": retry and not self.many,
            "unflatten": self.unflatten,
        }


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {value!r}")
    return value


def key_paths(on: On) -> list[Path]:
    """The paths of key columns.

    Raises
    ------
    TypeError, ValueError
        For a value that names no key.
    """
    given = [on] if isinstance(on, str) else list(on)
    paths: list[Path] = []
    for each in given:
        path = (each,) if isinstance(each, str) else tuple(each) if isinstance(each, Sequence) else ()
        if not path or not all(isinstance(key, str) for key in path):
            raise TypeError(f"a key of on= is a name or a sequence of names, got {each!r}")
        for key in path:
            if "." in key or key.startswith("$"):
                raise ValueError(
                    f"on={key!r} cannot be a key: the server takes its dots for a path. A nested key is a sequence, "
                    f"{tuple(key.split('.'))!r}"
                )
        if path in paths:
            raise ValueError(f"on= names the key {each!r} twice")
        paths.append(path)
    return paths


def values_at(documents: Iterable[Mapping[str, Any]], path: Path) -> list[Any]:
    """The values at a path; a document without one has none, and neither null."""
    found = []
    for document in documents:
        value: Any = document
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found.append(value)
    return found


_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "binary": (bytes,),
    "date": (datetime, DatetimeMS),
}
"""The values that a plain column of each kind equals."""

_AMBIGUOUS = frozenset({"text", "binary"})
"""Kinds that stand for values of several types in plain tables and in engines."""


def is_checked(kind: str, inserts: bool) -> bool:
    """Return whether keys of a kind are compared with the target's: all but those of an insert that mean one type."""
    return kind in _AMBIGUOUS or not inserts


def check_key_type(path: Path, kind: str, sampled: Iterable[Mapping[str, Any]], namespace: str, inserts: bool) -> None:
    """Refuse a plain column for a key that the target stores as another type: it would match no document.

    All sampled values must be of an ambiguous kind; for an insert, and of another kind, one of them. See `is_checked`.

    Raises
    ------
    InvalidQuery
        With the types that the target stores.
    """
    values = values_at(sampled, path)
    others = [value for value in values if _kind(value) != kind]
    some_fit = len(others) < len(values)
    if not others or (some_fit and (inserts or kind not in _AMBIGUOUS)):
        return
    kinds = sorted({type(value).__name__ for value in others})
    key = ".".join(path)
    named = f"pass schema={{{key!r}: {kinds[0]}}}, or" if len(kinds) == 1 and len(path) == 1 else "pass"
    raise InvalidQuery(
        f"the key column {key!r} is {kind}, but {namespace} stores {' and '.join(kinds)} there, and no {kind} would "
        f"equal them. The type was lost on the way: {named} the schema of a query of this collection as schema=; "
        f"check_keys=False writes {kind}"
    )


def _kind(value: object) -> str:
    """The kind of plain columns that hold a value; empty for none."""
    if type(value) is Binary:
        # Of another subtype than that of bytes.
        return ""
    return next((kind for kind, types in _TYPES.items() if isinstance(value, types)), "")


def check_key_order(path: Path, names: Sequence[str], sampled: Iterable[Mapping[str, Any]], namespace: str) -> None:
    """Refuse a struct for a key whose documents have their keys in another order: servers compare it.

    Raises
    ------
    InvalidQuery
        With the order of a sampled document.
    """
    for value in values_at(sampled, path):
        if not isinstance(value, Mapping):
            continue
        stored = [key for key in value if key in names]
        if stored != [name for name in names if name in value]:
            raise InvalidQuery(
                f"{namespace} stores documents with the keys {list(value)!r} at {'.'.join(path)!r}, and the struct of "
                "the data has another order of them, so no row would equal these: read the data with "
                "to_arrow(shapes=True), which keeps the order. check_keys=False writes the order of the data"
            )


def check_dotted_name(name: str, sampled: Iterable[Mapping[str, Any]], namespace: str) -> None:
    """Refuse a column whose name is a path in the target: it would be written beside that path.

    Raises
    ------
    InvalidQuery
        When a sampled document has a value at that path.
    """
    path = tuple(name.split("."))
    if all(path) and values_at((each for each in sampled if name not in each), path):
        raise InvalidQuery(
            f"the column {name!r} would be written as one key with a dot in it, but documents of {namespace} have a "
            f"value at the path {path!r}. unflatten=True makes structs of such columns; check_keys=False writes the key"
        )


def usable_index(
    indexes: Iterable[Mapping[str, Any]],
    on: Sequence[Path],
    collation: Mapping[str, Any] | None,
    default: Mapping[str, Any] | None,
) -> bool:
    """Return whether an index lets each key match one document at most, also while other writers upsert.

    Parameters
    ----------
    collation, default
        The collation of the operation, and that of the collection.
    """
    keys = {".".join(path) for path in on}
    wanted = default if collation is None else collation
    for index in indexes:
        plain = index.get("unique") and not any(index.get(name) for name in ("sparse", "hidden"))
        if not plain or "partialFilterExpression" in index:
            continue
        if not keys.issuperset(index["key"]) or any(kind not in (1, -1) for kind in index["key"].values()):
            continue
        stored = index.get("collation")
        same = (not wanted and not stored) or (
            bool(wanted)
            and bool(stored)
            and all((stored or {}).get(name) == value for name, value in (wanted or {}).items())
        )
        if same:
            return True
    return False
