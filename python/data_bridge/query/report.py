"""The report of a read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Report:
    """The course of a run: immutable, made when the run ends.

    Attributes
    ----------
    rows : int
        Documents received.
    bytes : int
        Bytes of BSON received.
    batches : int
        Server replies, or pieces of a file.
    resumed : int
        The number of times that a read with `resume=True` lost its cursor and continued with another one.
    seconds : dict[str, float]
        Time by stage, in seconds: "waiting" for the server (or another source) with nothing else to do; "decoding",
        added up over all threads, so that it may exceed the time that passed; "conforming", making tables.
    duplicates : int
        Keys that occurred twice in one document; the last one was kept, as PyMongo does.
    paths : list[dict]
        Events by path: path, action, types, count, first_id. A path is a tuple of keys, with `...` for any item
        of a list. Actions are "widened" and "mixed" (values of another type than the first one are counted; a path that
        is mixed although its types have a common one has a reason, such as "more than 1,000 different keys"), "rescued"
        and "nulled" (values that did not fit the schema), "rounded" (on request), "duplicate key" (values
        dropped for a later one). `first_id` is the `_id` of the first document in which it happened. Of what did not
        fit, of what was rounded and of duplicate keys the first 1,000 paths are listed, in the order of paths.
    unlisted : dict[str, int]
        By action: values at paths beyond those that `paths` lists.
    plan : str
        For a read with `parallel=`: the ranges that it was split into, or "one partition" and the reason for it.
    hints : list[str]
        Advice: `compressors=zstd` in the connection string, if the read spent most of its time on waiting for a server
        that is far away.
    error : Exception | None
        The exception that ended the run early.
    """

    __slots__ = (
        "batches",
        "bytes",
        "duplicates",
        "error",
        "hints",
        "paths",
        "plan",
        "resumed",
        "rows",
        "seconds",
        "unlisted",
    )

    rows: int
    bytes: int
    batches: int
    resumed: int
    seconds: dict[str, float]
    duplicates: int
    paths: list[dict[str, Any]]
    unlisted: dict[str, int]
    plan: str
    hints: list[str]
    error: BaseException | None

    def __init__(self, values: Mapping[str, Any], error: BaseException | None = None) -> None:
        self.rows = values.get("rows", 0)
        self.bytes = values.get("bytes", 0)
        self.batches = values.get("batches", 0)
        self.resumed = values.get("resumed", 0)
        self.seconds = dict(values.get("seconds", {}))
        self.duplicates = values.get("duplicates", 0)
        self.paths = list(values.get("paths", ()))
        self.unlisted = dict(values.get("unlisted", {}))
        self.plan = values.get("plan", "")
        self.hints = list(values.get("hints", ())) or _connection_hint(self, values.get("slow_connection"))
        self.error = error if error is not None else values.get("error")

    @classmethod
    def merged(cls, reports: Iterable[Report]) -> Report:
        """Return the report of a result that was read in parts: of partitions, in their order.

        Counts and times add up. An entry of `paths` has the types of all parts, and the `first_id` of the first part
        that has it. Types that differ only between parts have no entry, as no part saw both.
        """
        values: dict[str, Any] = {"rows": 0, "bytes": 0, "batches": 0, "resumed": 0, "duplicates": 0}
        seconds: dict[str, float] = {}
        unlisted: dict[str, int] = {}
        paths: dict[tuple[Any, ...], dict[str, Any]] = {}
        hints: dict[str, None] = {}
        plans: dict[str, None] = {}
        error = None
        for report in reports:
            for name in values:
                values[name] += getattr(report, name)
            _add(seconds, report.seconds)
            _add(unlisted, report.unlisted)
            hints.update(dict.fromkeys(report.hints))
            plans.update(dict.fromkeys([report.plan] if report.plan else []))
            error = error or report.error
            for entry in report.paths:
                key = tuple(entry.get("path", ())), entry.get("action")
                known = paths.setdefault(key, {**entry, "types": [], "count": 0})
                known["types"] = [*dict.fromkeys([*known["types"], *entry.get("types", ())])]
                known["count"] += entry.get("count", 0)
        texts = {"plan": "; ".join(plans), "hints": [*hints]}
        return cls({**values, **texts, "seconds": seconds, "unlisted": unlisted, "paths": [*paths.values()]}, error)

    def __str__(self) -> str:
        return "\n".join([*self.summary(), *map(_line, self.paths)])

    def summary(self) -> list[str]:
        """Lines of text without those for paths."""
        lines = [f"{self.rows:,} rows, {self.bytes:,} bytes, {self.batches:,} batches"]
        if self.seconds:
            lines.append("seconds: " + ", ".join(f"{stage} {time:.3f}" for stage, time in self.seconds.items()))
        if self.plan:
            lines.append(f"plan: {self.plan}")
        if self.resumed:
            lines.append(f"lost its cursor and went on: {self.resumed:,} times")
        if self.duplicates:
            lines.append(f"duplicate keys: {self.duplicates:,} (the last one was kept)")
        lines += [f"{action} at further paths: {count:,}" for action, count in self.unlisted.items()]
        lines += [f"hint: {hint}" for hint in self.hints]
        if self.error is not None:
            lines.append(f"error: {type(self.error).__name__}: {self.error}")
        return lines

    def _repr_html_(self) -> str:
        """The same for notebooks, as a table; everything that comes from data is escaped."""
        from . import html

        return html.report(self)

    def __repr__(self) -> str:
        problems = "" if self.error is None else f", error={type(self.error).__name__}"
        return f"Report(rows={self.rows}, bytes={self.bytes}, paths={len(self.paths)}{problems})"


def _connection_hint(report: Report, round_trip: float | None) -> list[str]:
    if round_trip is None:
        return []
    waited = report.seconds["waiting"]
    return [
        f"the read waited {waited:.1f} s for the connection or the server, which is {round_trip * 1000:.0f} ms away: "
        f"{report.bytes / waited / 1e6:.1f} MB/s; compressors=zstd in the connection string may shorten this"
    ]


def _add(total: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def path_text(entry: Mapping[str, Any]) -> str:
    """The path of an entry of `Report.paths`."""
    return "".join("[...]" if step is ... else f"[{step!r}]" for step in entry.get("path", ()))


def types_text(entry: Mapping[str, Any]) -> str:
    """The types seen there, and the reason for which they are mixed when the types do not show it."""
    types = " + ".join(str(name) for name in entry.get("types", ()))
    return "; ".join(filter(None, (types, entry.get("reason"))))


def _line(entry: Mapping[str, Any]) -> str:
    path = path_text(entry)
    types = types_text(entry)
    line = f"{path}: {entry.get('action', 'changed')}" + (f" ({types})" if types else "")
    if entry.get("count"):
        line += f", {entry['count']:,} cells"
    if entry.get("first_id") is not None:
        line += f", first in _id {entry['first_id']!r}"
    return line
