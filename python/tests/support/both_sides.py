"""One test body for both sides: a synchronous client, and an asynchronous one whose coroutines run in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

from data_bridge import AsyncCollection, AsyncDatabase, AsyncMongoClient, AsyncQuery, MongoClient

HANDLES = (AsyncMongoClient, AsyncDatabase, AsyncCollection, AsyncQuery)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="both sides", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def close(self) -> None:
        """Stop the loop as `asyncio.run` does."""
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Blocking:
    """An object of the asynchronous side with the methods of its synchronous counterpart."""

    def __init__(self, inner: Any, loop: Loop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not inspect.isroutine(value):
            return self._wrapped(value)

        def call(*arguments: Any, **options: Any) -> Any:
            return self._called(value, arguments, options)

        return call

    def _called(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        given = [_plain(each) for each in arguments]
        result = function(*given, **{name: _plain(each) for name, each in options.items()})
        # Sessions and transactions start at the call on the synchronous side, and when they are awaited on the other.
        starts = hasattr(type(result), "__await__") and not isinstance(result, AsyncQuery)
        if inspect.iscoroutine(result) or starts:
            result = self._loop.run(_awaited(result))
        return self._wrapped(result)

    def _wrapped(self, value: Any) -> Any:
        own = type(value).__module__.startswith("data_bridge.") and hasattr(type(value), "__aenter__")
        return Blocking(value, self._loop) if own or isinstance(value, HANDLES) else value

    def __getitem__(self, key: Any) -> Any:
        return self._wrapped(self._inner[key])

    def __iter__(self) -> Iterator[Any]:
        iterator = self._loop.run(_iterator(self._inner))
        while (item := self._loop.run(_next(iterator))) is not _END:
            yield item

    def __enter__(self) -> Any:
        return self._wrapped(self._loop.run(self._inner.__aenter__()))

    def __exit__(self, *error: Any) -> Any:
        return self._loop.run(self._inner.__aexit__(*error))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._inner(*arguments, **options)

    def __eq__(self, other: object) -> bool:
        return bool(self._inner == _plain(other))

    def __hash__(self) -> int:
        return hash(self._inner)

    def __repr__(self) -> str:
        return repr(self._inner)


_END = object()


def _plain(value: Any) -> Any:
    return value._inner if isinstance(value, Blocking) else value


async def _awaited(value: Any) -> Any:
    return await value


async def _iterator(inner: Any) -> Any:
    return aiter(inner)


async def _next(iterator: Any) -> Any:
    return await anext(iterator, _END)


@contextlib.contextmanager
def opened(side: str, uri: str, **options: Any) -> Iterator[Any]:
    """Our client of the "synchronous" or the "asynchronous" side; for both, the tests write synchronous calls."""
    if side == "synchronous":
        with MongoClient(uri, **options) as client:
            yield client
        return
    loop = Loop()
    try:
        with Blocking(AsyncMongoClient(uri, **options), loop) as client:
            yield client
    finally:
        loop.close()
