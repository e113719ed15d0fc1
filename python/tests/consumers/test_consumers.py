"""Every BSON type in every placement, in the operations of the consumers of tables.

A consumer with a setting of `types` runs in a process of its own. An operation fails only in the rows of
known_failures.py, and in each of them.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import pytest
from packaging.version import Version

import consumer_tables
from consumers import cells, outcomes
from consumers.known_failures import KNOWN, VERSIONS, Known, crashing, library, row
from consumers.outcomes import Key, Outcome
from consumers.run_cells import CONSUMERS

PAGE = Path(__file__).parents[3] / "docs" / "types.md"
EXTENTS = {"quick": cells.QUICK_PLACEMENTS, "full": cells.PLACEMENTS}

extents = pytest.mark.parametrize("extent", ["quick", pytest.param("full", marks=pytest.mark.slow)])
all_types = pytest.mark.parametrize("types", ["plain", "exact"])


class KnownFailure(Exception):
    """A failure that a row describes."""


@cache
def measured(consumer: str, types: str, extent: str) -> dict[Key, Outcome]:
    """Run all operations of a consumer once."""
    keys = outcomes.keys(types, EXTENTS[extent])
    return outcomes.run(consumer, types, keys, crashing(consumer, types, keys))


def report(consumer: str, text: str) -> NoReturn:
    """Fail with the versions of the consumer; skip if it is older than the one with the known failures."""
    name = library(consumer)
    found, seen = version(name.lower()), VERSIONS[name]
    known = "the version" if found == seen else f"while {seen} is the one"
    text = f"{text}\n{name} {found} is installed, {known} of known_failures.py."
    if Version(found) < Version(seen):
        pytest.skip(text)
    pytest.fail(f"{text} If this package is right, change the rows and run `python scripts/consumer_tables.py`.")


@extents
@all_types
@pytest.mark.parametrize("operation", cells.OPERATIONS)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_operations_succeed(consumer: str, operation: str, types: str, extent: str) -> None:
    found = measured(consumer, types, extent)
    wrong = [
        f"{key.type} {key.placement}: {outcome.error}: {outcome.message[:200]}"
        for key, outcome in found.items()
        if key.operation == operation and outcome.error is not None and row(consumer, types, key) is None
    ]
    if wrong:
        report(consumer, f"{len(wrong)} failures of {operation}:\n" + "\n".join(wrong))


@extents
@pytest.mark.parametrize(
    "known", [pytest.param(each, id=each.name, marks=pytest.mark.xfail(raises=KnownFailure)) for each in KNOWN]
)
def test_known_failures(known: Known, extent: str) -> None:
    """The expected failures are strict: every operation on every column of the row fails, with its error."""
    count, wrong, reasons = 0, [], set()
    for consumer in known.consumers:
        for types in known.types:
            for key, outcome in measured(consumer, types, extent).items():
                if row(consumer, types, key) is not known:
                    continue
                count += 1
                reasons.add(f"{outcome.error}: {outcome.message[:100]}")
                if not known.explains(outcome):
                    wrong.append(f"{consumer} {types} {' '.join(key)}: {outcome.error}: {outcome.message[:200]}")
    if wrong:
        report(known.consumers[0], f"{len(wrong)} of {count} operations do not fail so:\n" + "\n".join(wrong))
    if count == 0:
        if extent == "full":
            pytest.fail(f"{known.name} names no column")
        pytest.skip("no column in the placements of the quick run")
    raise KnownFailure("; ".join(sorted(reasons)))


def test_the_page_lists_the_known_failures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert consumer_tables.replaced(text) == text, "run `python scripts/consumer_tables.py`"


def test_every_bson_type_has_a_column() -> None:
    kinds = {kind for values in cells.TYPES.values() for kind, _ in values}
    assert kinds == {*range(0x01, 0x14), 0x7F, 0xFF}


def test_the_end_of_a_process_is_found() -> None:
    """The operations after it run in a new process."""
    keys = [Key("int32", "alone", name) for name in ("print", "end_the_process", "sort")]
    found = outcomes.run("pyarrow", "plain", keys)
    assert [found[key].error for key in keys] == [None, "crash", None]
    assert found[keys[1]].message == "SIGSEGV"
