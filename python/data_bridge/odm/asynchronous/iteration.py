"""Iteration over the instances of a query: `async for`, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..queries.query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .links import fetch_links

T = TypeVar("T")


class AsyncIteration(ModelQueryBase[T]):
    """The asynchronous iteration of a query over models; synchronous consumers are refused."""

    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Run the query; instances as they come, in bounded memory. Leaving the loop ends the run."""
        maker = self._maker
        documents = aiter(self._documents)
        block: list[Any] = []
        try:
            async for document in documents:
                instance = document if maker is None else maker.instance(document)
                if not self._asked.fetch_links:
                    yield instance
                    continue
                block.append(instance)
                if len(block) == FETCHED_AT_A_TIME:
                    await fetch_links(self, block)
                    for each in block:
                        yield each
                    block = []
            if block:
                await fetch_links(self, block)
                for each in block:
                    yield each
        finally:
            await documents.aclose()

    if not TYPE_CHECKING:
        # For type checkers there is none, so that they report what this refuses.
        def __iter__(self) -> Any:
            raise TypeError("this query is asynchronous: use `async for`, or `await query.to_list()`")
