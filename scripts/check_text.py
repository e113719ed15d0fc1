"""Remove spaces at line ends, Windows line ends and empty last lines from text files; refuse conflict markers.

Usage: python scripts/check_text.py FILE...; the exit status is 1 if a file was changed or has a conflict marker.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MARKER = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)


def cleaned(text: str) -> str:
    """Return the text with "\\n" as the only line end, no spaces before it, and one at the end."""
    result = re.sub(r"[ \t\r]+$", "", text, flags=re.MULTILINE).rstrip("\n")
    return f"{result}\n" if result else ""


def main() -> int:
    status = 0
    for name in sys.argv[1:]:
        path = Path(name)
        text = path.read_bytes().decode("utf-8")
        result = cleaned(text)
        if result != text:
            path.write_bytes(result.encode("utf-8"))
            print(f"{name}: corrected")
            status = 1
        if MARKER.search(text):
            print(f"{name}: has a conflict marker")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
