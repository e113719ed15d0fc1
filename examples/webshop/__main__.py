"""`python -m examples.webshop [URI] [--count N] [--only blocking|awaited]`: both shops, one after the other."""

from __future__ import annotations

import argparse
import asyncio
import os

from .awaited import day as awaited_day
from .blocking import day as blocking_day


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.webshop", description="A shop, run for a day.")
    parser.add_argument("uri", nargs="?", default=os.environ.get("MONGODB_URI", "mongodb://localhost:27017"))
    parser.add_argument("--count", type=int, default=100_000, help="documents to load (default: %(default)s)")
    parser.add_argument(
        "--database", default="data_bridge_shop", help="what databases start with (default: %(default)s)"
    )
    parser.add_argument("--only", choices=["blocking", "awaited"])
    given = parser.parse_args()
    if given.only != "awaited":
        print("Blocking: Document")
        blocking_day.run(given.uri, given.database, given.count)
    if given.only != "blocking":
        print("\nAwaited: AsyncDocument")
        asyncio.run(awaited_day.run(given.uri, f"{given.database}_awaited", given.count))


if __name__ == "__main__":
    main()
