"""Methods of queries and results with code in a higher directory: the one module that imports upwards, on first use.

`python/tests/project/test_architecture.py` holds this file to the table.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

MODULES = {
    "target_of": "data_bridge.integrations.models",  # to_models
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
