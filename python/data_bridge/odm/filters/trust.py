"""Trusted documents, which may contain operators that run code on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...commands import encode
from ...errors import InvalidQuery

CODE = frozenset({"$where", "$function", "$accumulator"})
"""Operators that run JavaScript on the server."""


class Trusted(dict[str, Any]):
    """A mapping that the caller trusts."""


def trusted(document: Mapping[str, Any]) -> Trusted:
    """Return the same mapping, which may contain `$where`, `$function` and `$accumulator`: they run JavaScript.

    Never trust input from outside. The mapping may be a filter, or a part of a filter, update or pipeline.
    """
    return Trusted(document)


def copied(value: object) -> Any:
    """Return a deep copy of lists and mappings, as later changes of the original are not checked."""
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        copy = {key: copied(below) for key, below in value.items()}
        return Trusted(copy) if isinstance(value, Trusted) else copy
    return [copied(each) for each in value] if isinstance(value, (list, tuple)) else value


def check_code(value: Any, what: str) -> None:
    """Refuse operators that run code, at any depth, outside trusted mappings.

    Raises
    ------
    InvalidQuery
        For such an operator, and for a value that is nested too deep to be sent.
    """
    encode.check_depth(value, what)
    rest = [value]
    while rest:
        current = rest.pop()
        if isinstance(current, Trusted):
            continue
        if isinstance(current, Mapping) and not isinstance(getattr(current, "raw", None), bytes):
            for key, below in current.items():
                if key in CODE:
                    raise InvalidQuery(
                        f"{what} holds {key}, which runs code on the server: wrap it in trusted(...) if it is your own"
                    )
                rest.append(below)
        elif isinstance(current, (list, tuple)):
            rest.extend(current)
        elif isinstance(getattr(current, "raw", None), bytes):
            import bson

            rest.append(bson.decode(current.raw))
