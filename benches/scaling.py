"""Scaling of decoding with threads, documents and fields, and its memory: `make scaling`.

The documents are bytes in memory, without a server. Every measurement is a separate process; the figures are
medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from figures import environment, now, provenance
from measure import Measurement, in_child, measured
from registry import Work
from report import table
from shapes import SHAPES, WORDS, templates

PIECE = 1_000
"""Documents per buffer of a stream's source, which repeats the same bytes."""
DOCUMENTS = (10_000, 100_000, 1_000_000, 5_000_000)
FIELDS = (5, 50, 500)
VALUES = 2_000_000
"""Number of values of each collection with another number of fields."""
STREAMED = (100_000, 1_000_000)


# ---- in the child ----------------------------------------------------------------------------------------------------


def repeated(name: str, documents: int) -> bytes:
    """Return documents of a shape, concatenated."""
    encoded = templates(name, documents)
    whole, rest = divmod(documents, len(encoded))
    return b"".join(encoded) * whole + b"".join(encoded[:rest])


def of_fields(fields: int) -> bytes:
    """Return documents with a third each of integers, doubles and short strings; VALUES values in all."""
    from bson import encode

    rng = random.Random(fields)
    makers: list[Callable[[], Any]] = [lambda: rng.getrandbits(30), rng.random, lambda: rng.choice(WORDS)]
    documents = VALUES // fields
    encoded = [
        encode({f"field_{index}": makers[index % 3]() for index in range(fields)}) for _ in range(min(documents, 500))
    ]
    return b"".join(encoded) * (documents // len(encoded))


def decode(data: bytes, threads: int | None = None) -> Work:
    """Read all documents as a pyarrow table."""
    import data_bridge

    import_module("pyarrow")  # before the clock starts
    if threads is not None:
        data_bridge.config(threads=threads)
    query = data_bridge.read_bson(data)
    return query.to_arrow


def stream(documents: int) -> Work:
    """Read record batches, each dropped before the next."""
    import data_bridge

    piece = repeated("flat", PIECE)

    def pieces() -> Iterator[bytes]:
        for _ in range(documents // PIECE):
            yield piece

    query = data_bridge.read_bson(pieces())
    return lambda: sum(batch.num_rows for batch in query.stream())


def child(kind: str, name: str, number: str) -> None:
    """Print the measurement, and the bytes of the table if the job makes one."""
    if kind == "threads":
        work = decode(repeated(name, SHAPES[name].documents // 2), int(number))
        for _ in range(3):
            work()  # the first touch of new memory does not scale with threads
    elif kind == "documents":
        work = decode(repeated(name, int(number)))
    elif kind == "fields":
        work = decode(of_fields(int(number)))
    else:
        work = stream(int(number))
    found, result = measured(work)
    print(json.dumps([found, getattr(result, "nbytes", 0)]))


# ---- in the parent ---------------------------------------------------------------------------------------------------


def median(rounds: int, kind: str, name: str, number: int) -> tuple[Measurement, int]:
    """Return the median measurement of several processes, and the bytes of the table."""
    found = []
    for _ in range(rounds):
        answer = in_child(Path(__file__), ["--child", kind, name, str(number)])
        if isinstance(answer, str):
            raise SystemExit(f"{kind} {name} {number}: {answer}")
        found.append(answer)
    return Measurement(*(statistics.median(column) for column in zip(*(each[0] for each in found), strict=True))), (
        found[0][1]
    )


def threads(rounds: int, shapes: Sequence[str]) -> list[str]:
    lines: list[Sequence[str]] = []
    for name in shapes:
        (one, _), (two, _) = (median(rounds, "threads", name, number) for number in (1, 2))
        times = f"{one.wall * 1e3:,.0f}", f"{two.wall * 1e3:,.0f}", f"{one.wall / two.wall:.2f}"
        lines.append((name, f"{one.results:,}", *times))
    return table(["shape", "documents", "1 thread, ms", "2 threads, ms", "times as fast"], lines)


def documents(rounds: int, numbers: Sequence[int]) -> list[str]:
    lines: list[Sequence[str]] = []
    for number in numbers:
        found, size = median(rounds, "documents", "flat", number)
        megabytes = f"{size / 1e6:,.1f}", f"{found.memory * 1.048576:,.1f}", f"{found.memory * 2**20 / size:.2f}"
        cost = f"{found.wall * 1e3:,.1f}", f"{found.wall / found.results * 1e9:,.0f}"
        lines.append((f"{found.results:,}", *cost, *megabytes))
    return table(["documents", "wall, ms", "ns a document", "table, MB", "peak, MB", "peak / table"], lines)


def fields(rounds: int) -> list[str]:
    lines: list[Sequence[str]] = []
    for number in FIELDS:
        found, _ = median(rounds, "fields", "", number)
        each = found.wall / found.results * 1e9
        lines.append(
            (str(number), f"{found.results:,}", f"{found.wall * 1e3:,.1f}", f"{each:,.0f}", f"{each / number:.1f}")
        )
    return table(["fields", "documents", "wall, ms", "ns a document", "ns a value"], lines)


def streams(rounds: int) -> list[str]:
    lines: list[Sequence[str]] = []
    for number in STREAMED:
        found, _ = median(rounds, "stream", "flat", number)
        lines.append((f"{found.results:,}", f"{found.wall * 1e3:,.1f}", f"{found.memory * 1.048576:,.1f}"))
    return table(["documents", "wall, ms", "peak, MB"], lines)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["flat", "nested", "wide", "tweets"])
    parser.add_argument("--large", action="store_true", help="10,000,000 documents as well: about 5 GB of memory")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    options = parser.parse_args(arguments)
    lines = ["# Scaling", "", *provenance(now(), ["make scaling"], environment()), ""]
    sections: list[tuple[str, Callable[[], list[str]]]] = [
        (
            "Threads: `to_arrow`, the fourth read of a process",
            lambda: threads(options.rounds, options.shapes),
        ),
        (
            "Documents: `to_arrow` of the shape flat",
            lambda: documents(options.rounds, (*DOCUMENTS, 10_000_000) if options.large else DOCUMENTS),
        ),
        (f"Fields: `to_arrow` of {VALUES:,} values", lambda: fields(options.rounds)),
        ("Streams: `stream` of the shape flat", lambda: streams(options.rounds)),
    ]
    print("\n".join(lines))
    for title, make in sections:
        section = [f"## {title}", "", *make(), ""]
        print("\n".join(section), flush=True)
        lines += section
    if options.markdown:
        options.markdown.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(sys.argv[1:])
