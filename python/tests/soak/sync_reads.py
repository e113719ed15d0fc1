"""Synchronous reads that must return exactly the stored rows, and ways to abandon one."""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pyarrow as pa

from data_bridge import DataBridgeError, MongoClient
from soak.rows import DATABASE, SCHEMA, Want
from soak.sources import CLIENT, Source, options


def _find(source: Source, want: Want, rng: random.Random) -> Any:
    return source[want].find(want.filter, **options(rng, want))


def to_arrow(source: Source, want: Want, rng: random.Random) -> None:
    want.table(found := _find(source, want, rng).to_arrow())
    want.whole(len(found))


def arrow_consumer(source: Source, want: Want, rng: random.Random) -> None:
    want.table(found := pa.table(_find(source, want, rng)))
    want.whole(len(found))


def to_polars(source: Source, want: Want, rng: random.Random) -> None:
    frame = _find(source, want, rng).to_polars()
    want.whole(frame.height)
    assert isinstance(frame, pl.DataFrame)
    want.table(frame.to_arrow().cast(SCHEMA))


def to_list(source: Source, want: Want, rng: random.Random) -> None:
    want.all_documents([each.to_dict() for each in _find(source, want, rng).to_list()])


def to_dicts(source: Source, want: Want, rng: random.Random) -> None:
    want.all_documents(_find(source, want, rng).to_dicts())


def iterate(source: Source, want: Want, rng: random.Random) -> None:
    count = 0
    for document in _find(source, want, rng):
        want.document(count, document.to_dict())
        count += 1
    want.whole(count)


def stream(source: Source, want: Want, rng: random.Random) -> None:
    count = 0
    with _find(source, want, rng).stream(infer_rows=rng.choice([1, 50, 10_000])) as batches:
        for batch in batches:
            want.table(pa.table(batch), count)
            count += len(batch)
    want.whole(count)


def given_schema(source: Source, want: Want, rng: random.Random) -> None:
    want.table(found := source[want].find(want.filter, schema=SCHEMA, **options(rng, want)).to_arrow())
    want.whole(len(found))


def aggregate(source: Source, want: Want, rng: random.Random) -> None:
    found = source[want].aggregate(want.stages, batch_size=rng.choice([10, 200, 5_000]), timeout=10).to_dicts()
    want.all_documents(found)


def find_one(source: Source, want: Want, rng: random.Random) -> None:
    one = Want(want.shape, want.low, want.low + 1)
    found = source[want].find_one({"_id": want.low})
    one.all_documents([] if found is None else [found.to_dict()])


def count(source: Source, want: Want, rng: random.Random) -> None:
    want.whole(source[want].count_documents(want.filter))


def in_session(source: Source, want: Want, rng: random.Random) -> None:
    with source.client.start_session() as session:
        if rng.random() < 0.5:
            want.all_documents(source[want].find(want.filter, sort="_id", session=session).to_dicts())
        else:
            with session.start_transaction():
                want.all_documents(source[want].find(want.filter, sort="_id", session=session).to_dicts())


def models(source: Source, want: Want, rng: random.Random) -> None:
    model = source.models[want.shape.name]
    rows = model.find(model.id >= want.low, model.id < want.high).sort(model.id)
    found = rows.to_list() if rng.random() < 0.5 else rows
    number = 0
    for each in found:
        want.document(number, each.model_dump(by_alias=True))
        number += 1
    want.whole(number)


READS: dict[str, Callable[[Source, Want, random.Random], None]] = {
    each.__name__: each
    for each in (
        to_arrow,
        arrow_consumer,
        to_polars,
        to_list,
        to_dicts,
        iterate,
        stream,
        given_schema,
        aggregate,
        find_one,
        count,
        in_session,
        models,
    )
}


def _begun(source: Source, want: Want, rng: random.Random) -> Iterator[Any]:
    """Return an iterator after its first rows."""
    rows: Iterator[Any] = iter(source[want].find(want.filter, sort="_id", batch_size=rng.randint(2, 50), timeout=10))
    _some(rows, want, 0, rng.randint(1, 20))
    return rows


def _some(rows: Iterator[Any], want: Want, start: int, count: int) -> int:
    """Take up to `count` rows, fewer only at the end; return the number of rows taken so far."""
    taken = start
    for document in itertools.islice(rows, count):
        want.document(taken, document.to_dict())
        taken += 1
    if taken < start + count:
        want.whole(taken)
    return taken


def leave_loop(source: Source, want: Want, rng: random.Random) -> None:
    last = rng.randint(0, 100)
    for position, document in enumerate(source[want].find(want.filter, sort="_id", batch_size=10, timeout=10)):
        want.document(position, document.to_dict())
        if position == last:
            break


def abandon_iterator(source: Source, want: Want, rng: random.Random) -> None:
    _begun(source, want, rng)


def abandon_generator(source: Source, want: Want, rng: random.Random) -> None:
    generator = (document["_id"] for document in _begun(source, want, rng))
    next(generator, None)


def lose_in_a_cycle(source: Source, want: Want, rng: random.Random) -> None:
    holder: list[Any] = [_begun(source, want, rng)]
    holder.append(holder)
    del holder
    gc.collect(0)


def close_iterator(source: Source, want: Want, rng: random.Random) -> None:
    rows: Any = _begun(source, want, rng)
    rows.close()
    assert next(rows, None) is None


def leave_stream(source: Source, want: Want, rng: random.Random) -> None:
    batches = source[want].find(want.filter, sort="_id", batch_size=20, timeout=10).stream(infer_rows=10)
    batch = next(batches, None)
    if batch is not None:
        want.table(pa.table(batch))
    if rng.random() < 0.5:
        batches.close()


def drop_capsule(source: Source, want: Want, rng: random.Random) -> None:
    source[want].find(want.filter, batch_size=10, timeout=10).stream(infer_rows=10).__arrow_c_stream__()


def close_client(source: Source, want: Want, rng: random.Random) -> None:
    """Close a separate client during iterations: they raise an error, or end with the rows that they had received."""
    failed: DataBridgeError | None = None
    with MongoClient(source.uri, appName=source.name, **CLIENT) as client:
        own = client[DATABASE][want.shape.name]
        kept = [iter(own.find(want.filter, sort="_id", batch_size=20)) for _ in range(rng.randint(1, 4))]
        taken = [_some(rows, want, 0, 3) for rows in kept]
        client.close()
        for rows, start in zip(kept, taken, strict=True):
            try:
                _some(rows, want, start, want.high)
            except DataBridgeError as error:
                failed = error
    if failed is not None:
        raise failed


LEAVES: dict[str, Callable[[Source, Want, random.Random], None]] = {
    each.__name__: each
    for each in (
        leave_loop,
        abandon_iterator,
        abandon_generator,
        lose_in_a_cycle,
        close_iterator,
        leave_stream,
        drop_capsule,
        close_client,
    )
}
