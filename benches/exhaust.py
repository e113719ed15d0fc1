"""Replies that the server streams (exhaustAllowed) beside a getMore for each, on a bare socket.

A proxy adds latency. The figures are the upper limit of the gain of an exhaust cursor: nothing is decoded.
docs/design/0024-exhaust-and-compression.md has the reason why the client does not use one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from slow_lines import DATABASE, SlowProxy, load
from socket_drain import SocketDrain


def read(uri: str, batch_size: int | None, exhaust: bool) -> float:
    """Return the seconds until the last reply."""
    drain = SocketDrain(uri)
    size = {} if batch_size is None else {"batchSize": batch_size}
    begun = time.perf_counter()
    drain.drain(DATABASE, {"find": "lines", **size}, exhaust)
    seconds = time.perf_counter() - begun
    drain.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=0.2)
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[0, 5, 25])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    uri = os.environ["MONGODB_URI"]
    host, port = parse_uri(uri)["nodelist"][0]
    with MongoClient[dict[str, object]](uri) as client:
        number = load(client, options.gigabytes * 1e9)
    print(f"{number:,} documents; seconds, median of {options.rounds} alternating rounds")
    for milliseconds in options.milliseconds:
        slow = SlowProxy((host, port), rate=None, round_trip=milliseconds / 1000).uri if milliseconds else uri
        for batch_size in (None, 1000):
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(options.rounds):
                for exhaust, found in seconds.items():
                    found.append(read(slow, batch_size, exhaust))
            requests, streamed = (statistics.median(found) for found in seconds.values())
            print(
                f"{milliseconds:g} ms, replies of {batch_size or '16 MB'}: getMore {requests:.3f},"
                f" exhaust {streamed:.3f}: {requests / streamed:.2f} times as fast"
            )


if __name__ == "__main__":
    main()
