"""Iteration over the instances of a query, in bounded memory; its table for consumers of the Arrow C interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..queries.query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .links import fetch_links

T = TypeVar("T")


class Iteration(ModelQueryBase[T]):
    """The synchronous iteration of a query over models, and its Arrow capsules."""

    __slots__ = ()

    def __iter__(self) -> Iterator[T]:
        """Run the query and yield instances as they arrive, in bounded memory. Leaving the loop ends the run."""
        documents, maker = iter(self._spec.document_query), self._spec.maker
        # With progress, the documents come from a Python generator.
        as_instances = getattr(documents, "instances", None)
        if maker is None:
            instances: Iterator[Any] = documents
        elif as_instances is not None:
            instances = as_instances(maker)
        else:
            instances = map(maker.instance, documents)
        if not self._spec.fetch_links:
            return instances
        return LinkedInstances(instances, lambda block: fetch_links(self._spec, block))

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report this use.
        def __aiter__(self) -> Any:
            raise TypeError("this query is synchronous: use `for`, or an AsyncDocument")

    def __arrow_c_schema__(self) -> Any:
        return self._spec.table_query.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._spec.table_query.__arrow_c_stream__(requested_schema)


class LinkedInstances:
    """Instances with their links, which are fetched for blocks of instances.

    A block that an error or Ctrl-C interrupts is kept: the instances before the error come first, then the error.
    """

    __slots__ = ("_error", "_fetch", "_instances", "_ready", "_waiting")

    def __init__(self, instances: Iterator[Any], fetch: Callable[[list[Any]], None]) -> None:
        self._instances = instances
        self._fetch = fetch
        self._waiting: list[Any] = []
        self._ready: Iterator[Any] = iter(())
        self._error: Exception | None = None

    def __iter__(self) -> LinkedInstances:
        return self

    def __next__(self) -> Any:
        for instance in self._ready:
            return instance
        if self._error is None:
            try:
                self._waiting.extend(islice(self._instances, FETCHED_AT_A_TIME - len(self._waiting)))
            except Exception as error:  # noqa: BLE001
                # Raised after the instances before it.
                self._error = error
        if not self._waiting:
            ended, self._error = self._error, None
            raise ended or StopIteration
        self._fetch(self._waiting)
        self._ready, self._waiting = iter(self._waiting), []
        return next(self._ready)

    def close(self) -> None:
        """End the run."""
        self._ready, self._waiting, self._error = iter(()), [], None
        close = getattr(self._instances, "close", None)
        if close is not None:
            close()
