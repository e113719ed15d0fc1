"""The command line of the soak test: `python -m soak`, `make soak`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from soak.page import markdown, text
from soak.run import Settings, soak


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="make soak", description="Run reads with cancellations and faults; find leaks."
    )
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--every", type=float, default=60, help="seconds between checkpoints")
    parser.add_argument("--settle", type=float, default=30, help="seconds until abandoned resources are released")
    parser.add_argument("--one", action="store_true", help="one server only, without a replica set of three")
    parser.add_argument("--report", type=Path, help="write the findings as a page")
    parser.add_argument("--plant", nargs="+", default=[], help="faults that the checks must find, to test the checks")
    options = parser.parse_args(arguments)
    found = soak(
        Settings(
            options.seed,
            options.seconds,
            options.every,
            options.settle,
            options.threads,
            not options.one,
            options.plant,
        )
    )
    print(text(found))
    if options.report:
        command = f'make soak ARGS="{" ".join(arguments)}"'
        options.report.write_text(markdown(found, command))
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
