"""HTML of a result for notebooks: schema, first rows, report. Only documents that were read are shown."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from .._core import NativeTableOptions, ResultData
from ..errors import DataBridgeError
from .report import Report, path_text, types_text

_ROWS = 10
_COLUMNS = 20
_WIDTH = 80


def page(data: ResultData, form: NativeTableOptions | None, report: Report) -> str:
    """The result as an HTML fragment; everything that comes from data is escaped."""
    parts = [f"<p>Result: {len(data):,} documents</p>", _table(data), _schema(data, form)]
    parts.append(f"<details><summary>report</summary>{report._repr_html_()}</details>")
    return f"<div>{''.join(parts)}</div>"


def report(of: Report) -> str:
    """A report as an HTML fragment: a row for each path."""
    summary = "".join(f"<p>{escape(line)}</p>" for line in of.summary())
    if not of.paths:
        return f"<div>{summary}</div>"
    head = "".join(f"<th>{name}</th>" for name in ("path", "what", "types", "count", "first _id"))
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_short(cell))}</td>' for cell in _entry(entry))}</tr>" for entry in of.paths
    )
    return f"<div>{summary}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _entry(entry: Mapping[str, Any]) -> list[str]:
    first = entry.get("first_id")
    return [
        path_text(entry),
        entry.get("action", "changed"),
        types_text(entry),
        f"{entry.get('count', 0):,}",
        "" if first is None else repr(first),
    ]


def _table(data: ResultData) -> str:
    rows = list(data.documents(0, min(_ROWS, len(data))))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    shown = columns[:_COLUMNS]
    head = "".join(f"<th>{escape(_short(column))}</th>" for column in shown)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row[column]) if column in row else ''}</td>" for column in shown) + "</tr>"
        for row in rows
    )
    more = []
    if len(data) > len(rows):
        more.append(f"{len(data) - len(rows):,} more rows")
    if len(columns) > len(shown):
        more.append(f"{len(columns) - len(shown):,} more columns")
    foot = f"<p>{', '.join(more)}</p>" if more else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _schema(data: ResultData, form: NativeTableOptions | None) -> str:
    try:
        text = repr(data.schema(form))
    except DataBridgeError as error:
        text = f"{type(error).__name__}: {error}"
    return f"<details><summary>schema</summary><pre>{escape(text)}</pre></details>"


def _cell(value: object) -> str:
    return escape(_short(value if isinstance(value, str) else repr(value)))


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "\N{HORIZONTAL ELLIPSIS}"
