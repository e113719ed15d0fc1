"""Methods of queries, results and task writers with code in a higher directory: the only upward imports, on first use.

`python/tests/project/test_architecture.py` holds this file to the table.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

MODULES = {
    "target_of": "data_bridge.integrations.models",  # to_models
    "AsyncPlanner": "data_bridge.asynchronous.partitioning",  # partitions
    "Planner": "data_bridge.synchronous.partitioning",
    "LazyScan": "data_bridge.engines.lazy_scan",  # to_lazy, to_dataset
    "to_lazy": "data_bridge.engines.polars",
    "to_dataset": "data_bridge.engines.dataset",
    "to_ray": "data_bridge.engines.ray",
    "to_dask": "data_bridge.engines.dask",
    "write_ray": "data_bridge.engines.ray",
    "write_dask": "data_bridge.engines.dask",
    "MongoClient": "data_bridge.synchronous.client",  # writes of tasks
}
"""The module of each extension."""


@cache
def extension(name: str) -> Any:
    """The function behind a method.

    Parameters
    ----------
    name
        A key of `MODULES`.
    """
    return getattr(import_module(MODULES[name]), name)
