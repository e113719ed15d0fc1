"""The collections that distributed engines are tested with, and tasks that die once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import partition_keys
import pushdown_zoo as zoo
import pyarrow as pa
import pymongo

import mongod

SECRET = "hunter2-and-more"
KEPT_URI = "DATA_BRIDGE_KEPT_URI"
"""The environment variable with the URI of the server that has users."""


@contextmanager
def loaded(client: Any, name: str) -> Iterator[Any]:
    """PyMongo's database with the zoo in `c`, documents with ids of 18 types in `ids`, and 20,000 rows in `rows`."""
    database = client[name]
    client.drop_database(database)
    database.c.insert_many(zoo.documents())
    partition_keys.insert(database.ids)
    database.rows.insert_many([{"_id": n, "a": n, "b": n / 2, "s": str(n)} for n in range(20_000)])
    yield database
    client.drop_database(database)


@contextmanager
def kept() -> Iterator[str]:
    """The URI of a mongod with a user, password included; it is also set in the environment."""
    with mongod.embedded_mongod("--auth", replica_set=False) as uri:
        with pymongo.MongoClient[Any](uri) as first:
            first.admin.command("createUser", "keeper", pwd=SECRET, roles=["root"])
        full = uri.replace("mongodb://", f"mongodb://keeper:{SECRET}@")
        with pymongo.MongoClient[Any](full) as keeper:
            keeper.t.c.insert_many([{"_id": n, "a": n} for n in range(500)])
        os.environ[KEPT_URI] = full
        try:
            yield full
        finally:
            del os.environ[KEPT_URI]


def values(table: pa.Table) -> str:
    """Return the types and the values of a table as text, in which NaN equals NaN; dates as numbers."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(position, f"{field.name}: {field.type}", table.column(position).cast(pa.int64()))
    return f"{[(field.name, str(field.type)) for field in table.schema]}: {table.to_pylist()}"


def die_once(mark: str, stored: Callable[[], int] = lambda: 0) -> None:
    """Kill this process, unless a file says that a process has died of it before.

    Parameters
    ----------
    stored
        The number of rows that are stored. The file gets it, when there are some or none come.
    """
    try:
        file = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    until = time.monotonic() + 5
    while not (count := stored()) and time.monotonic() < until:
        time.sleep(0.05)
    os.write(file, str(count).encode())
    os.kill(os.getpid(), signal.SIGKILL)


def files_with(text: str, directory: Path) -> list[str]:
    """Return the files below a directory that hold a text."""
    return [str(path) for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
