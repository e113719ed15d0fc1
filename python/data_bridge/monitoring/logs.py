"""Log records of what the native module noticed, and the end of each operation for listeners.

The native module asks `wanted` at the start of each operation, and calls `tell` on threads of the caller's. A program
that has not imported `logging` has set no level and no handler, and is asked nothing more than that.
"""

from __future__ import annotations

import sys
from traceback import print_exc
from typing import TYPE_CHECKING, Any

from . import listeners

if TYPE_CHECKING:
    from logging import Logger

_DEBUG, _INFO = 10, 20

_loggers: dict[str, Logger] = {}


def wanted() -> int:
    """Bits: what anyone wants to hear. `Logger.isEnabledFor` keeps its answer until a level is changed."""
    bits = 16 if listeners.listeners else 0
    if not _loggers and not _find_loggers():
        return bits
    if _loggers["connection"].isEnabledFor(_DEBUG):
        bits |= 1
    if _loggers["cursor"].isEnabledFor(_DEBUG):
        bits |= 2
    command = _loggers["command"]
    if command.isEnabledFor(_DEBUG):
        bits |= 12
    elif command.isEnabledFor(_INFO):
        bits |= 8
    return bits


def tell(events: list[tuple[str, int, float, str, dict[str, Any]]]) -> None:
    """Log each event of (topic, level, seconds since the epoch, what, fields), and call listeners."""
    for topic, level, at, what, fields in events:
        if topic == "command":
            listeners.tell(what, fields)
        if not _loggers and not _find_loggers():
            continue
        logger = _loggers[topic]
        if logger.isEnabledFor(level):
            try:
                _log(logger, level, at, what, fields)
            except Exception:  # noqa: BLE001 - a handler or filter that raises must not break a query
                if sys.stderr is not None and sys.modules["logging"].raiseExceptions:
                    print_exc()  # what logging does with errors of its own


def _log(logger: Logger, level: int, at: float, what: str, fields: dict[str, Any]) -> None:
    facts = " ".join(f"{name}={_text(value)}" for name, value in fields.items())
    record = logger.makeRecord(
        logger.name, level, "data_bridge", 0, "%s: %s", (what, facts), None, extra={"data_bridge": fields}
    )
    # When it happened, which may be some time ago.
    record.created, record.msecs = at, (at % 1) * 1000
    logger.handle(record)


def _text(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _find_loggers() -> bool:
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "NullHandler"):  # not imported, or being imported
        return False
    # A library prints nothing where nobody set up logging.
    logging.getLogger("data_bridge").addHandler(logging.NullHandler())
    for topic in ("connection", "command", "cursor"):
        _loggers[topic] = logging.getLogger(f"data_bridge.{topic}")
    return True
