"""A text that nothing shows by accident: not `repr`, `vars`, a pickle, a debugger's or a reporter's view of locals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


class Secret:
    """Holds a text behind a call, as serialisers that walk over attributes and sequences never find it."""

    __slots__ = ("reveal",)

    reveal: Callable[[], str]
    """The text."""

    def __init__(self, text: str) -> None:
        self.reveal = lambda: text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
