"""All values that do not fit a schema, one by one, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from .._core import Form, Reader, ResultData
from ..connection import event_loop
from ..errors import SchemaConflict
from .table_options import given_schema


def form_of(form: Form | None, schema: Any) -> Form:
    """How to look: by the schema that is given here, else by the one that was given before.

    Raises
    ------
    ValueError
        When there is neither.
    """
    if schema is not None:
        default = "extension"
        return Form(
            given_schema(schema),
            "error",
            objectid=default,
            uuid=default,
            decimal=default,
            mixed=default,
            strings="utf8",
        )
    if form is None or form.schema is None:
        raise ValueError("conflicts() needs a schema: pass one, such as the `schema` of a result")
    return form


def of_result(data: ResultData, form: Form) -> Iterator[SchemaConflict]:
    """The conflicts of what was read."""
    for chunk in range(data.chunks):
        yield from data.conflicts(form, chunk)


def of_run(reader: Reader, form: Form) -> Iterator[SchemaConflict]:
    """The conflicts of a live run; leaving the loop ends it."""
    try:
        while (found := reader.next_conflicts(form)) is not None:
            yield from found
    finally:
        reader.close()


async def of_run_async(reader: Reader, form: Form) -> AsyncIterator[SchemaConflict]:
    """As `of_run`."""
    try:
        while (found := await event_loop.complete(reader.next_conflicts_async(form))) is not None:
            for conflict in found:
                yield conflict
    finally:
        reader.close()
