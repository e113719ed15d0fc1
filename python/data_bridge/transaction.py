"""Open transactions, as context managers."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .call import Call

if TYPE_CHECKING:
    from types import TracebackType

    from .session import AsyncClientSession, ClientSession


class Transaction:
    """An open transaction of a `ClientSession`."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.in_transaction:
            if kind is None:
                self._session.commit_transaction()
            else:
                self._session.abort_transaction()


class AsyncTransaction:
    """A transaction of an `AsyncClientSession`: await it, or enter it with `async with`."""

    def __init__(self, session: AsyncClientSession, begin: Call[None]) -> None:
        self._session = session
        self._begin: Call[None] | None = begin

    async def _opened(self) -> AsyncTransaction:
        begin, self._begin = self._begin, None
        if begin is not None:
            try:
                await begin.complete()
            except BaseException:
                self._session._discard_start()
                raise
        return self

    def __await__(self) -> Generator[Any, None, AsyncTransaction]:
        return self._opened().__await__()

    async def __aenter__(self) -> AsyncTransaction:
        return await self._opened()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session.in_transaction:
            if kind is None:
                await self._session.commit_transaction()
            else:
                await self._session.abort_transaction()
