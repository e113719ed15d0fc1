"""Run operations of one consumer in this process: `python -m consumers.run_cells CONSUMER TYPES`.

Each line of the input is a JSON list of type, placement and operation. Each line of the output is that list before the
operation, and then its outcome: null, or the name and the message of the exception.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TZ"] = "UTC"

import data_bridge
from consumers import cells, checks

CONSUMERS = ("polars", "pandas pyarrow", "pandas numpy_nullable", "pandas numpy", "DuckDB", "pyarrow")


def consumer(name: str) -> Any:
    """Return the object with the operations of a consumer."""
    if name == "polars":
        from consumers import polars_consumer

        return polars_consumer
    if name == "DuckDB":
        from consumers import duckdb_consumer

        return duckdb_consumer
    if name == "pyarrow":
        from consumers import pyarrow_consumer

        return pyarrow_consumer
    from consumers.pandas_consumer import Pandas

    return Pandas(name.removeprefix("pandas "))


def main(name: str, types: str) -> None:
    """Run the operations that the input names."""
    module = consumer(name)

    @lru_cache(maxsize=1)
    def loaded(kind: str, placement: str) -> tuple[Any, checks.Cell]:
        column = cells.column(kind, placement)
        assert column is not None
        result = data_bridge.read_bson(column.documents, types=types).read()
        return module.load(result), checks.Cell(column, types, checks.values_of(result.to_arrow()))

    with tempfile.TemporaryDirectory() as directory:
        for line in sys.stdin:
            kind, placement, operation = json.loads(line)
            print(json.dumps([kind, placement, operation]), flush=True)
            for file in Path(directory).iterdir():
                file.unlink()
            if operation == "end_the_process":  # of a test of the parent
                os.kill(os.getpid(), signal.SIGSEGV)
            try:
                method = getattr(module, operation, None) or getattr(module, f"{operation}_")
                method(*loaded(kind, placement), Path(directory))
                outcome = None
            except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
                outcome = [type(error).__name__, str(error)]
            print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
