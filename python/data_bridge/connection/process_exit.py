"""Cleaning up when the interpreter exits."""

from __future__ import annotations

import atexit

from .. import _core

_registered = False


def close_at_exit() -> None:
    """Close cursors when the interpreter exits: sessions keep them alive on the server for half an hour."""
    global _registered
    if not _registered:
        _registered = True
        atexit.register(_core.deliver_events)  # runs last: it reports the events of the other
        atexit.register(_core.shutdown, 1.5)  # seconds at most; a server that answers takes milliseconds
