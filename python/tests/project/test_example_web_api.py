"""The API of examples/web_api.py: by FastAPI's test client, and as a server under load with slow and lost clients."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from bson import Decimal128, ObjectId
from cursors import wait_until_closed, wait_until_open
from pymongo.database import Database

httpx = pytest.importorskip("httpx2")  # as starlette's test client
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

EXAMPLES = Path(__file__).parents[3] / "examples"
WAIT = 30.0
PLACED = dt.datetime(2024, 5, 6)
ORDERS = 50_000
PRODUCT = "p" * 1000
RESULT = ORDERS * 3 * len(PRODUCT)
"""Bytes of a large result: more than a query reads ahead, which is 32 MB, and than any part of it takes."""
BOUNDED = 100 << 20
"""Bytes that a process may grow by: what is read ahead, as documents, and what is being sent."""
ADA = {"name": "Ada", "email": "Ada@Example.org", "age": 36, "address": {"street": "Main", "city": "Oslo"}}

Mongo = Database[dict[str, Any]]


@pytest.fixture(scope="module")
def web_api() -> Iterator[Any]:
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("web_api")
    sys.path.remove(str(EXAMPLES))


@pytest.fixture
def api(web_api: Any, mongodb_uri: str, database: Mongo) -> Iterator[Any]:
    """FastAPI's test client."""
    from fastapi.testclient import TestClient

    with TestClient(web_api.create_app(mongodb_uri, database.name)) as client:
        yield client


def test_bodies_and_responses(api: Any, database: Mongo) -> None:
    added = api.post("/customers", json=ADA)
    assert added.status_code == 201, added.text
    ada = added.json()
    stored = database["customers"].find_one()
    assert stored is not None
    assert (stored["email"], stored["address"]) == ("ada@example.org", ADA["address"])
    assert {key: ada[key] for key in ("_id", "name", "email", "age", "address", "tags")} == {
        **ADA, "_id": str(stored["_id"]), "email": "ada@example.org", "tags": []
    }  # fmt: skip
    assert ada["joined"].endswith("Z")
    assert api.get(f"/customers/{ada['_id']}").json() == ada
    assert api.get("/customers").json() == {"total": 1, "customers": [ada]}
    changed = api.patch(f"/customers/{ada['_id']}", json={"age": None, "address": {"street": "Quay", "city": "Bergen"}})
    assert changed.json() == {**ada, "age": None, "address": {"street": "Quay", "city": "Bergen"}}
    order = api.post("/orders", json={"customer": ada["_id"], "lines": [{"product": "pen", "price": "1.10"}]})
    assert order.json()["customer"] == ada["_id"]
    assert order.json()["lines"] == [{"product": "pen", "quantity": 1, "price": "1.10"}]
    assert api.get(f"/customers/{ada['_id']}/orders").json() == [order.json()]
    assert api.post("/customers", json=ADA).status_code == 409
    assert api.delete(f"/customers/{ada['_id']}").status_code == 204
    assert api.get(f"/customers/{ada['_id']}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "location"),
    [
        ("post", "/customers", {"name": "Ada"}, ["body", "email"]),
        ("post", "/customers", {**ADA, "name": ""}, ["body", "name"]),
        ("post", "/customers", {**ADA, "age": 200}, ["body", "age"]),
        ("post", "/customers", {**ADA, "address": {"street": "x", "city": ""}}, ["body", "address", "city"]),
        ("post", "/customers", {**ADA, "tags": ["ok", "x" * 21]}, ["body", "tags", 1]),
        ("post", "/customers", {**ADA, "phone": "1"}, ["body", "phone"]),
        ("post", "/orders", {"customer": "x", "lines": [{"product": "p", "price": 1}]}, ["body", "customer"]),
        ("post", "/orders", {"customer": "a" * 24, "lines": []}, ["body", "lines"]),
        ("get", "/customers/xyz", None, ["path", "id"]),
        ("get", "/customers?limit=5000", None, ["query", "limit"]),
    ],
)
def test_faults_of_requests_are_422(api: Any, method: str, path: str, body: Any, location: list[Any]) -> None:
    response = api.request(method, path, json=body)
    assert response.status_code == 422, response.text
    assert [each["loc"] for each in response.json()["detail"]] == [location]


def test_what_an_assignment_refuses_is_422(api: Any, web_api: Any) -> None:
    ada = api.post("/customers", json=ADA).json()

    @api.app.get("/break/{id}")
    async def break_it(id: str) -> None:
        customer = await web_api.Customer.get(id)
        customer.name = ""

    response = api.get(f"/break/{ada['_id']}")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "name"]


