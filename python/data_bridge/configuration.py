"""Process-wide sizes: how many threads decode, and how many bytes wait between server and consumer."""

from __future__ import annotations

from . import _core


def config(*, threads: int | None = None, prefetch_bytes: int | None = None) -> dict[str, int]:
    """Set process-wide sizes, and return those in force.

    Parameters
    ----------
    threads
        Threads that decode; the default is one per core. Can be set only before the first read.
    prefetch_bytes
        How many bytes of replies may wait for their consumer, per run.

    Without arguments nothing is changed.

    Raises
    ------
    ValueError
        When a size is not positive, or `threads` is set after the first read.
    TypeError
        When a size is not an int.

    Examples
    --------
    >>> import data_bridge
    >>> data_bridge.config(prefetch_bytes=64 << 20)["prefetch_bytes"]
    67108864
    """
    for name, value in (("threads", threads), ("prefetch_bytes", prefetch_bytes)):
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
    if threads is not None or prefetch_bytes is not None:
        _core.configure(threads, prefetch_bytes)
    return _core.configuration()
