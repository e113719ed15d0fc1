"""Log records of the native module's events, and the end of each operation for listeners.

The native module calls `wanted` at the start of each operation, and `record` with the events; both on the caller's
threads. A program that has not imported `logging` has set no level and no handler, so nothing is logged.
"""

from __future__ import annotations

import sys
from traceback import print_exc
from typing import TYPE_CHECKING, Any

from .._core import CALL_LISTENERS, LOG_COMMANDS, LOG_CONNECTIONS, LOG_CURSORS, LOG_FAILURES
from . import listeners

if TYPE_CHECKING:
    from logging import Logger

_DEBUG, _INFO = 10, 20

_loggers: dict[str, Logger] = {}


def wanted() -> int:
    """Return the events that loggers and listeners request, as bits.

    `Logger.isEnabledFor` caches its result until a level changes.
    """
    bits = CALL_LISTENERS if listeners.listeners else 0
    if not _loggers and not _find_loggers():
        return bits
    if _loggers["connection"].isEnabledFor(_DEBUG):
        bits |= LOG_CONNECTIONS
    if _loggers["cursor"].isEnabledFor(_DEBUG):
        bits |= LOG_CURSORS
    command = _loggers["command"]
    if command.isEnabledFor(_DEBUG):
        bits |= LOG_COMMANDS | LOG_FAILURES
    elif command.isEnabledFor(_INFO):
        bits |= LOG_FAILURES
    return bits


def record(events: list[tuple[str, int, float, str, dict[str, Any]]]) -> None:
    """Log each event of (topic, level, seconds since the epoch, name, fields), and call listeners."""
    for topic, level, at, name, fields in events:
        if topic == "command":
            listeners.notify(name, fields)
        if not _loggers and not _find_loggers():
            continue
        logger = _loggers[topic]
        if logger.isEnabledFor(level):
            try:
                _log(logger, level, at, name, fields)
            except Exception:  # noqa: BLE001 - a handler or filter that raises must not fail a query
                if sys.stderr is not None and sys.modules["logging"].raiseExceptions:
                    print_exc()  # as logging does with errors of its own


def _log(logger: Logger, level: int, at: float, name: str, fields: dict[str, Any]) -> None:
    facts = " ".join(f"{field}={_text(value)}" for field, value in fields.items())
    record = logger.makeRecord(
        logger.name, level, "data_bridge", 0, "%s: %s", (name, facts), None, extra={"data_bridge": fields}
    )
    # The time of the event, which may be earlier than now.
    record.created, record.msecs = at, (at % 1) * 1000
    logger.handle(record)


def _text(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _find_loggers() -> bool:
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "NullHandler"):  # not imported, or being imported
        return False
    # A library prints nothing when the program configures no logging.
    logging.getLogger("data_bridge").addHandler(logging.NullHandler())
    for topic in ("connection", "command", "cursor"):
        _loggers[topic] = logging.getLogger(f"data_bridge.{topic}")
    return True
