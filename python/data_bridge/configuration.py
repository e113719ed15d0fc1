"""Process-wide sizes: threads that decode and that wait for servers, bytes between server and consumer."""

from __future__ import annotations

from . import _core


def config(
    *, threads: int | None = None, io_threads: int | None = None, prefetch_bytes: int | None = None
) -> dict[str, int]:
    """Set process-wide sizes, and return those in force.

    Parameters
    ----------
    threads
        Threads that decode; the default is one per core. Can be set only before the first read.
    io_threads
        Threads that wait for servers; the default is 2. Can be set only before the first connection.
    prefetch_bytes
        How many bytes of replies may wait for their consumer, per run.

    Without arguments nothing is changed.

    Raises
    ------
    ValueError
        When a size is not positive, or a number of threads is changed after they were started.
    TypeError
        When a size is not an int.

    Examples
    --------
    >>> import data_bridge
    >>> data_bridge.config(prefetch_bytes=64 << 20)["prefetch_bytes"]
    67108864
    """
    sizes = {"threads": threads, "io_threads": io_threads, "prefetch_bytes": prefetch_bytes}
    for name, value in sizes.items():
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
    _core.configure(threads, io_threads, prefetch_bytes)
    return _core.configuration()
