#!/bin/sh
# Print a Python that is new enough: the argument, or the newest installed. Usage: scripts/find_python.sh [python3]
set -eu

for candidate in "${1:-python3}" python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "Python 3.10 or later is needed and none was found; name one with: make PYTHON=/path/to/python3 ..." >&2
exit 1
