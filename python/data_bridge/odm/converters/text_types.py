"""Converters of Python types that are stored as text or as a number: time, timedelta, addresses, paths."""

from __future__ import annotations

import datetime as dt
import ipaddress
import pathlib
from contextlib import suppress
from typing import Any

from ..errors import Mismatch
from .conversions import PythonTypeConverter


class TimedeltaConverter(PythonTypeConverter):
    """timedelta: a double of seconds, as Beanie stores it."""

    kind = dt.timedelta

    def load(self, stored: object, place: object) -> dt.timedelta:
        if isinstance(stored, (int, float)) and type(stored) is not bool:
            with suppress(OverflowError, ValueError):
                return dt.timedelta(seconds=stored)
        raise self.fail(stored)

    def dump(self, value: object) -> float:
        accepted = self.accept(value)
        seconds: float = accepted.total_seconds()
        again = None
        with suppress(OverflowError):  # the seconds of timedelta.max are rounded up
            again = dt.timedelta(seconds=seconds)
        if again != accepted:
            raise Mismatch("a timedelta whose microseconds a double holds (up to 270 years)", value)
        return seconds


class TextConverter(PythonTypeConverter):
    """A type whose values have one text."""

    def text(self, value: Any) -> str:
        """Return the text of a value."""
        return str(value)

    def parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises
        ------
        ValueError
            For another text.
        """
        made: Any = self.kind
        return made(text)

    def load(self, stored: object, place: object) -> Any:
        if isinstance(stored, str):
            with suppress(ValueError):
                return self.parse(stored)
        raise self.fail(stored)

    def accept(self, value: object) -> Any:
        return self.load(value, None) if isinstance(value, str) else super().accept(value)

    def dump(self, value: object) -> str:
        return self.text(self.accept(value))


class TimeConverter(TextConverter):
    """time: its ISO text, which sorts by time where all have the same offset, or none."""

    kind = dt.time

    def text(self, value: dt.time) -> str:
        return value.isoformat()

    def parse(self, text: str) -> dt.time:
        return dt.time.fromisoformat(text)


for _kind in (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    pathlib.Path,
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
):
    type(f"{_kind.__name__}Converter", (TextConverter,), {"kind": _kind})

PYTHON_TYPES = PythonTypeConverter.kinds
"""The converters of all Python types that are stored as other types."""
