"""Draw the picture of the README: a program and the table that it returns.

`python examples/orders.py` loads the orders, and `python examples/picture.py docs/result.svg` draws. Equal orders give
equal pictures.
"""

from __future__ import annotations

import argparse
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl

import orders as demo_data

PROGRAM = """\
from data_bridge import MongoClient

orders = MongoClient(uri)["data_bridge_demo"]["orders"]
query = orders.find({"status": "paid"}, {"_id": 0}, sort=[("placed", 1)])
frame = query.to_polars()
"""
ROWS = 6
WIDEST = 22  # maximum characters of a cell

# Of a monospaced font of 13 pixels.
CHARACTER, LINE, MARGIN, GAP = 7.85, 20, 20, 18
STYLE = """\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; }
.dtype, .note { fill: #6e7781; }
.name { font-weight: bold; }
.null { fill: #9a6700; }"""


def shown(value: Any) -> str:
    """Return the text of a cell, shortened to the width of its column."""
    if value is None:
        return "null"
    if isinstance(value, dt.datetime):
        text = f"{value:%Y-%m-%d %H:%M}"
    elif isinstance(value, Decimal | int | float):
        text = str(value)
    elif isinstance(value, dict):
        text = "{" + ", ".join(shown(each) for each in value.values()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(shown(each) for each in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def dtype_name(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Struct):
        return f"struct[{len(dtype.fields)}]"
    if isinstance(dtype, pl.List):
        return f"list[{dtype_name(dtype.inner)}]"  # type: ignore[arg-type]
    if isinstance(dtype, pl.Datetime):
        return f"datetime[{dtype.time_unit}, {dtype.time_zone}]"
    if isinstance(dtype, pl.Decimal):
        return f"decimal[{dtype.precision}, {dtype.scale}]"
    return str(dtype).replace("String", "str").lower()


def draw(program: str, frame: pl.DataFrame) -> str:
    """Return an SVG document with the program, the first rows of its table, and the table's size."""
    drawn: list[str] = []

    def write(x: float, y: float, text: str, style: str = "", end: bool = False) -> None:
        anchor = ' text-anchor="end"' if end else ""
        kind = f' class="{style}"' if style else ""
        drawn.append(f'<text x="{x:.1f}" y="{y:.1f}"{kind}{anchor} xml:space="preserve">{escape(text)}</text>')

    y = float(MARGIN + 13)
    for line in program.rstrip().splitlines():
        write(MARGIN, y, line)
        y += LINE
    code_ends = y - LINE / 2
    y += LINE

    head = frame.head(ROWS)
    x = float(MARGIN)
    for name, dtype in head.schema.items():
        cells = [shown(value) for value in head[name].to_list()]
        width = max(map(len, [name, dtype_name(dtype), *cells])) * CHARACTER
        number = dtype.is_numeric()
        edge = x + width if number else x
        write(edge, y, name, "name", number)
        write(edge, y + LINE, dtype_name(dtype), "dtype", number)
        for row, cell in enumerate(cells):
            write(edge, y + LINE * (row + 2.4), cell, "null" if cell == "null" else "", number)
        x += width + GAP
    full = x - GAP + MARGIN
    rule = y + LINE * 1.45
    drawn.append(f'<path d="M{MARGIN} {rule:.1f}H{full - MARGIN:.1f}" stroke="#d0d7de"/>')
    y += LINE * (len(head) + 2.6)
    write(MARGIN, y, f"{frame.height:,} rows, {frame.width} columns", "note")
    height = y + MARGIN
    border = f'width="{full - 1:.0f}" height="{height - 1:.0f}" stroke="#d0d7de"'
    code = f'width="{full - 1:.0f}" height="{code_ends:.0f}" fill="#f6f8fa"'
    title = "A query and the polars table that it gives"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full:.0f} {height:.0f}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" rx="8" fill="#fff" {border}/>',
            f'<rect x="0.5" y="0.5" rx="8" {code}/>',
            *drawn,
            "</svg>\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="the SVG file to write")
    names: dict[str, Any] = {"uri": demo_data.URI}
    file = parser.parse_args().file
    exec(compile(PROGRAM, "picture", "exec"), names)
    file.write_text(draw(PROGRAM, names["frame"]), encoding="utf-8")
    print(f"{file}: {names['frame'].height:,} rows drawn")


if __name__ == "__main__":
    main()
