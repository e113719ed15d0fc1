"""Queries for a part of a collection: two fields of sixty, a pipeline, and small queries with mostly fixed cost."""

from __future__ import annotations

from importlib import import_module
from itertools import cycle
from typing import Any

from jobs import drained, our_collection, pymongo_collection
from registry import Target, Work, group, job, repeat
from shapes import identifier

TWO_OF_SIXTY = {"double_3": 1, "text_5": 1}
PIPELINES: dict[str, list[dict[str, Any]]] = {
    "flat": [{"$match": {"ok": True}}, {"$project": {"name": 1, "x": 1}}],
    "nested": [{"$match": {"total": {"$gt": 450}}}, {"$project": {"customer": 1, "total": 1}}],
}
HUNDRED = 100

group("project arrow", ("wide",))
group("project dicts", ("wide",))
group("aggregate arrow", tuple(PIPELINES))
group("aggregate dicts", tuple(PIPELINES))
group("find_one", ("flat", "nested"), calls=1_000)
group("find of 1", ("flat", "nested"), calls=1_000)
group("find of 100", ("flat", "nested"), calls=500)
group("find of 100, arrow", ("flat", "nested"), calls=500)


def ids() -> cycle[Any]:
    """Yield identifiers in turn, so that no query can use the cache of the one before."""
    return cycle([identifier(index) for index in range(0, 100, 7)])


# ---- two fields of sixty ---------------------------------------------------------------------------------------------


@job("project arrow", "socket")
@job("project dicts", "socket")
def socket_project(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {}, "projection": TWO_OF_SIXTY})


@job("project dicts", "pymongo")
def pymongo_project(target: Target) -> Work:
    collection = pymongo_collection(target)
    return lambda: list(collection.find({}, TWO_OF_SIXTY))


@job("project arrow", "pymongoarrow")
def pymongoarrow_project(target: Target) -> Work:
    api: Any = import_module("pymongoarrow.api")
    collection = pymongo_collection(target)
    return lambda: api.find_arrow_all(collection, {}, projection=TWO_OF_SIXTY)


@job("project arrow", "pymongoarrow threads")
def pymongoarrow_project_threads(target: Target) -> Work:
    api: Any = import_module("pymongoarrow.api")
    collection = pymongo_collection(target)
    return lambda: api.find_arrow_all(collection, {}, projection=TWO_OF_SIXTY, parallelism="threads")


@job("project arrow", "data_bridge")
def our_project_arrow(target: Target) -> Work:
    import_module("pyarrow")
    collection = our_collection(target)
    return lambda: collection.find({}, TWO_OF_SIXTY).to_arrow()


@job("project dicts", "data_bridge")
def our_project_dicts(target: Target) -> Work:
    collection = our_collection(target)
    return lambda: collection.find({}, TWO_OF_SIXTY).to_dicts()


# ---- a pipeline ------------------------------------------------------------------------------------------------------


@job("aggregate arrow", "socket")
@job("aggregate dicts", "socket")
def socket_aggregate(target: Target) -> Work:
    return drained(target, {"aggregate": target.shape, "pipeline": PIPELINES[target.shape], "cursor": {}})


@job("aggregate dicts", "pymongo")
def pymongo_aggregate(target: Target) -> Work:
    collection, pipeline = pymongo_collection(target), PIPELINES[target.shape]
    return lambda: list(collection.aggregate(pipeline))


@job("aggregate arrow", "pymongoarrow")
def pymongoarrow_aggregate(target: Target) -> Work:
    api: Any = import_module("pymongoarrow.api")
    collection, pipeline = pymongo_collection(target), PIPELINES[target.shape]
    return lambda: api.aggregate_arrow_all(collection, pipeline)


@job("aggregate arrow", "data_bridge")
def our_aggregate_arrow(target: Target) -> Work:
    import_module("pyarrow")
    collection, pipeline = our_collection(target), PIPELINES[target.shape]
    return lambda: collection.aggregate(pipeline).to_arrow()


@job("aggregate dicts", "data_bridge")
def our_aggregate_dicts(target: Target) -> Work:
    collection, pipeline = our_collection(target), PIPELINES[target.shape]
    return lambda: collection.aggregate(pipeline).to_dicts()


# ---- small queries ---------------------------------------------------------------------------------------------------


@job("find_one", "socket")
@job("find of 1", "socket")
def socket_one(target: Target) -> Work:
    command = {"find": target.shape, "filter": {"_id": identifier(0)}, "limit": 1, "singleBatch": True}
    return drained(target, command)


@job("find_one", "pymongo")
def pymongo_find_one(target: Target) -> Work:
    collection, asked = pymongo_collection(target), ids()
    return repeat(target.calls, lambda: collection.find_one({"_id": next(asked)}))


@job("find_one", "data_bridge")
def our_find_one(target: Target) -> Work:
    collection, asked = our_collection(target), ids()
    return repeat(target.calls, lambda: collection.find_one({"_id": next(asked)}))


@job("find of 1", "pymongo")
def pymongo_find_of_one(target: Target) -> Work:
    collection, asked = pymongo_collection(target), ids()
    return repeat(target.calls, lambda: list(collection.find({"_id": next(asked)})))


@job("find of 1", "data_bridge")
def our_find_of_one(target: Target) -> Work:
    collection, asked = our_collection(target), ids()
    return repeat(target.calls, lambda: collection.find({"_id": next(asked)}).to_dicts())


@job("find of 100", "socket")
@job("find of 100, arrow", "socket")
def socket_hundred(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {"_id": {"$gte": identifier(0)}}, "limit": HUNDRED})


@job("find of 100", "pymongo")
def pymongo_hundred(target: Target) -> Work:
    collection, asked = pymongo_collection(target), ids()
    return repeat(target.calls, lambda: list(collection.find({"_id": {"$gte": next(asked)}}, limit=HUNDRED)))


@job("find of 100", "data_bridge")
def our_hundred(target: Target) -> Work:
    collection, asked = our_collection(target), ids()
    return repeat(target.calls, lambda: collection.find({"_id": {"$gte": next(asked)}}, limit=HUNDRED).to_dicts())


@job("find of 100, arrow", "pymongoarrow")
def pymongoarrow_hundred(target: Target) -> Work:
    api: Any = import_module("pymongoarrow.api")
    collection, asked = pymongo_collection(target), ids()
    return repeat(target.calls, lambda: api.find_arrow_all(collection, {"_id": {"$gte": next(asked)}}, limit=HUNDRED))


@job("find of 100, arrow", "data_bridge")
def our_hundred_arrow(target: Target) -> Work:
    import_module("pyarrow")
    collection, asked = our_collection(target), ids()
    return repeat(target.calls, lambda: collection.find({"_id": {"$gte": next(asked)}}, limit=HUNDRED).to_arrow())
