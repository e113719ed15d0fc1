"""Client sessions: causal consistency, snapshots, transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import bson

from . import _core
from ._core import DataBridgeError, OperationFailure
from .attempts import UNKNOWN_RESULT, Attempts, has_label
from .call import Call, same
from .settings import level, preference
from .transaction import AsyncTransaction, Transaction

if TYPE_CHECKING:
    from .client_handle import ClientHandle

T = TypeVar("T")


class _SessionState:
    """What both kinds of session share: the native session, and whether a transaction is open."""

    def __init__(self, client: ClientHandle[Any], causal_consistency: bool | None, snapshot: bool) -> None:
        if causal_consistency and snapshot:
            raise ValueError("snapshot and causal_consistency exclude each other")
        options: dict[str, Any] = {}
        if causal_consistency is not None:
            options["causalConsistency"] = bool(causal_consistency)
        if snapshot:
            options["snapshot"] = True
        self._client = client
        self._options = bson.encode(options)
        self._session: _core.Session | None = None
        self._in_transaction = False
        self._undos: list[Callable[[], None]] = []

    @property
    def client(self) -> Any:
        """The client it belongs to."""
        return self._client

    @property
    def has_ended(self) -> bool:
        """Whether it was ended; nothing can use it then."""
        return self._session is not None and self._session.ended

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._in_transaction

    def _on_abort(self, undo: Callable[[], None]) -> None:
        """Call `undo` should the open transaction not be committed."""
        self._undos.append(undo)

    def _undo(self) -> None:
        undos, self._undos = self._undos, []
        for undo in reversed(undos):
            undo()

    def _commit_failed(self, error: DataBridgeError) -> None:
        # Where nobody knows, commit_transaction() may still be called once more.
        if isinstance(error, OperationFailure) and not has_label(error, UNKNOWN_RESULT):
            self._undo()

    def _native(self) -> _core.Session:
        if self._session is None:
            raise RuntimeError("the session has not started: use `async with` or `await` on start_session()")
        if self._session.ended:
            raise RuntimeError("the session has ended")
        return self._session

    def _start(self) -> Call[None]:
        def keep(session: _core.Session) -> None:
            self._session = session

        return Call(lambda: self._client._core.start_session(self._options), keep)

    def _begin(
        self, read_concern: Any, write_concern: Any, read_preference: Any, max_commit_time_ms: int | None
    ) -> Call[None]:
        if self._in_transaction:
            raise RuntimeError("a transaction is open already")
        options: dict[str, Any] = {}
        if read_concern is not None and (name := level(read_concern)) is not None:
            options["readConcern"] = {"level": name}
        if write_concern is not None:
            options["writeConcern"] = dict(getattr(write_concern, "document", write_concern))
        if read_preference is not None:
            options["readPreference"] = preference(read_preference)
        if max_commit_time_ms is not None:
            options["maxCommitTimeMS"] = max_commit_time_ms
        encoded = bson.encode(options)

        def opened(_: None) -> None:
            self._undo()
            self._in_transaction = True

        return Call(lambda: self._native().start_transaction(encoded), opened)

    def _discard_start(self) -> None:
        """Discard a transaction whose start was interrupted: the native session may have started it all the same."""
        if self._session is not None and not self._in_transaction:
            self._session.discard_start()

    def _commit(self) -> Call[None]:
        # Also when it fails: the transaction is over then, or commit_transaction() may be called once more.
        self._in_transaction = False
        limit = self._client.timeout
        return Call(lambda: self._native().commit_transaction(timeout=limit), lambda _: self._undos.clear())

    def _abort(self) -> Call[None]:
        self._in_transaction = False
        self._undo()
        limit = self._client.timeout
        return Call(lambda: self._native().abort_transaction(timeout=limit), same)

    def _end(self) -> Call[None]:
        self._in_transaction = False
        self._undo()
        return Call(lambda: self._native().end(), same)

    def __repr__(self) -> str:
        state = "not started" if self._session is None else "ended" if self._session.ended else "open"
        return f"{type(self).__name__}({state})"

    def __reduce__(self) -> Any:
        raise TypeError("a session cannot be pickled")


class ClientSession(_SessionState):
    """A session of a `MongoClient`; a context manager that ends it.

    Examples
    --------
    >>> with client.start_session() as session:          # doctest: +SKIP
    ...     with session.start_transaction():
    ...         orders.find({}, session=session).to_list()
    """

    def start_transaction(
        self,
        read_concern: Any = None,
        write_concern: Any = None,
        read_preference: Any = None,
        max_commit_time_ms: int | None = None,
    ) -> Transaction:
        """Open a transaction. As a context manager it commits at the end, and aborts on an exception."""
        begin = self._begin(read_concern, write_concern, read_preference, max_commit_time_ms)
        try:
            begin.wait()
        except BaseException:
            self._discard_start()
            raise
        return Transaction(self)

    def with_transaction(
        self,
        callback: Callable[[ClientSession], T],
        read_concern: Any = None,
        write_concern: Any = None,
        read_preference: Any = None,
        max_commit_time_ms: int | None = None,
    ) -> T:
        """Run `callback` in a transaction and commit it, again while the server says that this may help.

        Parameters
        ----------
        callback
            Called with this session, which it must give to each operation; may be called more than once, for two
            minutes at most. What it raises aborts the transaction.
        read_concern, write_concern, read_preference, max_commit_time_ms
            As for `start_transaction`.

        Returns
        -------
        What `callback` returned.
        """
        attempts = Attempts()
        while True:
            self.start_transaction(read_concern, write_concern, read_preference, max_commit_time_ms)
            try:
                result = callback(self)
            except BaseException as error:
                if self.in_transaction:
                    self.abort_transaction()
                if not attempts.again(error):
                    raise
                time.sleep(attempts.pause())
                continue
            if not self.in_transaction:  # the callback ended it
                return result
            while True:
                try:
                    self.commit_transaction()
                except DataBridgeError as error:
                    if attempts.commit_again(error):
                        continue
                    if not attempts.again(error):
                        raise
                    break
                return result
            time.sleep(attempts.pause())

    def commit_transaction(self) -> None:
        """Commit the open transaction."""
        try:
            self._commit().wait()
        except DataBridgeError as error:
            self._commit_failed(error)
            raise

    def abort_transaction(self) -> None:
        """Abort the open transaction."""
        self._abort().wait()

    def end_session(self) -> None:
        """End the session, and abort its open transaction; a second call does nothing."""
        if not self.has_ended:
            self._end().wait()

    def __enter__(self) -> ClientSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_session()


class AsyncClientSession(_SessionState):
    """A session of an `AsyncMongoClient`: `async with client.start_session() as session`, or await it first."""

    def start_transaction(
        self,
        read_concern: Any = None,
        write_concern: Any = None,
        read_preference: Any = None,
        max_commit_time_ms: int | None = None,
    ) -> AsyncTransaction:
        """A transaction that opens when it is awaited or entered; as `ClientSession.start_transaction`."""
        return AsyncTransaction(self, self._begin(read_concern, write_concern, read_preference, max_commit_time_ms))

    async def with_transaction(
        self,
        callback: Callable[[AsyncClientSession], Coroutine[Any, Any, T]],
        read_concern: Any = None,
        write_concern: Any = None,
        read_preference: Any = None,
        max_commit_time_ms: int | None = None,
    ) -> T:
        """Await `callback` in a transaction and commit it. As `ClientSession.with_transaction`."""
        from asyncio import sleep

        attempts = Attempts()
        while True:
            await self.start_transaction(read_concern, write_concern, read_preference, max_commit_time_ms)
            try:
                result = await callback(self)
            except BaseException as error:
                if self.in_transaction:
                    await self.abort_transaction()
                if not attempts.again(error):
                    raise
                await sleep(attempts.pause())
                continue
            if not self.in_transaction:  # the callback ended it
                return result
            while True:
                try:
                    await self.commit_transaction()
                except DataBridgeError as error:
                    if attempts.commit_again(error):
                        continue
                    if not attempts.again(error):
                        raise
                    break
                return result
            await sleep(attempts.pause())

    async def commit_transaction(self) -> None:
        """Commit the open transaction."""
        try:
            await self._commit().complete()
        except DataBridgeError as error:
            self._commit_failed(error)
            raise

    async def abort_transaction(self) -> None:
        """Abort the open transaction."""
        await self._abort().complete()

    async def end_session(self) -> None:
        """End the session, and abort its open transaction; a second call does nothing."""
        if self._session is not None and not self.has_ended:
            await self._end().complete()

    async def _started(self) -> AsyncClientSession:
        if self._session is None:
            await self._start().complete()
        return self

    def __await__(self) -> Generator[Any, None, AsyncClientSession]:
        return self._started().__await__()

    async def __aenter__(self) -> AsyncClientSession:
        return await self._started()

    async def __aexit__(self, *_: object) -> None:
        await self.end_session()


def native(session: Any, client: ClientHandle[Any]) -> _core.Session | None:
    """The native session of a `session=` argument.

    Raises
    ------
    TypeError
        When it is no session, or one of the other kind of client.
    ValueError
        When it belongs to another client.
    RuntimeError
        When it has ended or not started.
    """
    if session is None:
        return None
    if not isinstance(session, _SessionState):
        raise TypeError(f"session must come from start_session() of this package, got {type(session).__name__}")
    if session._client is not client:
        raise ValueError("the session belongs to another client")
    return session._native()
