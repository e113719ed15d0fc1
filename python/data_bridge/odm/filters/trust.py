"""What a filter may ask the server to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...commands import encode
from ...errors import InvalidQuery

CODE = frozenset({"$where", "$function", "$accumulator"})
"""Operators that run JavaScript on the server."""


class Trusted(dict[str, Any]):
    """A mapping whose author vouches for it."""


def trusted(document: Mapping[str, Any]) -> Trusted:
    """The same mapping, allowed to hold `$where`, `$function` and `$accumulator`: they run JavaScript on the server.

    Never give it what came from outside. It may be a filter, or any mapping within a filter, an update or a pipeline.
    """
    return Trusted(document)


def copied(value: Any) -> Any:
    """The same mapping, lists and mappings within copied: what is changed later has not been checked."""
    if isinstance(value, Mapping) and not isinstance(getattr(value, "raw", None), bytes):
        copy = {key: copied(below) for key, below in value.items()}
        return Trusted(copy) if isinstance(value, Trusted) else copy
    return [copied(each) for each in value] if isinstance(value, (list, tuple)) else value


def check_code(value: Any, what: str) -> None:
    """Refuse operators that run code, at any depth, but within what is trusted.

    Raises
    ------
    InvalidQuery
        For such an operator, and for what is nested too deep to be sent.
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
