"""What is measured: one function per job. Each imports what it needs, so that a process pays only for its own reader.

A job is a function that makes the work: what the work needs beforehand (imports, a connected client) is not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from shapes import DATABASE, SHAPES

Work = Callable[[], Any]
Job = Callable[[str, str], Work]
JOBS: dict[str, dict[str, Job]] = {}
"""group -> reader -> job. A group's readers answer the same need."""


def job(group: str, reader: str) -> Callable[[Job], Job]:
    def register(function: Job) -> Job:
        JOBS.setdefault(group, {})[reader] = function
        return function

    return register


def touch_all(value: Any) -> int:
    """Read every value of a document, however deep; how many there are."""
    if isinstance(value, Mapping):
        return sum(touch_all(each) for each in value.values())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return sum(touch_all(each) for each in value)
    return 1


def count(documents: Iterator[Any]) -> int:
    return sum(1 for _ in documents)


# ---- the floor -------------------------------------------------------------------------------------------------------


@job("drain", "socket")
def socket_drain(uri: str, shape: str) -> Work:
    from socket_drain import SocketDrain

    drain = SocketDrain(uri)
    return lambda: drain.drain(DATABASE, shape)


# ---- PyMongo ---------------------------------------------------------------------------------------------------------


def pymongo_collection(uri: str, shape: str, raw: bool = False) -> Any:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument
    from pymongo import MongoClient

    client: Any = MongoClient(uri)
    client.admin.command("ping")
    collection = client[DATABASE][shape]
    return collection.with_options(CodecOptions(document_class=RawBSONDocument)) if raw else collection


@job("drain", "pymongo raw batches")
def pymongo_raw_batches(uri: str, shape: str) -> Work:
    collection = pymongo_collection(uri, shape)
    return lambda: sum(len(each) for each in collection.find_raw_batches())


@job("list", "pymongo")
@job("dicts", "pymongo")
def pymongo_list(uri: str, shape: str) -> Work:
    collection = pymongo_collection(uri, shape)
    return lambda: list(collection.find())


@job("list", "pymongo RawBSONDocument")
def pymongo_raw_list(uri: str, shape: str) -> Work:
    collection = pymongo_collection(uri, shape, raw=True)
    return lambda: list(collection.find())


@job("iterate 0", "pymongo")
def pymongo_iterate(uri: str, shape: str) -> Work:
    collection = pymongo_collection(uri, shape)
    return lambda: count(collection.find())


@job("iterate 1", "pymongo")
def pymongo_iterate_one(uri: str, shape: str) -> Work:
    collection, key = pymongo_collection(uri, shape), SHAPES[shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate 1", "pymongo RawBSONDocument")
def pymongo_raw_iterate_one(uri: str, shape: str) -> Work:
    collection, key = pymongo_collection(uri, shape, raw=True), SHAPES[shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate all", "pymongo")
def pymongo_iterate_all(uri: str, shape: str) -> Work:
    collection = pymongo_collection(uri, shape)
    return lambda: sum(touch_all(each) for each in collection.find())


# ---- PyMongoArrow ----------------------------------------------------------------------------------------------------


@job("arrow", "pymongoarrow")
def pymongoarrow_arrow(uri: str, shape: str) -> Work:
    from pymongoarrow.api import find_arrow_all

    collection = pymongo_collection(uri, shape)
    return lambda: find_arrow_all(collection, {})


@job("polars", "pymongoarrow")
def pymongoarrow_polars(uri: str, shape: str) -> Work:
    from pymongoarrow.api import find_polars_all

    collection = pymongo_collection(uri, shape)
    return lambda: find_polars_all(collection, {})


@job("pandas", "pymongoarrow")
def pymongoarrow_pandas(uri: str, shape: str) -> Work:
    from pymongoarrow.api import find_pandas_all

    collection = pymongo_collection(uri, shape)
    return lambda: find_pandas_all(collection, {})


# ---- data_bridge -----------------------------------------------------------------------------------------------------


def our_collection(uri: str, shape: str) -> Any:
    import data_bridge

    client = data_bridge.MongoClient(uri)
    client["admin"].command("ping")
    return client[DATABASE][shape]


def by_method(name: str, needs: str | None) -> Job:
    def make(uri: str, shape: str) -> Work:
        if needs is not None:
            import_module(needs)  # PyMongoArrow's jobs have these imported as well
        collection = our_collection(uri, shape)
        return lambda: getattr(collection.find(), name)()

    return make


for group, method, needs in (
    ("read", "read", None),
    ("arrow", "to_arrow", "pyarrow"),
    ("polars", "to_polars", "polars"),
    ("pandas", "to_pandas", "pandas"),
    ("list", "to_list", None),
    ("dicts", "to_dicts", None),
):
    job(group, "data_bridge")(by_method(method, needs))


@job("iterate 0", "data_bridge")
def our_iterate(uri: str, shape: str) -> Work:
    collection = our_collection(uri, shape)
    return lambda: count(iter(collection.find()))


@job("iterate 1", "data_bridge")
def our_iterate_one(uri: str, shape: str) -> Work:
    collection, key = our_collection(uri, shape), SHAPES[shape].one_key
    return lambda: count(each[key] for each in collection.find())


@job("iterate all", "data_bridge")
def our_iterate_all(uri: str, shape: str) -> Work:
    collection = our_collection(uri, shape)
    return lambda: sum(touch_all(each) for each in collection.find())


@job("stream", "data_bridge")
def our_stream(uri: str, shape: str) -> Work:
    collection = our_collection(uri, shape)
    return lambda: sum(each.num_rows for each in collection.find().stream())
