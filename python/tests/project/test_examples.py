"""Runs the programs in examples/ and the Python blocks of README and guide."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, python_blocks

EXAMPLES = ROOT / "examples"
PAGES = [
    "README.md",
    "docs/guide.md",
    "docs/writing.md",
    "docs/odm.md",
    "docs/migrating.md",
    "docs/engines.md",
]
NEEDED = {
    "docs/migrating.md": ["beanie"],
    "docs/distributed.md": ["ray.data", "dask.dataframe", "pyspark.sql"],
}
"""Modules without which a page is skipped."""
SLOW = ["docs/distributed.md"]
"""Pages that start engines."""
COUNT = "2000"


# Examples import their neighbours, from the directory that PYTHONSAFEPATH leaves out.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def run(arguments: list[str], uri: str, directory: Path, timeout: float = 120) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", *arguments],
        env={**ENVIRONMENT, "MONGODB_URI": uri, "PYTHONIOENCODING": "utf-8"},
        cwd=directory,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def orders(mongodb_uri: str) -> str:
    """A server with the orders that the examples read; its URI."""
    run([str(EXAMPLES / "orders.py"), "--count", COUNT], mongodb_uri, ROOT)
    return mongodb_uri


def test_loading_twice_changes_nothing(orders: str) -> None:
    assert "there already" in run([str(EXAMPLES / "orders.py"), "--count", COUNT], orders, ROOT)


@pytest.mark.parametrize("name", ["read_orders", "iterate", "async_read", "partitions", "lazy_frames"])
def test_example(name: str, orders: str, tmp_path: Path) -> None:
    assert run([str(EXAMPLES / f"{name}.py")], orders, tmp_path).strip()


@pytest.mark.parametrize(
    "name",
    [
        "dask_orders",
        pytest.param("ray_orders", marks=pytest.mark.slow),
        pytest.param("spark_orders", marks=pytest.mark.slow),
    ],
)
def test_engine_example(name: str, orders: str, tmp_path: Path) -> None:
    pytest.importorskip(
        {"dask_orders": "dask.dataframe", "ray_orders": "ray.data", "spark_orders": "pyspark.sql"}[name]
    )
    assert run([str(EXAMPLES / f"{name}.py")], orders, tmp_path, timeout=600).strip()


@pytest.mark.slow
def test_cluster(mongodb_uri: str, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    output = run(
        [str(EXAMPLES / "ray_cluster.py"), "--count", "20000", "--partitions", "4"], mongodb_uri, tmp_path, 600
    )
    assert "plan: 4 ranges of _id" in output
    assert output.count("  worker ") >= 1
    assert "20,000 orders changed" in output


def test_demo(orders: str, tmp_path: Path) -> None:
    output = run([str(EXAMPLES / "demo.py"), "--count", COUNT], orders, tmp_path)
    assert "documents/s" in output
    assert "PyMongo" in output


def test_picture(orders: str, tmp_path: Path) -> None:
    """The program draws the picture of the README; only the number of rows follows the number of orders."""
    run([str(EXAMPLES / "picture.py"), "drawn.svg"], orders, tmp_path)
    drawn = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    rows = re.compile(r"[\d,]+ rows")
    kept = (ROOT / "docs" / "result.svg").read_text(encoding="utf-8")
    assert rows.sub("rows", drawn) == rows.sub("rows", kept), "python examples/picture.py docs/result.svg draws it anew"
    assert drawn.count("paid") > 5


def test_dump_file(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import orders; sys.stdout.buffer.write(b''.join(each.raw for each in orders.orders(500)))"
    )
    dump = tmp_path / "orders.bson"
    dump.write_bytes(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    output = run([str(EXAMPLES / "dump_file.py"), str(dump)], "mongodb://nowhere.invalid", tmp_path)
    assert "500 documents" in output
    assert "'delivered'" in output


TRACER = """
import runpy, sys, types

class Span:
    def __init__(self, name, kind, attributes):
        self.name, self.kind, self.attributes, self.status = name, kind, dict(attributes), None
    def set_attributes(self, attributes): self.attributes.update(attributes)
    def set_status(self, status): self.status = status
    def end(self): ended.append(self)

ended = []
tracer = types.SimpleNamespace(start_span=Span)
trace = types.SimpleNamespace(
    get_tracer=lambda name: tracer,
    SpanKind=types.SimpleNamespace(CLIENT="client"),
    StatusCode=types.SimpleNamespace(ERROR="error"),
)
sys.modules["opentelemetry"] = types.SimpleNamespace(trace=trace)
example = runpy.run_path(sys.argv[1])
example["main"]()
import data_bridge, os
try:
    data_bridge.MongoClient(os.environ["MONGODB_URI"]).shop.orders.find({"$nonsense": 1}).read()
except data_bridge.OperationFailure:
    pass
paid, failed = ended
assert (paid.name, paid.kind, paid.status) == ("find data_bridge_demo.orders", "client", None)
assert paid.attributes["db.system.name"] == "mongodb"
assert paid.attributes["db.response.returned_rows"] > 0
assert (failed.name, failed.status) == ("find shop.orders", "error")
assert failed.attributes["error.type"] == "OperationFailure"
assert failed.attributes["db.response.status_code"] == "2"
print("2 spans")
"""


def test_spans(orders: str, tmp_path: Path) -> None:
    """With a tracer that is not OpenTelemetry's, which is no dependency of ours."""
    assert "2 spans" in run(["-c", TRACER, str(EXAMPLES / "tracing.py")], orders, tmp_path)


@pytest.mark.parametrize("page", [*PAGES, *(pytest.param(page, marks=pytest.mark.slow) for page in SLOW)])
def test_page(page: str, orders: str, tmp_path: Path) -> None:
    for module in NEEDED.get(page, []):
        pytest.importorskip(module)
    program = tmp_path / Path(page).with_suffix(".py").name
    program.write_text(python_blocks(page), encoding="utf-8")
    assert program.read_text(encoding="utf-8").strip(), f"{page} has no Python block"
    run([str(program)], orders, tmp_path, timeout=600 if page in SLOW else 120)
