"""A real server for every test that means one, and a database of its own for each."""

from __future__ import annotations

import decimal
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
import pymongo
import pytest
from hypothesis import HealthCheck, settings
from pymongo.database import Database

import mongod

if TYPE_CHECKING:
    from proxy import Proxy
    from servers import Admin, Reader

    import data_bridge

ROOT = Path(__file__).parents[2]

# The speed of a machine in drawing examples is no property of the code.
# A tool that watches each access makes each of them some ten times slower.
# The same examples each time, so that a change is tested by what it changes. `make test-slow` draws new ones.
settings.register_profile(
    "data_bridge",
    deadline=None,
    derandomize="DATA_BRIDGE_NEW_EXAMPLES" not in os.environ,
    max_examples=10 if "DATA_BRIDGE_SANITIZED" in os.environ else 100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("data_bridge")


def _read_as_specified() -> None:
    """Make an older PyMongo the oracle that later ones are: it rounds coefficients of over 34 digits, or raises."""
    read = bson.Decimal128.to_decimal

    def to_decimal(self: bson.Decimal128) -> decimal.Decimal:
        high = int.from_bytes(self.bid[8:], "little")
        coefficient = (high & (1 << 49) - 1) << 64 | int.from_bytes(self.bid[:8], "little")
        if high >> 61 & 3 != 3 and coefficient >= 10**34:
            return decimal.Decimal((high >> 63, (0,), (high >> 49 & 0x3FFF) - 6176))
        return read(self)

    bson.Decimal128.to_decimal = to_decimal  # type: ignore[method-assign]


if pymongo.version_tuple < (4, 20):
    _read_as_specified()

# A shell starts background jobs with SIGINT ignored; Ctrl-C is tested there, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """$MONGODB_URI, or a mongod started for this run."""
    with mongod.mongodb_uri() as uri:
        yield uri


@pytest.fixture(scope="session")
def pymongo_client(mongodb_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """PyMongo's client: loads what tests read, and is the oracle of what they must find."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        yield client


@pytest.fixture
def database(pymongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """PyMongo's view of a database that is the test's own, dropped after it."""
    name = f"data_bridge_test_{uuid.uuid4().hex}"
    yield pymongo_client[name]
    pymongo_client.drop_database(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module with `BOTH_SIDES = True` for the synchronous and the asynchronous client."""
    if getattr(metafunc.module, "BOTH_SIDES", False):
        for name in {"client", "named"} & {*metafunc.fixturenames}:
            metafunc.parametrize(name, ["synchronous", "asynchronous"], indirect=True)


@pytest.fixture
def client(request: pytest.FixtureRequest, mongodb_uri: str) -> Iterator[data_bridge.MongoClient]:
    """Our client. Imported here, so that tests of scripts run where the extension is not built."""
    from both_sides import opened

    with opened(getattr(request, "param", "synchronous"), mongodb_uri) as client:
        yield client


@pytest.fixture(scope="session")
def faulty_uri() -> Iterator[str]:
    """A mongod of their own for tests that break their server: they count its cursors."""
    with mongod.embedded_mongod() as uri:
        yield uri


@pytest.fixture(scope="module")
def proxy(admin: Admin) -> Iterator[Proxy]:
    """In front of that mongod; `admin`, which loads its data, is each module's own."""
    from proxy import Proxy

    assert admin.address is not None
    proxy = Proxy(admin.address)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def reader(proxy: Proxy) -> Iterator[Reader]:
    """Reads through the proxy, every way."""
    import servers

    with servers.reader(proxy.uri) as reader:
        yield reader


@pytest.fixture
def named(request: pytest.FixtureRequest, mongodb_uri: str) -> Iterator[data_bridge.MongoClient]:
    """Our client with the name that the fail points of write_fail_points.py are for."""
    from both_sides import opened
    from write_fail_points import NAME

    with opened(getattr(request, "param", "synchronous"), mongodb_uri, appName=NAME) as client:
        yield client
