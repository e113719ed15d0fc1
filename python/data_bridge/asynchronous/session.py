"""Client sessions: causal consistency, snapshots, transactions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from .._core import DataBridgeError
from .._typing import ReadConcern, ReadPreference, WriteConcern
from ..connection.session_state import SessionState, transaction_options
from ..connection.transaction_retry import TransactionRetry
from .outcome import outcome, sleep
from .transaction import AsyncTransaction

T = TypeVar("T")


class AsyncClientSession(SessionState):
    # async only:
    """A session of an `AsyncMongoClient`: `async with client.start_session() as session`, or await it first.

    Examples
    --------
    >>> async with client.start_session() as session:          # doctest: +SKIP
    ...     async with session.start_transaction():
    ...         await orders.find({}, session=session).to_list()
    """

    # end
    # sync only:
    # """A session of a `MongoClient`; a context manager that ends it.
    #
    # Examples
    # --------
    # >>> with client.start_session() as session:          # doctest: +SKIP
    # ...     with session.start_transaction():
    # ...         orders.find({}, session=session).to_list()
    # """
    # end

    @property
    def client(self) -> Any:
        """The client it belongs to."""
        return self._client

    def start_transaction(
        self,
        read_concern: ReadConcern | None = None,
        write_concern: WriteConcern | None = None,
        read_preference: ReadPreference | None = None,
        max_commit_time_ms: int | None = None,
    ) -> AsyncTransaction:
        """Open a transaction. As a context manager it commits at the end, and aborts on an exception."""
        if self._in_transaction:
            raise RuntimeError("a transaction is open already")
        options = transaction_options(read_concern, write_concern, read_preference, max_commit_time_ms)
        return AsyncTransaction(self, options)

    async def with_transaction(
        self,
        callback: Callable[[AsyncClientSession], Coroutine[Any, Any, T]],
        read_concern: ReadConcern | None = None,
        write_concern: WriteConcern | None = None,
        read_preference: ReadPreference | None = None,
        max_commit_time_ms: int | None = None,
    ) -> T:
        """Run `callback` in a transaction and commit it, and retry while the server labels the error as transient.

        Parameters
        ----------
        callback
            Called with this session, which it must give to each operation; may be called more than once, for two
            minutes at most. An exception of the callback aborts the transaction.
        read_concern, write_concern, read_preference, max_commit_time_ms
            As for `start_transaction`.

        Returns
        -------
        The value that `callback` returned.
        """
        retry = TransactionRetry()
        options = transaction_options(read_concern, write_concern, read_preference, max_commit_time_ms)
        while True:
            await self._begin(options)
            try:
                result = await callback(self)
            except BaseException as error:
                if self.in_transaction:
                    await self.abort_transaction()
                if not retry.allows(error):
                    raise
                await sleep(retry.pause())
                continue
            if not self.in_transaction:  # the callback ended it
                return result
            while True:
                try:
                    await self.commit_transaction()
                except DataBridgeError as error:
                    if retry.allows_commit(error):
                        continue
                    if not retry.allows(error):
                        raise
                    break
                return result
            await sleep(retry.pause())

    async def commit_transaction(self) -> None:
        """Commit the open transaction."""
        # Also when it fails: the transaction is over then, or commit_transaction() may be called once more.
        self._in_transaction = False
        try:
            await outcome(self._native().commit_transaction(timeout=self.client.timeout))
        except DataBridgeError as error:
            self._commit_failed(error)
            raise
        self._undos.clear()

    async def abort_transaction(self) -> None:
        """Abort the open transaction."""
        self._in_transaction = False
        self._undo()
        await outcome(self._native().abort_transaction(timeout=self.client.timeout))

    async def end_session(self) -> None:
        """End the session, and abort its open transaction; a second call does nothing."""
        if self._session is not None and not self._session.ended:
            self._in_transaction = False
            self._undo()
            await outcome(self._session.end())

    async def _open(self) -> None:
        if self._session is None:
            self._session = await outcome(self._core.start_session(self._options))

    async def _begin(self, options: bytes) -> None:
        if self._in_transaction:
            raise RuntimeError("a transaction is open already")
        try:
            await outcome(self._native().start_transaction(options))
        except BaseException:
            self._discard_start()
            raise
        self._undo()
        self._in_transaction = True

    # async only:
    async def _opened(self) -> AsyncClientSession:
        await self._open()
        return self

    def __await__(self) -> Generator[Any, None, AsyncClientSession]:
        return self._opened().__await__()

    # end
    async def __aenter__(self) -> AsyncClientSession:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end_session()
