"""Iteration over the instances of a query: `async for`, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ..._core import AsyncIterator
from ...query.async_iterator import LoopBound
from ..queries.query_base import FETCHED_AT_A_TIME, ModelQueryBase
from .links import fetch_links

T = TypeVar("T")


class AsyncIteration(ModelQueryBase[T]):
    """The asynchronous iteration of a query over models; synchronous consumers are refused."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[T]:
        """Run the query and yield instances as they arrive, in bounded memory, like iteration over an `AsyncQuery`."""
        instances: AsyncIterator[T] = self._spec.document_query._iterate(self._spec.maker)
        if not self._spec.fetch_links:
            return instances
        bound = LoopBound()
        return bound.iterator(_linked(bound, instances, lambda block: fetch_links(self._spec, block)))

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report this use.
        def __iter__(self) -> Any:
            raise TypeError("this query is asynchronous: use `async for`, or `await query.to_list()`")


async def _linked(
    bound: LoopBound, instances: AsyncIterator[Any], fetch: Callable[[list[Any]], Coroutine[Any, Any, None]]
) -> AsyncGenerator[Any, None]:
    """Yield instances with their links, which are fetched for blocks of instances."""
    error: Exception | None = None
    block: list[Any] = [None]
    try:
        yield None
        while block and error is None:
            bound.check_loop()
            block = []
            try:
                async for instance in instances:
                    block.append(instance)
                    if len(block) == FETCHED_AT_A_TIME:
                        break
            except Exception as failed:  # noqa: BLE001
                # Raised after the instances before it.
                error = failed
            if block:
                await fetch(block)
            for instance in block:
                yield instance
        if error is not None:
            raise error
    except GeneratorExit:
        raise
    except BaseException as failed:
        if failed is not error:
            # Instances of the block are lost with it.
            bound.interrupt()
        raise
    finally:
        bound.close()
