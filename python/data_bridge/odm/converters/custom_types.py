"""Types of the program with their own form in BSON: `register_type`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class CustomType(NamedTuple):
    """The conversions of a class to and from BSON."""

    kind: type[Any]
    stored: Any
    to_bson: Callable[[Any], Any]
    from_bson: Callable[[Any], Any]


_known: dict[type[Any], CustomType] = {}


def register_type(kind: type[T], stored: type[S], *, to_bson: Callable[[T], S], from_bson: Callable[[S], T]) -> None:
    """Let fields be annotated with a class that BSON has no type for.

    Call it before the models that use the class are defined. It applies to all models of the program; a second call for
    a class applies to the models that are defined later.

    Parameters
    ----------
    kind
        The class. A subclass needs a call of its own.
    stored
        The annotation of the stored values, such as `str` or `dict[str, int]`.
    to_bson
        The stored value of an object; the same for equal objects, as `save()` compares it with the stored value.
    from_bson
        The object of a stored value. A ValueError that it raises is the error of a value that does not fit. Assignments
        and constructors take stored values too, and call it.

    Raises
    ------
    TypeError
        For an object that is no class.

    Examples
    --------
    >>> import ipaddress
    >>> register_type(ipaddress.IPv4Network, str, to_bson=str, from_bson=ipaddress.IPv4Network)
    """
    if not isinstance(kind, type):
        raise TypeError(f"register_type takes a class, got {kind!r}")
    _known[kind] = CustomType(kind, stored, to_bson, from_bson)


def custom_type_of(kind: type[Any]) -> CustomType | None:
    """Return the conversions of a class, if it is registered."""
    return _known.get(kind)
