"""Options of `format("data_bridge")`, which Spark passes as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from bson import json_util

from ..query.partition_origin import without_credentials

URI_ENV = "MONGODB_URI"
"""The environment variable with the URI, where no option gives one."""


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return text.lower() == "true"


def _document(text: str) -> Any:
    """Return a value of Extended JSON."""
    return json_util.loads(text)


def _names(text: str) -> list[Any]:
    """Return names: a JSON list, or a text with commas. A nested key is a list in the JSON list."""
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [name.strip() for name in text.split(",")]


def _pushdown(text: str) -> bool:
    if text not in ("none", "single_scan"):
        raise ValueError("expected none or single_scan")
    return text == "single_scan"


def _infer_rows(text: str) -> int | str:
    return text if text == "all" else int(text)


Parser = Callable[[str], Any]
_PLACE: dict[str, Parser] = {"uri": str, "uri_env": str, "database": str, "collection": str}
_QUERY: dict[str, Parser] = {
    "filter": _document,
    "projection": _document,
    "pipeline": _document,
    "collation": _document,
    "read_preference": str,
    "batch_size": int,
    "timeout": float,
}
_TABLE: dict[str, Parser] = {
    "on_conflict": str,
    "objectid": str,
    "uuid": str,
    "decimal": str,
    "mixed": str,
    "flatten": _flag,
}
_PARTITIONS: dict[str, Parser] = {
    "partitions": int,
    "by": str,
    "snapshot": _flag,
    "exact": _flag,
    "force": _flag,
    "expected_seconds": float,
}
_WRITE: dict[str, Parser] = {
    "operation": str,
    "on": _names,
    "nulls": str,
    "nested": str,
    "schema": _document,
    "on_conflict": str,
    "on_duplicate": str,
    "rounding": _names,
    "unflatten": _flag,
    "check_keys": _flag,
    "check_index": _flag,
    "many": _flag,
    "ordered": _flag,
    "parallel": int,
    "write_concern": _document,
    "timeout": float,
}


class SparkOptions:
    """The options of a read or a write. They hold no credentials: Spark shows options in plans and logs.

    Parameters
    ----------
    options
        Texts by name.

    Raises
    ------
    ValueError
        For an option that is unknown or cannot be read, a missing one, and a URI with credentials.
    """

    def __init__(self, options: Mapping[str, str], known: Mapping[str, Parser]) -> None:
        self._values: dict[str, Any] = {}
        for given, text in options.items():
            name = given.lower()
            if name not in known:
                raise ValueError(f"data_bridge has no option {given!r}: there are {', '.join(sorted(known))}")
            if name == "uri" and without_credentials(text)[1]:
                raise ValueError(
                    "the option uri has credentials, and Spark shows options in plans and logs: set an environment "
                    f"variable on the driver and the executors, and name it by uri_env ({URI_ENV} by default)"
                )
            try:
                self._values[name] = known[name](text)
            except (ValueError, TypeError) as error:
                raise ValueError(f"the option {given} cannot be read: {error}") from error
        for name in ("database", "collection"):
            if not self._values.get(name):
                raise ValueError(f"the option {name} is missing")
        if "uri" in self._values and "uri_env" in self._values:
            raise ValueError("the options uri and uri_env exclude each other")
        if "uri" not in self._values:
            self._values.setdefault("uri_env", URI_ENV)

    @classmethod
    def of_read(cls, options: Mapping[str, str]) -> SparkOptions:
        """Return the options of a read."""
        known = {**_PLACE, **_QUERY, **_TABLE, **_PARTITIONS, "infer_rows": _infer_rows, "pushdown": _pushdown}
        found = cls(options, known)
        if found.get("pipeline") is not None and (found.get("filter") or found.get("projection")):
            raise ValueError("the option pipeline excludes filter and projection: make them stages")
        return found

    @classmethod
    def of_write(cls, options: Mapping[str, str]) -> SparkOptions:
        """Return the options of a write."""
        return cls(options, {**_PLACE, **_WRITE})

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of an option."""
        return self._values.get(name, default)

    @property
    def origin(self) -> dict[str, Any]:
        """The URI, or the name of the variable that has it, as keyword arguments."""
        return {name: self._values[name] for name in ("uri", "uri_env") if name in self._values}

    @property
    def table(self) -> dict[str, Any]:
        """The options of tables that are set."""
        return self._of(_TABLE)

    @property
    def partitions(self) -> dict[str, Any]:
        """The arguments of `Query.partitions` that are set."""
        found = self._of(_PARTITIONS)
        if "partitions" in found:
            found["n"] = found.pop("partitions")
        return found

    @property
    def query(self) -> dict[str, Any]:
        """The arguments of `find` and `aggregate` that are set, without filter, projection and pipeline."""
        found = self._of(_QUERY)
        return {name: value for name, value in found.items() if name not in ("filter", "projection", "pipeline")}

    @property
    def write(self) -> dict[str, Any]:
        """The options of the method that writes."""
        apart = ("operation", "on", "write_concern", "timeout")
        return {name: value for name, value in self._of(_WRITE).items() if name not in apart}

    def _of(self, names: Mapping[str, Parser]) -> dict[str, Any]:
        return {name: self._values[name] for name in names if name in self._values}
