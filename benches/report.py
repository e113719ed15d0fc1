"""Figures as tables: for a terminal, and as a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from figures import Figures, ShapeFigures, provenance
from registry import is_floor

OURS = "data_bridge"


def rows(shape: ShapeFigures, group: str) -> list[tuple[str, ...]]:
    """Return reader, multiple of the socket, wall, spread, CPU, peak MB and documents per second of a group's readers,
    the fastest first."""
    floor, each_call = shape.floor(group), shape.calls.get(group, 1) > 1
    found: list[tuple[str, ...]] = []
    for reader, each in shape.medians(group).items():
        rate = "" if each_call else f"{floor.results / each.wall:,.0f}"
        found.append(
            (
                reader,
                f"{each.wall / floor.wall:.2f}",
                time(each.wall, each_call),
                f"{shape.spread(group, reader):.0%}",
                time(each.cpu, each_call),
                f"{each.memory:.0f}",
                rate,
            )
        )
    return found


def time(seconds: float, each_call: bool) -> str:
    return f"{seconds * 1e6:,.0f} us" if each_call else f"{seconds * 1e3:,.1f} ms"


def heading(name: str, shape: ShapeFigures) -> str:
    return (
        f"{name}: {shape.documents:,} documents of {shape.size / shape.documents:.0f} bytes, {shape.size / 1e6:.0f} MB"
    )


def text(name: str, shape: ShapeFigures) -> str:
    """Return the table of a shape for a terminal."""
    lines = [
        "",
        heading(name, shape),
        f"{'job':<21}{'reader':<25}{'x socket':>9}{'wall':>13}{'spread':>8}{'cpu':>13}{'peak MB':>9}{'docs/s':>12}",
    ]
    for group in shape.groups():
        for reader, ratio, wall, spread, cpu, memory, rate in rows(shape, group):
            lines.append(f"{group:<21}{reader:<25}{ratio:>8}x{wall:>13}{spread:>8}{cpu:>13}{memory:>9}{rate:>12}")
    lines += [f"{group:<21}{reader:<25}failed: {reason}" for (group, reader), reason in shape.failed.items()]
    return "\n".join([*lines, *shape.disagreements()])


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table; all columns except the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(line)} |" for line in (head, rule, *lines)]


def summary(figures: Figures) -> list[str]:
    """Return one table: each group's readers, as multiples of the socket on each shape."""
    names = list(figures.shapes)
    shapes = figures.shapes.values()
    keys = dict.fromkeys(
        (group, reader) for each in shapes for group in each.groups() for reader in each.medians(group)
    )
    order = list(dict.fromkeys(group for group, _ in keys))
    lines = []
    for group, reader in sorted(keys, key=lambda key: (order.index(key[0]), not key[1].startswith(OURS), key[1])):
        if is_floor(group, reader):
            continue
        cells = []
        for shape in shapes:
            each = shape.medians(group).get(reader)
            cells.append(f"{each.wall / shape.floor(group).wall:.1f}" if each else "")
        strong = "**" if reader.startswith(OURS) else ""
        lines.append([f"{group}: {strong}{reader}{strong}", *cells])
    return table(["times the socket", *names], lines)


def markdown(figures: Figures, chart: str | None) -> str:
    """A page: all tables, with what they were made of, and the chart at that address."""
    lines = [
        "# Benchmarks",
        "",
        *provenance(figures.date, [figures.command], figures.environment),
        "",
        "Wall times are multiples of the time that a bare socket takes to send the same query and drop the replies.",
        "For a find of all documents it requests replies of 1 MB (`socket sized`).",
        "[The method](../benches/README.md) describes the jobs, the shapes of the documents and the readers.",
        "",
    ]
    if chart is not None:
        lines += [f"![Times the socket, by shape and reader]({chart})", ""]
    lines += ["## Summary", "", *summary(figures), "", "## All measurements", ""]
    for name, shape in figures.shapes.items():
        lines += [f"### {heading(name, shape)}", ""]
        head = ["job: reader", "x socket", "wall", "spread", "CPU", "peak MB", "documents/s"]
        cells = [(f"{group}: {row[0]}", *row[1:]) for group in shape.groups() for row in rows(shape, group)]
        lines += [*table(head, cells), ""]
        failed = [f"- {group}: {reader} failed: `{reason[:200]}`" for (group, reader), reason in shape.failed.items()]
        notes = failed + [f"- {note}" for note in shape.disagreements()]
        lines += [*notes, ""] if notes else []
    return "\n".join(lines).rstrip() + "\n"
