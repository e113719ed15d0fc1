"""Jobs on whole collections, measured for every reader and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any

import bson
from bson import Int64, ObjectId

from registry import Counted, Job, Target, Work, group, job
from shapes import ALL, DATABASE

for _name in (
    "drain",
    "read",
    "arrow",
    "arrow, third read",
    "polars",
    "pandas",
    "list",
    "dicts",
    "iterate 0",
    "iterate 1",
    "iterate all",
):
    group(_name)
group("stream")


LEAVES = frozenset({str, int, float, bool, type(None), bytes, datetime, ObjectId, Int64})


def touch_all(document: Mapping[str, Any] | Sequence[Any]) -> int:
    """Read every value of a document at any depth; return their number."""
    values = document.values() if isinstance(document, Mapping) else document
    # The type is tested first: an isinstance check for Mapping takes longer than reading the value.
    return sum(1 if type(value) in LEAVES else touch_all(value) for value in values)


def count(documents: Iterator[Any]) -> int:
    return sum(1 for _ in documents)


# ---- the floor -------------------------------------------------------------------------------------------------------


def drained(target: Target, command: dict[str, Any]) -> Work:
    """Run the command on a bare socket, and drop its replies."""
    from socket_drain import SocketDrain, count_documents

    drain = SocketDrain(target.uri)

    def work() -> Counted:
        size = 0
        for _ in range(target.calls):
            size += drain.drain(DATABASE, command)
        return Counted(size, lambda: count_documents(drain, DATABASE, command)[0])

    return work


@job("drain", "socket")
def socket_drain(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {}})


SIZED_REPLY_BYTES = 1 << 20


@job("drain", "socket sized")
def sized_drain(target: Target) -> Work:
    """Request replies of about a megabyte: the server makes one while another one is received."""
    from socket_drain import SocketDrain

    drain = SocketDrain(target.uri)
    size = bson.decode(drain.run(DATABASE, {"dataSize": f"{DATABASE}.{target.shape}", "estimate": True}))
    drain.close()
    documents = round(SIZED_REPLY_BYTES * size["numObjects"] / size["size"])
    return drained(target, {"find": target.shape, "filter": {}, "batchSize": documents})


# ---- PyMongo ---------------------------------------------------------------------------------------------------------


def pymongo_collection(target: Target, raw: bool = False) -> Any:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument
    from pymongo import MongoClient

    client: Any = MongoClient(target.uri)
    client.admin.command("ping")
    collection = client[DATABASE][target.shape]
    return collection.with_options(CodecOptions(document_class=RawBSONDocument)) if raw else collection


@job("drain", "pymongo raw batches")
def pymongo_raw_batches(target: Target) -> Work:
    collection, lazily = pymongo_collection(target), pymongo_collection(target, raw=True).codec_options

    def documents() -> int:
        return sum(len(bson.decode_all(each, lazily)) for each in collection.find_raw_batches())

    return lambda: Counted(sum(len(each) for each in collection.find_raw_batches()), documents)


@job("list", "pymongo")
@job("dicts", "pymongo")
def pymongo_list(target: Target) -> Work:
    collection = pymongo_collection(target)
    return lambda: list(collection.find())


@job("list", "pymongo RawBSONDocument")
def pymongo_raw_list(target: Target) -> Work:
    collection = pymongo_collection(target, raw=True)
    return lambda: list(collection.find())


@job("iterate 0", "pymongo")
def pymongo_iterate(target: Target) -> Work:
    collection = pymongo_collection(target)
    return lambda: count(collection.find())


@job("iterate 1", "pymongo")
def pymongo_iterate_one(target: Target) -> Work:
    collection, key = pymongo_collection(target), ALL[target.shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate 1", "pymongo RawBSONDocument")
def pymongo_raw_iterate_one(target: Target) -> Work:
    collection, key = pymongo_collection(target, raw=True), ALL[target.shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate all", "pymongo")
def pymongo_iterate_all(target: Target) -> Work:
    collection = pymongo_collection(target)
    return lambda: sum(touch_all(each) for each in collection.find())


# ---- PyMongoArrow ----------------------------------------------------------------------------------------------------


def by_pymongoarrow(kind: str, **options: Any) -> Job:
    def make(target: Target) -> Work:
        find: Any = getattr(import_module("pymongoarrow.api"), f"find_{kind}_all")
        collection = pymongo_collection(target)
        return lambda: find(collection, {}, **options)

    return make


for _kind in ("arrow", "polars", "pandas"):
    job(_kind, "pymongoarrow")(by_pymongoarrow(_kind))
    job(_kind, "pymongoarrow threads")(by_pymongoarrow(_kind, parallelism="threads"))


# ---- data_bridge -----------------------------------------------------------------------------------------------------


def our_collection(target: Target) -> Any:
    import data_bridge

    client = data_bridge.MongoClient(target.uri)
    client["admin"].command("ping")
    return client[DATABASE][target.shape]


def by_method(method: str, needs: str | None) -> Job:
    def make(target: Target) -> Work:
        if needs is not None:
            import_module(needs)  # PyMongoArrow's jobs have these imported as well
        collection = our_collection(target)
        return lambda: getattr(collection.find(), method)()

    return make


for _name, _method, _needs in (
    ("read", "read", None),
    ("arrow", "to_arrow", "pyarrow"),
    ("polars", "to_polars", "polars"),
    ("pandas", "to_pandas", "pandas"),
    ("list", "to_list", None),
    ("dicts", "to_dicts", None),
):
    job(_name, "data_bridge")(by_method(_method, _needs))


@job("arrow, third read", "data_bridge")
def our_third_arrow(target: Target) -> Work:
    """Read into memory that the process has used before."""
    collection = our_collection(target)
    for _ in range(2):
        collection.find().to_arrow()
    return lambda: collection.find().to_arrow()


@job("drain", "data_bridge raw")
def our_drain(target: Target) -> Work:
    """Read the driver's raw batches in the runtime and allocator of our reads, and drop them without decoding."""
    collection = our_collection(target)
    query, total = collection.find(), collection.count_documents({})
    return lambda: Counted(query._plan.start(None, eager=True)._drain(), lambda: total)


