"""Asynchronous reads that must return exactly the stored rows, and ways to abandon one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pyarrow as pa

from data_bridge import AsyncMongoClient
from soak.counts import Cancelled
from soak.rows import DATABASE, SCHEMA, Want
from soak.sources import CLIENT, AsyncSource, options

Way = Callable[[AsyncSource, Want, random.Random], Awaitable[None]]


def _find(source: AsyncSource, want: Want, rng: random.Random) -> Any:
    return source[want].find(want.filter, **options(rng, want))


async def to_arrow(source: AsyncSource, want: Want, rng: random.Random) -> None:
    want.table(found := await _find(source, want, rng).to_arrow())
    want.whole(len(found))


async def to_polars(source: AsyncSource, want: Want, rng: random.Random) -> None:
    want.table(found := (await _find(source, want, rng).to_polars()).to_arrow().cast(SCHEMA))
    want.whole(len(found))


async def to_list(source: AsyncSource, want: Want, rng: random.Random) -> None:
    want.all_documents([each.to_dict() for each in await _find(source, want, rng).to_list()])


async def iterate(source: AsyncSource, want: Want, rng: random.Random) -> None:
    count = 0
    async for document in _find(source, want, rng):
        want.document(count, document.to_dict())
        count += 1
    want.whole(count)


async def stream(source: AsyncSource, want: Want, rng: random.Random) -> None:
    count = 0
    async with _find(source, want, rng).stream(infer_rows=rng.choice([1, 50, 10_000])) as batches:
        async for batch in batches:
            want.table(pa.table(batch), count)
            count += len(batch)
    want.whole(count)


async def aggregate(source: AsyncSource, want: Want, rng: random.Random) -> None:
    query = source[want].aggregate(want.stages, batch_size=rng.choice([10, 200, 5_000]), timeout=10)
    want.all_documents(await query.to_dicts())


async def find_one(source: AsyncSource, want: Want, rng: random.Random) -> None:
    found = await source[want].find_one({"_id": want.low})
    Want(want.shape, want.low, want.low + 1).all_documents([] if found is None else [found.to_dict()])


async def count(source: AsyncSource, want: Want, rng: random.Random) -> None:
    want.whole(await source[want].count_documents(want.filter))


async def in_session(source: AsyncSource, want: Want, rng: random.Random) -> None:
    async with source.client.start_session() as session, session.start_transaction():
        want.all_documents(await source[want].find(want.filter, sort="_id", session=session).to_dicts())


async def models(source: AsyncSource, want: Want, rng: random.Random) -> None:
    model = source.models[want.shape.name]
    number = 0
    async for each in model.find(model.id >= want.low, model.id < want.high).sort(model.id):
        want.document(number, each.model_dump(by_alias=True))
        number += 1
    want.whole(number)


ASYNC_READS: dict[str, Way] = {
    f"async {each.__name__}": each
    for each in (to_arrow, to_polars, to_list, iterate, stream, aggregate, find_one, count, in_session, models)
}


async def leave_loop(source: AsyncSource, want: Want, rng: random.Random) -> None:
    position, last = 0, rng.randint(0, 100)
    async for document in source[want].find(want.filter, sort="_id", batch_size=10, timeout=10):
        want.document(position, document.to_dict())
        if position == last:
            break
        position += 1


async def abandon_iterator(source: AsyncSource, want: Want, rng: random.Random) -> None:
    rows = aiter(source[want].find(want.filter, sort="_id", batch_size=10, timeout=10))
    want.document(0, (await anext(rows)).to_dict())


async def leave_stream(source: AsyncSource, want: Want, rng: random.Random) -> None:
    batches = source[want].find(want.filter, sort="_id", batch_size=20, timeout=10).stream(infer_rows=10)
    want.table(pa.table(await anext(batches)))
    if rng.random() < 0.5:
        await batches.aclose()


async def cancel(source: AsyncSource, want: Want, rng: random.Random) -> None:
    """Cancel any other read after some milliseconds."""
    way = ASYNC_READS[rng.choice(list(ASYNC_READS))]
    task = asyncio.ensure_future(way(source, want, rng))
    await asyncio.wait([task], timeout=rng.choice([0, 0.001, 0.01, 0.1]))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        raise Cancelled from None


async def close_client(source: AsyncSource, want: Want, rng: random.Random) -> None:
    """Close a separate client while its reads run."""
    client = AsyncMongoClient(source.uri, appName=source.name, **CLIENT)
    try:
        rows = aiter(client[DATABASE][want.shape.name].find(want.filter, sort="_id", batch_size=5, timeout=10))
        task = asyncio.ensure_future(client[DATABASE][want.shape.name].find(want.filter, timeout=10).to_list())
        await asyncio.wait([task], timeout=rng.choice([0, 0.001, 0.01]))
    finally:
        await client.close()
    found, nothing = await asyncio.gather(task, anext(rows), return_exceptions=True)
    for each in (nothing, found):
        if isinstance(each, BaseException):
            raise each


ASYNC_LEAVES: dict[str, Way] = {
    f"async {each.__name__}": each for each in (leave_loop, abandon_iterator, leave_stream, cancel, close_client)
}
