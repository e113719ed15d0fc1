"""What a query over models asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..filters import trust
from ..filters.lookup import sort_keys


class Asked(NamedTuple):
    """What a query asks for."""

    filters: tuple[Any, ...] = ()
    sort: tuple[tuple[str, int], ...] = ()
    skip: int = 0
    limit: int = 0
    view: Any = None
    keys: Any = None
    with_children: bool = False
    fetch_links: bool = False
    options: Mapping[str, Any] = {}


def split(model: Any, options: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `find(...)` was given by keyword: parts of the query, and options of the collection's `find`."""
    parts = {name: options[name] for name in ("skip", "limit", "with_children", "fetch_links") if name in options}
    rest = {name: value for name, value in options.items() if name not in parts and name != "sort"}
    if rest.get("let") is not None:
        trust.check(rest["let"], "let")
    if options.get("sort") is not None:
        keys = options["sort"]
        parts["sort"] = tuple(sort_keys(model, keys if isinstance(keys, list) else [keys]))
    return {**parts, "options": {**(before or {}), **rest}}
