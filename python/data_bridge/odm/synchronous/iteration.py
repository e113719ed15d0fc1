"""Iteration over the instances of a query, in bounded memory; its table for consumers of the Arrow C interface."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..queries.query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .links import fetch_links

T = TypeVar("T")


class Iteration(ModelQueryBase[T]):
    """The synchronous iteration of a query over models, and its Arrow capsules."""

    __slots__ = ()

    def __iter__(self) -> Iterator[T]:
        """Run the query; instances as they come, in bounded memory. Leaving the loop ends the run."""
        documents, maker = iter(self._documents), self._maker
        # With progress the documents come through a generator of Python's.
        as_instances = getattr(documents, "instances", None)
        if maker is None:
            instances: Iterator[Any] = documents
        elif as_instances is not None:
            instances = as_instances(maker)
        else:
            instances = map(maker.instance, documents)
        return self._with_links(instances) if self._asked.fetch_links else instances

    def _with_links(self, instances: Iterator[Any]) -> Iterator[Any]:
        while block := list(islice(instances, FETCHED_AT_A_TIME)):
            fetch_links(self, block)
            yield from block

    if not TYPE_CHECKING:
        # For type checkers there is none, so that they report what this refuses.
        def __aiter__(self) -> Any:
            raise TypeError("this query is synchronous: use `for`, or an AsyncDocument")

    def __arrow_c_schema__(self) -> Any:
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._native.__arrow_c_stream__(requested_schema)
