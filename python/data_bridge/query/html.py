"""HTML of queries, results, documents and reports for notebooks. Nothing is run; text from data is escaped.

Colours are those of the page, so that the fragments are readable on light and dark backgrounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from bson import Decimal128
from bson.errors import BSONError

from .._core import Document, ListView, NativeTableOptions, ResultData, Schema
from ..errors import DataBridgeError
from .report import Report, path_text, types_text
from .value_text import cut, short_text

_ROWS = 10
_COLUMNS = 20
_WIDTH = 80
_NESTED_WIDTH = 50
_REQUEST_WIDTH = 1_000
_ITEMS = 50
"""Fields of a document, and items of a list, that are shown at one level."""
_FIELDS = 300
"""Fields and items that are shown of all that is nested in a document."""
_DEPTH = 8

_STYLE = """<style>
.data-bridge { overflow-x: auto }
.data-bridge table { border-collapse: collapse; border: 0; margin: 0.3em 0; color: inherit; font: inherit;
  font-variant-numeric: tabular-nums }
.data-bridge tr { background: none }
.data-bridge th, .data-bridge td { padding: 0.15em 0.7em; border: 0; border-bottom: 1px solid rgba(128, 128, 128, 0.3);
  text-align: left; vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; max-width: 60em }
.data-bridge thead th { border-bottom-width: 2px; vertical-align: bottom }
.data-bridge tbody th, .data-bridge .rows th, .data-bridge .rows td { white-space: nowrap; overflow-wrap: normal }
.data-bridge .number { text-align: right }
.data-bridge .type { display: block; font-weight: normal; font-size: 85% }
.data-bridge .type, .data-bridge .note { opacity: 0.65 }
.data-bridge p { margin: 0.3em 0 }
.data-bridge summary { cursor: pointer }
.data-bridge pre { background: none; color: inherit; white-space: pre-wrap }
.data-bridge .code { font-family: monospace }
</style>"""

_TYPES = {
    "Utf8": "string",
    "LargeUtf8": "string",
    "Utf8View": "string",
    "Float64": "double",
    "Float32": "float",
    "Boolean": "bool",
    "Binary": "binary",
    'Timestamp(ms, "UTC")': "date",
}
_STORED_TYPES = {"uuid": "UUID", "json": "JSON", "objectid": "ObjectId", "decimal128": "Decimal128"}
_STORED_TYPE = re.compile(r" \((?:\w+\.)?(\w+)\)\Z")
"""An extension name or a stored type behind the type of a column."""
_LIST = re.compile(r"(?:Large|FixedSize)?List\((.*)\)\Z", re.DOTALL)


def _fragment(*parts: str) -> str:
    return f'<div class="data-bridge">{_STYLE}{"".join(parts)}</div>'


def page(data: ResultData, form: NativeTableOptions | None, report: Report) -> str:
    """The first rows, schema and report of a result."""
    try:
        schema: Schema | DataBridgeError = data.schema(form)
    except DataBridgeError as error:
        schema = error
    return _fragment(
        f"<p><strong>Result: {len(data):,} documents</strong></p>",
        _table(data, {} if isinstance(schema, DataBridgeError) else _column_types(schema)),
        _details("schema", f"<pre>{escape(_schema_text(schema))}</pre>"),
        _details("report", _report(report)),
    )


def query(title: str, request: Mapping[str, object], schema: Schema | None) -> str:
    """The parts of a request, by name, and the schema that the caller passed."""
    rows = [(name, _request_text(value)) for name, value in request.items()]
    if schema is not None:
        rows.append(("schema", _lines(_schema_text(schema).splitlines())))
    body = "".join(f'<tr><th>{escape(name)}</th><td class="code">{text}</td></tr>' for name, text in rows)
    table = f"<table><tbody>{body}</tbody></table>" if rows else ""
    note = '<p class="note">Not run by this view. read(), to_polars(), iteration and the like run it.</p>'
    return _fragment(f"<p><strong>{escape(title)}</strong></p>", table, note)


def document(of: Document) -> str:
    """The fields of a document; nested ones open by a click."""
    return _fragment(_fields(of, _Rest(_FIELDS), _DEPTH))


def report(of: Report) -> str:
    """A report: its numbers, and a row for each path."""
    return _fragment(_report(of))


def _report(of: Report) -> str:
    summary = "".join(f"<p>{escape(line)}</p>" for line in of.summary())
    if not of.paths:
        return summary
    head = "".join(f"<th>{name}</th>" for name in ("path", "action", "types", "count", "first _id"))
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cut(cell, _WIDTH))}</td>' for cell in _entry(entry))}</tr>" for entry in of.paths
    )
    return f"{summary}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _entry(entry: Mapping[str, Any]) -> list[str]:
    first = entry.get("first_id")
    return [
        path_text(entry),
        entry.get("action", "changed"),
        types_text(entry),
        f"{entry.get('count', 0):,}",
        "" if first is None else short_text(first, _WIDTH),
    ]


def _details(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"


def _table(data: ResultData, types: Mapping[str, str]) -> str:
    rows = list(data.documents(0, min(_ROWS, len(data))))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    shown = columns[:_COLUMNS]
    head = "".join(f"<th>{escape(cut(column, _WIDTH))}{_type(types.get(column))}</th>" for column in shown)
    body = "".join(f"<tr>{''.join(_cell(row, column) for column in shown)}</tr>" for row in rows)
    more = []
    if len(data) > len(rows):
        more.append(f"{len(data) - len(rows):,} more rows")
    if len(columns) > len(shown):
        more.append(f"{len(columns) - len(shown):,} more columns")
    foot = f'<p class="note">{", ".join(more)}</p>' if more else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="rows">{table}</div>{foot}'


def _type(name: str | None) -> str:
    return "" if name is None else f'<span class="type">{escape(cut(name, _WIDTH))}</span>'


def _cell(row: Document, column: str) -> str:
    if column not in row:
        return "<td></td>"
    value = _value(row, column)
    width = _NESTED_WIDTH if isinstance(value, (Document, ListView)) else _WIDTH
    return f"<td{_class(value)}>{_text(value, width)}</td>"


def _value(container: Any, key: Any) -> object:
    try:
        return container[key]
    except (ValueError, OverflowError, BSONError, DataBridgeError) as error:
        return error  # by the codec options of the read, which refuse such a value


def _class(value: object) -> str:
    if value is None or isinstance(value, Exception):
        return ' class="note"'
    is_number = isinstance(value, (int, float, Decimal128)) and not isinstance(value, bool)
    return ' class="number"' if is_number else ""


def _text(value: object, width: int = _WIDTH) -> str:
    if isinstance(value, Exception):
        return escape(type(value).__name__)
    try:
        return escape(short_text(value, width))
    except (ValueError, OverflowError, BSONError, DataBridgeError) as error:
        return escape(type(error).__name__)


class _Rest:
    """The number of nested fields that may still be shown."""

    def __init__(self, count: int) -> None:
        self._count = count

    def take(self, count: int) -> bool:
        """Return whether so many more fields may be shown."""
        if count > self._count:
            return False
        self._count -= count
        return True


def _fields(of: Document | ListView | dict[str, Any] | list[Any], rest: _Rest, depth: int) -> str:
    keys: Iterable[Any] = of if isinstance(of, (Document, dict)) else range(len(of))
    rows = []
    for position, key in enumerate(keys):
        if position == _ITEMS:
            rows.append(f'<tr><th></th><td class="note">{len(of) - position:,} more</td></tr>')
            break
        value = _value(of, key)
        rows.append(f"<tr><th>{escape(cut(str(key), _WIDTH))}</th><td>{_nested(value, rest, depth)}</td></tr>")
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _nested(value: object, rest: _Rest, depth: int) -> str:
    if isinstance(value, (Document, dict, list)) and depth:
        count = min(len(value), _ITEMS)
        if count and rest.take(count):
            return _details(_text(value), _fields(value, rest, depth - 1))
    return f"<span{_class(value)}>{_text(value, _REQUEST_WIDTH)}</span>"


def _request_text(value: object) -> str:
    # Each stage of a pipeline has its line.
    if isinstance(value, ListView):
        return _lines(short_text(item, _REQUEST_WIDTH) for item in value[:_ITEMS])
    return _text(value, _REQUEST_WIDTH)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"<div>{escape(cut(line, _REQUEST_WIDTH))}</div>" for line in lines)


def _schema_text(schema: Schema | DataBridgeError) -> str:
    return repr(schema) if isinstance(schema, Schema) else f"{type(schema).__name__}: {schema}"


def _column_types(schema: Schema) -> dict[str, str]:
    """Return the types of columns in words; the schema as a whole has the exact ones."""
    return {name: _readable(kind) for name, kind in _lines_of(schema)}


def _lines_of(schema: Schema) -> Iterator[tuple[str, str]]:
    text = repr(schema) + "\n"
    names = schema.names
    for name, following in zip(names, [*names[1:], None], strict=True):
        start = len(name) + 2
        end = len(text) if following is None else text.find(f"\n{following}: ", start) + 1
        yield name, text[start:end].rstrip("\n")
        text = text[end:]


def _readable(kind: str) -> str:
    if stored := _STORED_TYPE.search(kind):
        return _STORED_TYPES.get(stored[1], stored[1])
    if inner := _LIST.match(kind):
        return f"list of {_readable(inner[1])}"
    for prefix, name in (("Struct(", "document"), ("Map(", "map"), ("Timestamp(", "date")):
        if kind.startswith(prefix):
            return name
    return _TYPES.get(kind, kind.lower())
