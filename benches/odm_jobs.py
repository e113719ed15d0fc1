"""Object mappers: whole collections as instances, and the tasks of MongoDB's ODM benchmark specification.

The specification has flat and nested models, small and large; here a small flat one of six fields, a large nested one
of about 8 kB. Its tasks: create, update, find by a filter on `_id`; each one instance after another, with write concern
w:1. Added is what mappers differ most in: find many, without and with reading what was found, as the specification
measures such tasks: the median of ten iterations in one process. The first find of a process has a group of its own.
PyMongo's dicts stand for the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import cycle
from typing import Any

from bson import ObjectId

from jobs import drained
from odm_mapper import Mapper
from registry import Counted, Job, Target, Work, group, job
from shapes import ALL, DATABASE, MODELS, fields, identifier

SCRATCH = f"{DATABASE}_scratch"
"""The database of the collections in which instances are created and updated."""
FIRST = 20_000
"""Instances per run of the groups over a collection: the slowest of the mappers take 100 us for each."""
READERS = {
    "pymongo": "odm_jobs.PyMongoMapper",
    "beanie": "beanie_models.BeanieMapper",
    "mongoengine": "mongoengine_models.MongoEngineMapper",
    "data_bridge.odm": "our_models.OurMapper",
    "data_bridge.odm async": "our_async_models.OurAsyncMapper",
}

DOCUMENTS = {"data_bridge documents": "odm_jobs.DocumentMapper"}
"""Of the groups that read values only."""

group("models", ("flat", "nested"))
group("models, read 1", ("flat", "nested"))
group("models, read all", ("flat", "nested"))
group("create", tuple(MODELS), calls=1_000)
group("update", tuple(MODELS), calls=1_000)
group("find by filter", tuple(MODELS), calls=1_000)
group("find many", tuple(MODELS), iterations=10)
group("find many, first", tuple(MODELS))
group("find many, read all", tuple(MODELS), iterations=10)


class PyMongoMapper(Mapper):
    """Jobs without a mapper: dicts, and the statements of a program on them."""

    def __init__(self, target: Target, database: str) -> None:
        from pymongo import MongoClient

        client: Any = MongoClient(target.uri)
        client.admin.command("ping")
        self._collection = client[database][target.shape]
        self._key = updated(target.shape)

    def first(self, limit: int) -> Any:
        return list(self._collection.find(limit=limit))

    def many(self) -> Any:
        return list(self._collection.find({"number": {"$gte": 0}}))

    def one(self, id: Any) -> Any:
        return self._collection.find_one({"_id": id})

    def create(self, values: dict[str, Any]) -> Any:
        return self._collection.insert_one(dict(values))

    def update(self, instance: Any, value: int) -> Any:
        return self._collection.update_one({"_id": instance["_id"]}, {"$set": {self._key: value}})

    def read(self, instance: Any, key: str) -> Any:
        return instance[key]


class DocumentMapper(Mapper):
    """Reading without a mapper: the lazy documents of this package, the measure of what models add."""

    def __init__(self, target: Target, database: str) -> None:
        import data_bridge

        client = data_bridge.MongoClient(target.uri)
        client["admin"].command("ping")
        self._collection = client[database][target.shape]

    def first(self, limit: int) -> Any:
        return self._collection.find(limit=limit).to_list()

    def many(self) -> Any:
        return self._collection.find({"number": {"$gte": 0}}).to_list()

    def read(self, instance: Any, key: str) -> Any:
        return instance[key]


def mapper(reader: str, target: Target, database: str = DATABASE) -> Mapper:
    module, _, name = (READERS | DOCUMENTS)[reader].partition(".")
    found: Mapper = getattr(import_module(module), name)(target, database)
    return found


def updated(shape: str) -> str:
    """Return the field that updates set."""
    return "score" if shape == "small" else "profile.visits"


def touch(read: Callable[[Any, str], Any], value: Any, tree: Any) -> int:
    """Read all declared fields of an instance; return the number of values."""
    if isinstance(tree, dict):
        return sum(touch(read, read(value, key), each) for key, each in tree.items())
    if isinstance(tree, list):
        return sum(touch(read, each, tree[0]) for each in value)
    return 1


def with_w1(target: Target) -> Target:
    """Set the specification's write concern; otherwise a replica set's waits for the disk would hide the clients."""
    uri = target.uri if "?" in target.uri else f"{target.uri.rstrip('/')}/?"
    return target._replace(uri=f"{uri}&w=1".replace("?&", "?"))


def scratch(target: Target, copied: int) -> Callable[[dict[str, Any]], int]:
    """Fill the scratch collection with only `copied` documents of the shape; return a function that counts them."""
    from pymongo import MongoClient

    client: Any = MongoClient(target.uri)
    collection = client[SCRATCH][target.shape]
    collection.drop()
    if copied:
        out = {"$out": {"db": SCRATCH, "coll": target.shape}}
        client[DATABASE][target.shape].aggregate([{"$sort": {"_id": 1}}, {"$limit": copied}, out])

    def count(filter: dict[str, Any]) -> int:
        found: int = collection.count_documents(filter)
        return found

    return count


def sample(shape: str) -> dict[str, Any]:
    """Return the values of the new instances."""
    import random

    return ALL[shape].make(random.Random(shape), 0)


# ---- the floor -------------------------------------------------------------------------------------------------------


@job("models", "socket")
@job("models, read 1", "socket")
@job("models, read all", "socket")
def socket_first(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {}, "limit": FIRST})


@job("find many", "socket")
@job("find many, first", "socket")
@job("find many, read all", "socket")
def socket_many(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {"number": {"$gte": 0}}})


@job("find many", "socket projected")
@job("find many, first", "socket projected")
@job("find many, read all", "socket projected")
def socket_many_projected(target: Target) -> Work:
    """Send the find of `data_bridge.odm`: models project their declared keys, which costs server time."""
    keys = {"_id": 1} | dict.fromkeys(fields(target.shape), 1)
    return drained(target, {"find": target.shape, "filter": {"number": {"$gte": 0}}, "projection": keys})


@job("find by filter", "socket")
def socket_one(target: Target) -> Work:
    return drained(target, {"find": target.shape, "filter": {"_id": identifier(0)}, "limit": 1, "singleBatch": True})


def socket_writes(target: Target, commands: list[dict[str, Any]]) -> Callable[[], None]:
    from socket_drain import SocketDrain

    drain = SocketDrain(target.uri)

    def work() -> None:
        for command in commands:
            drain.run(SCRATCH, command | {"writeConcern": {"w": 1}})

    return work


@job("create", "socket")
def socket_create(target: Target) -> Work:
    counted = scratch(target, 0)
    # The key order of drivers: `_id` first. The server would add it at the end.
    documents: list[dict[str, Any]] = [{"_id": ObjectId(), **sample(target.shape)} for _ in range(target.calls)]
    work = socket_writes(target, [{"insert": target.shape, "documents": [each]} for each in documents])
    return lambda: Counted(work(), lambda: counted({}))


@job("update", "socket")
def socket_update(target: Target) -> Work:
    counted, key = scratch(target, target.calls), updated(target.shape)
    work = socket_writes(
        target,
        [
            {"update": target.shape, "updates": [{"q": {"_id": identifier(index)}, "u": {"$set": {key: -1 - index}}}]}
            for index in range(target.calls)
        ],
    )
    return lambda: Counted(work(), lambda: counted({key: {"$lt": 0}}))


# ---- the mappers -----------------------------------------------------------------------------------------------------


def first(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        models = mapper(reader, target)
        return models.work(1, lambda: models.first(FIRST))

    return prepare


def first_and_read(reader: str, everything: bool) -> Job:
    def prepare(target: Target) -> Work:
        models = mapper(reader, target)
        read, tree = models.read, fields(target.shape) if everything else {ALL[target.shape].one_key: None}
        run = models.work(1, lambda: models.first(FIRST))
        return lambda: sum(touch(read, each, tree) for each in run())

    return prepare


def many(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        models = mapper(reader, target)
        return models.work(1, models.many)

    return prepare


def many_and_read(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        models = mapper(reader, target)
        read, tree, run = models.read, fields(target.shape), models.work(1, models.many)
        return lambda: sum(touch(read, each, tree) for each in run())

    return prepare


def one(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        models = mapper(reader, target)
        asked = cycle([identifier(index) for index in range(100)])
        return models.work(target.calls, lambda: models.one(next(asked)))

    return prepare


def create(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        counted, values = scratch(target, 0), sample(target.shape)
        models = mapper(reader, with_w1(target), SCRATCH)
        work = models.work(target.calls, lambda: models.create(values))
        return lambda: Counted(work(), lambda: counted({}))

    return prepare


def update(reader: str) -> Job:
    def prepare(target: Target) -> Work:
        counted, key = scratch(target, target.calls), updated(target.shape)
        models = mapper(reader, with_w1(target), SCRATCH)
        instances = enumerate(models.now(lambda: models.first(target.calls)))

        def one_update() -> Any:
            index, instance = next(instances)
            return models.update(instance, -1 - index)

        work = models.work(target.calls, one_update)
        return lambda: Counted(work(), lambda: counted({key: {"$lt": 0}}))

    return prepare


for _reader in READERS | DOCUMENTS:
    job("models", _reader)(first(_reader))
    job("models, read 1", _reader)(first_and_read(_reader, everything=False))
    job("models, read all", _reader)(first_and_read(_reader, everything=True))
    job("find many, read all", _reader)(many_and_read(_reader))

for _reader in READERS:
    job("create", _reader)(create(_reader))
    job("update", _reader)(update(_reader))
    job("find by filter", _reader)(one(_reader))
    job("find many", _reader)(many(_reader))
    job("find many, first", _reader)(many(_reader))
