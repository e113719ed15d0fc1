"""`python -m examples.webshop [URI] [--count N] [--only blocking|awaited]`: run both shops in turn."""

from __future__ import annotations

import argparse
import asyncio
import os

from .awaited import scenario as awaited_scenario
from .blocking import scenario as blocking_scenario


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.webshop", description="Run the scenario of the shop.")
    parser.add_argument("uri", nargs="?", default=os.environ.get("MONGODB_URI", "mongodb://localhost:27017"))
    parser.add_argument("--count", type=int, default=100_000, help="documents to load (default: %(default)s)")
    parser.add_argument("--database", default="data_bridge_shop", help="prefix of the databases (default: %(default)s)")
    parser.add_argument("--only", choices=["blocking", "awaited"])
    options = parser.parse_args()
    if options.only != "awaited":
        print("Blocking: Document")
        blocking_scenario.run(options.uri, options.database, options.count)
    if options.only != "blocking":
        print("\nAwaited: AsyncDocument")
        asyncio.run(awaited_scenario.run(options.uri, f"{options.database}_awaited", options.count))


if __name__ == "__main__":
    main()