def test_openapi(api: Any) -> None:
    schema = api.get("/openapi.json").json()
    schemas = schema["components"]["schemas"]
    customer = next(schemas[name] for name in schemas if name.startswith("Customer") and "Change" not in name)
    assert customer["description"] == "A person who orders."
    assert customer["properties"]["name"]["maxLength"] == 80
    assert customer["properties"]["_id"]["anyOf"][0]["pattern"] == "^[0-9a-fA-F]{24}$"
    assert customer["required"] == ["name", "email"]
    body = schema["paths"]["/customers"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"].startswith("#/components/schemas/Customer")
    assert api.get("/docs").status_code == 200
    for path in schema["paths"].values():
        for operation in path.values():
            assert not any(each["name"] in ("customer", "order", "change") for each in operation.get("parameters", ()))


# ---- as a server ----------------------------------------------------------------------------------------------------


class Server:
    """The example under uvicorn in a process of its own."""

    def __init__(self, uri: str, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(self.port), "web_api:app"],
            env={**os.environ, "MONGODB_URI": uri, "DATABASE": database, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):  # while it starts
                if httpx.get(f"{self.url}/openapi.json").status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(self.stop())

    @property
    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    @property
    def peak(self) -> int:
        """The most resident bytes since `forget_peak`."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

    def forget_peak(self) -> None:
        """Begin anew with `peak`: requests before have theirs."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> str:
        """End the process; return its log."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.communicate(timeout=WAIT)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()[1]


@pytest.fixture(scope="module")
def filled(pymongo_client: Any) -> Iterator[str]:
    """A database with many orders."""
    name = f"data_bridge_web_{uuid.uuid4().hex[:8]}"
    owner = ObjectId()
    line = {"product": PRODUCT, "quantity": 1, "price": Decimal128("1.5")}
    order = {"customer": owner, "placed": PLACED}
    for start in range(0, ORDERS, 10_000):
        pymongo_client[name]["orders"].insert_many(
            {**order, "_id": ObjectId(f"{n:024x}"), "lines": [{**line, "quantity": n + 1}] * 3}
            for n in range(start, start + 10_000)
        )
    yield name
    pymongo_client.drop_database(name)


@pytest.fixture
def server(mongodb_uri: str, filled: str) -> Iterator[Server]:
    started = Server(mongodb_uri, filled)
    yield started
    log = started.stop()
    assert "Traceback" not in log, log
    assert started.process.returncode in (0, -signal.SIGINT), log


def test_two_hundred_requests_at_once(server: Server, pymongo_client: Any, filled: str) -> None:
    there = pymongo_client[filled]["customers"]
    there.delete_many({})

    async def run() -> None:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
            bodies = [{**ADA, "email": f"a{n}@example.org"} for n in range(200)]
            added = await asyncio.gather(*(client.post("/customers", json=body) for body in bodies))
            assert [each.status_code for each in added] == [201] * 200
            ids = [each.json()["_id"] for each in added]
            # Reads, changes, faults and large results, all at once.
            calls = [client.get(f"/customers/{key}") for key in ids[:80]]
            calls += [client.patch(f"/customers/{key}", json={"age": n}) for n, key in enumerate(ids[80:140])]
            calls += [client.post("/customers", json={"name": ""}) for _ in range(40)]
            calls += [client.get("/customers?limit=200") for _ in range(18)]
            calls += [client.get("/orders.ndjson"), client.get("/orders.arrow")]
            done = await asyncio.gather(*calls)
            assert [each.status_code for each in done] == [200] * 140 + [422] * 40 + [200] * 20
            assert [each.json()["_id"] for each in done[:80]] == ids[:80]
            assert done[198].text.count("\n") == ORDERS

    asyncio.run(run())
    assert there.count_documents({}) == 200
    assert sorted(each["age"] for each in there.find({"age": {"$ne": 36}})) == [*range(36), *range(37, 60)]


def test_large_results_are_exact(server: Server, pymongo_client: Any, filled: str) -> None:
    stored = list(pymongo_client[filled]["orders"].find().sort("_id"))
    lines = httpx.get(f"{server.url}/orders.ndjson", timeout=60)
    assert lines.headers["content-type"] == "application/x-ndjson"
    documents = [json.loads(line) for line in lines.text.splitlines()]
    assert [each["_id"] for each in documents] == [str(each["_id"]) for each in stored]
    assert documents[5]["lines"] == [{"product": PRODUCT, "quantity": 6, "price": "1.5"}] * 3
    table = pa.ipc.open_stream(httpx.get(f"{server.url}/orders.arrow", timeout=60).content).read_all()
    assert table.num_rows == ORDERS
    assert table["_id"].to_pylist() == [str(each["_id"]) for each in stored]


@pytest.mark.parametrize("path", ["/orders.ndjson", "/orders.arrow"])
def test_a_slow_client_holds_up_the_result_and_nothing_else(
    server: Server, pymongo_client: Any, filled: str, path: str
) -> None:
    """The server reads on when the client does: neither process keeps the result, and others are served meanwhile."""
    httpx.get(f"{server.url}{path}", timeout=60)
    before = server.memory
    server.forget_peak()
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(2)
        wait_until_open(pymongo_client[filled])  # the result waits in the database
        assert httpx.get(f"{server.url}/customers", timeout=WAIT).status_code == 200
        assert server.memory - before < BOUNDED
        received = 0
        while chunk := slow.recv(1 << 16):
            received += len(chunk)
        assert received > RESULT
    assert server.peak - before < BOUNDED


@pytest.mark.parametrize("path", ["/orders.ndjson", "/orders.arrow"])
def test_a_client_that_disconnects_ends_the_read(server: Server, pymongo_client: Any, filled: str, path: str) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as lost:
            lost.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert lost.recv(1000).startswith(b"HTTP/1.1 200")
    wait_until_closed(pymongo_client[filled], WAIT)
    assert httpx.get(f"{server.url}/customers", timeout=WAIT).status_code == 200