@job("iterate 0", "data_bridge")
def our_iterate(target: Target) -> Work:
    collection = our_collection(target)
    return lambda: count(iter(collection.find()))


@job("iterate 1", "data_bridge")
def our_iterate_one(target: Target) -> Work:
    collection, key = our_collection(target), ALL[target.shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate all", "data_bridge")
def our_iterate_all(target: Target) -> Work:
    collection = our_collection(target)
    return lambda: sum(touch_all(each) for each in collection.find())


@job("stream", "data_bridge")
def our_stream(target: Target) -> Work:
    collection = our_collection(target)
    return lambda: sum(each.num_rows for each in collection.find().stream())


# ---- xlr8 ------------------------------------------------------------------------------------------------------------


@job("polars", "xlr8", only=("flat",))
def xlr8_polars(target: Target) -> Work:
    """Use a schema written by hand: with xlr8's types for integers and booleans, release 0.1.10 fails.

    It always writes its Parquet cache, here to a directory of its own; it is not read.
    """
    import os
    from datetime import datetime, timezone
    from tempfile import TemporaryDirectory

    xlr8: Any = import_module("xlr8")
    types = xlr8.Types
    schema = xlr8.Schema(
        time_field="at",
        fields={
            "_id": types.ObjectId(),
            "a": types.Any(),
            "b": types.Any(),
            "x": types.Float(),
            "name": types.String(),
            "ok": types.Any(),
            "at": types.Timestamp("ms", tz="UTC"),
        },
        avg_doc_size_bytes=160,
    )
    accelerated = xlr8.accelerate(pymongo_collection(target), schema, target.uri)
    times = {"$gte": datetime(2024, 1, 1, tzinfo=timezone.utc), "$lt": datetime(2024, 1, 2, tzinfo=timezone.utc)}
    directory = TemporaryDirectory(prefix="xlr8-")
    os.chdir(directory.name)

    def work() -> Any:
        assert directory
        return accelerated.find({"at": times}).to_polars(cache_read=False)

    return work
