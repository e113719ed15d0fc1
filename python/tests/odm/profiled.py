"""Queries of a server, from its profiler."""

from __future__ import annotations

from typing import Any


def queries(database: Any, run: Any) -> list[str]:
    """Return the collections that `run` queries, from the server's profiler."""
    database.command("profile", 2)
    try:
        run()
    finally:
        database.command("profile", 0)
    found = [each["ns"].split(".")[1] for each in database["system.profile"].find({"op": "query"})]
    database["system.profile"].drop()
    return [name for name in found if name != "system.profile"]
