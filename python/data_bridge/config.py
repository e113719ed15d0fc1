"""Process-wide settings: threads that decode or wait for servers, bytes that wait or are kept, what counts as slow."""

from __future__ import annotations

from . import _core


def config(
    *,
    threads: int | None = None,
    io_threads: int | None = None,
    prefetch_bytes: int | None = None,
    max_result_bytes: int | None = None,
    slow_seconds: float | None = None,
) -> dict[str, int | float]:
    """Set process-wide settings, and return those in force.

    Without arguments nothing is changed.

    Parameters
    ----------
    threads
        Threads that decode; the default is one per core. Can be set only before the first read.
    io_threads
        Threads that wait for servers, decrypt and decompress what they send, and read replies to commands; the
        default is 1, as several make small queries slower. Many readers of encrypted or compressed connections may
        need more. Can be set only before the first connection.
    prefetch_bytes
        Bytes of replies that may wait for their consumer, per run; 32 MiB by default.
    max_result_bytes
        Bytes of BSON that an eager read (`read`, `to_*`, `first`) may receive. A read that receives more raises
        ResultTooLarge before it decodes the excess, and its cursor is closed. 0, the default, is no limit.
        Applies to reads that start from now on. Iteration and streams keep no replies, and have no such limit.
    slow_seconds
        An exchange with the server (a command, the first reply of a read, or a later one) that takes so many seconds
        is logged as slow, under `data_bridge.command`; 1 by default. 0 logs all, `float("inf")` none.

    Raises
    ------
    ValueError
        When a number is out of range, or a number of threads is changed after they were started.
    TypeError
        When a number of threads or bytes is not an int, or `slow_seconds` is no number.

    Examples
    --------
    >>> import data_bridge
    >>> data_bridge.config(prefetch_bytes=64 << 20)["prefetch_bytes"]
    67108864
    """
    for name, value, least in (
        ("threads", threads, 1),
        ("io_threads", io_threads, 1),
        ("prefetch_bytes", prefetch_bytes, 1),
        ("max_result_bytes", max_result_bytes, 0),
    ):
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < least:
            raise ValueError(f"{name} must be {'positive' if least else '0 or more'}, got {value}")
    if slow_seconds is not None:
        if not isinstance(slow_seconds, (int, float)) or isinstance(slow_seconds, bool):
            raise TypeError(f"slow_seconds must be a number, got {type(slow_seconds).__name__}")
        if not slow_seconds >= 0:  # neither is NaN
            raise ValueError(f"slow_seconds must be 0 or more, got {slow_seconds}")
        slow_seconds = float(slow_seconds)
    given = (threads, io_threads, prefetch_bytes, max_result_bytes, slow_seconds)
    if any(value is not None for value in given):
        _core.configure(*given)
    return _core.configuration()
