"""What clients, databases and collections have in common."""

from __future__ import annotations

from typing import ClassVar, NoReturn


class Handle:
    """What never becomes a child: conditions, iteration, calls."""

    _kind: ClassVar[str]

    def __bool__(self) -> NoReturn:
        raise NotImplementedError(f"a {self._kind} has no truth value: compare with None instead")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"a {self._kind} cannot be iterated")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self._kind} cannot be pickled: it holds connections and credentials")
