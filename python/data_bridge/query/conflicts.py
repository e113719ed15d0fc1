"""All values that do not fit a schema, one by one, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._core import AsyncIterator, NativeTableOptions, Reader, ResultData
from ..connection.codec import DEFAULT, native
from ..errors import SchemaConflict
from .async_iterator import AsyncRun
from .table_options import TableOptions, native_schema


def form_of(form: NativeTableOptions | None, schema: Any) -> NativeTableOptions:
    """Return the form for the schema that is passed here, else the query's.

    Raises
    ------
    ValueError
        When there is neither.
    """
    if schema is not None:
        return (form or TableOptions().form(native(DEFAULT))).with_schema(native_schema(schema))
    if form is None or form.schema is None:
        raise ValueError("conflicts() needs a schema: pass one, such as the `schema` of a result")
    return form


def of_result(data: ResultData, form: NativeTableOptions) -> Iterator[SchemaConflict]:
    """The conflicts of what was read."""
    for chunk in range(data.chunks):
        yield from data.conflicts(form, chunk)


class RunConflicts:
    """The conflicts of a live run; leaving the loop ends it."""

    def __init__(self, reader: Reader, form: NativeTableOptions) -> None:
        self._reader = reader
        self._form = form
        self._found: Iterator[SchemaConflict] = iter(())
        # Ends the run when it is dropped.
        self._guard = reader.documents()

    def __iter__(self) -> RunConflicts:
        return self

    def __next__(self) -> SchemaConflict:
        while (conflict := next(self._found, None)) is None:
            found = self._reader.next_conflicts(self._form)
            if found is None:
                raise StopIteration
            self._found = iter(found)
        return conflict

    def close(self) -> None:
        """End the run."""
        self._found = iter(())
        self._reader.close()


def of_run_async(start: Callable[[], Reader], form: NativeTableOptions) -> AsyncIterator[SchemaConflict]:
    """As `RunConflicts`, of a run that `start` starts."""
    run = AsyncRun(start, lambda reader: reader.next_conflicts_async(form))
    run.open()
    return run.rows()
