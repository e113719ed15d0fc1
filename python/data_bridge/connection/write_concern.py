"""Write concerns: the number of members of a replica set that must have a write before it is acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ("w", "wtimeout", "j", "fsync")


def document(value: object) -> dict[str, Any]:
    """{w?, wtimeout?, j?, fsync?} of a mapping or PyMongo's WriteConcern; empty for the server's default.

    Raises
    ------
    TypeError, ValueError
        For what is no write concern.
    """
    if value is None:
        return {}
    given = getattr(value, "document", value)
    if not isinstance(given, Mapping):
        raise TypeError(f"write_concern must be a mapping or a pymongo WriteConcern, got {type(value).__name__}")
    for key in given:
        if key not in _KEYS:
            raise ValueError(f"a write concern has no {key!r}: there are {', '.join(_KEYS)}")
    result = {key: item for key, item in given.items() if item is not None}
    w = result.get("w")
    if w is not None and (isinstance(w, bool) or not isinstance(w, (int, str))):
        raise TypeError(f"w must be an int or a str, got {type(w).__name__}")
    if isinstance(w, int) and w < 0:
        raise ValueError(f"w cannot be negative, got {w}")
    return result


def acknowledged(concern: Mapping[str, Any]) -> bool:
    """Return whether the server acknowledges writes."""
    return concern.get("w") != 0


def from_uri(given: Mapping[str, list[str]]) -> dict[str, Any] | None:
    """The write concern of a URI's options, by their lower-case names; None when it has none."""
    concern: dict[str, Any] = {}
    if "w" in given:
        text = given["w"][-1]
        concern["w"] = int(text) if text.lstrip("-").isdigit() else text
    if "wtimeoutms" in given and given["wtimeoutms"][-1].isdigit():
        concern["wtimeout"] = int(given["wtimeoutms"][-1])
    if "journal" in given:
        concern["j"] = given["journal"][-1].lower() == "true"
    return concern or None
