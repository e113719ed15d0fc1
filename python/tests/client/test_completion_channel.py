"""Channels from native threads to Python: each kind of channel with each kind of event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from data_bridge import AsyncMongoClient, MongoClient
from data_bridge.connection import completion_channel, event_loop
from data_bridge.connection.completion_channel import Channel, PipeChannel, SocketChannel
from data_bridge.query import progress

Mongo = Database[dict[str, Any]]
ROWS = 300


class TcpChannel(SocketChannel):
    """The pair of sockets that Python makes on Windows."""

    def __init__(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "socketpair", tcp_pair)
            super().__init__()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


class Unwatching(asyncio.SelectorEventLoop):
    """A loop that cannot watch files, as the proactor of Windows."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        raise NotImplementedError


LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.SelectorEventLoop, Unwatching]


@pytest.fixture(params=[PipeChannel, SocketChannel, TcpChannel])
def channel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of the channels that are opened during a test, by event loops and by waits with progress."""
    if os.name == "nt" and request.param is PipeChannel:
        pytest.skip("event loops of Windows watch sockets only")
    monkeypatch.setattr(event_loop, "open_channel", request.param)
    monkeypatch.setattr(event_loop, "_shared", None)
    monkeypatch.setattr(progress, "open_channel", request.param)
    return request.param


@pytest.fixture
def loaded(database: Mongo) -> Mongo:
    database.c.insert_many([{"_id": i, "a": i} for i in range(ROWS)])
    return database


async def reads(uri: str, name: str) -> list[int]:
    async with AsyncMongoClient(uri) as client:
        collection = client[name].c
        found = await asyncio.gather(*[collection.find({"_id": i}).to_dicts() for i in range(ROWS)])
        assert len(await collection.find(batch_size=10).read()) == ROWS
        assert len([document async for document in collection.find(batch_size=10)]) == ROWS
    return [document["_id"] for documents in found for document in documents]


def run(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
    """Run as `asyncio.run` does, in a given loop."""
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.parametrize("new_loop", LOOPS)
def test_awaited_reads(
    mongodb_uri: str, loaded: Mongo, channel: type[Channel], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    opened: list[Channel] = []
    unpatched = channel.__init__
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(channel, "__init__", lambda self: (opened.append(self), unpatched(self))[1])  # type: ignore[func-returns-value]
        for _ in range(3):
            assert run(new_loop(), reads(mongodb_uri, loaded.name)) == list(range(ROWS))
        gc.collect()
    # A loop that watches its channel closes it; the others share one channel and its thread.
    shared = event_loop._shared
    assert (shared is None) == (new_loop is asyncio.SelectorEventLoop)
    assert [each for each in opened if each.receive >= 0] == ([] if shared is None else [shared._channel])


@pytest.mark.parametrize("new_loop", LOOPS)
def test_cancelled_reads(
    mongodb_uri: str, loaded: Mongo, channel: type[Channel], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def use() -> None:
        async with AsyncMongoClient(mongodb_uri) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client[loaded.name].c.find({"$where": "sleep(60000)"}).read(), 0.2)
            assert await client[loaded.name].c.count_documents({}) == ROWS

    run(new_loop(), use())


def test_progress_of_a_wait(mongodb_uri: str, loaded: Mongo, channel: type[Channel]) -> None:
    seen: list[tuple[int, int]] = []
    slowly = {"$where": "this._id != 5 || sleep(350) || true"}
    with MongoClient(mongodb_uri) as client:
        result = (
            client[loaded.name].c.find(slowly, progress=lambda documents, size: seen.append((documents, size))).read()
        )
    assert len(result) == ROWS
    assert len(seen) >= 3


@pytest.mark.parametrize("kind", [PipeChannel, SocketChannel, TcpChannel])
def test_tokens_without_a_reader_delay_no_operation(kind: Callable[[], Channel], client: MongoClient) -> None:
    """More tokens than bytes in a pipe, whose write end blocked: the I/O thread then waited for the event loop."""
    session = client.start_session()
    with session:
        operation = session._core.start_session(session._options)
    operation.wait()
    channel = kind()
    try:
        assert not channel.wait(0)
        for token in range(100_000):
            channel.expect(operation, token)
        assert channel.wait(10)
        assert channel.take() == list(range(100_000))
        assert not channel.wait(0)
        channel.expect(operation, 1 << 63)
        assert channel.take() == [1 << 63]
    finally:
        channel.close()
    with pytest.raises(RuntimeError, match="closed"):
        channel.expect(operation, 0)


def test_the_channel_of_this_platform() -> None:
    channel = completion_channel.open_channel()
    assert type(channel) is (SocketChannel if os.name == "nt" else PipeChannel)
    channel.close()
    channel.close()
    assert channel.receive == -1
