"""Check a wheel as its user gets it: `make wheel`.

The checks: its files are those of the source tree and one extension; its size; it imports alone in a new environment,
with warnings as errors; with its extras, the README's blocks run and every example imports. $MONGODB_URI names the
server for the blocks; without one only the first three are made. No program has the source tree on its path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pages import python_blocks

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "python"
EXAMPLES = ROOT / "examples"
ORDERS = "2000"
SIZE_LIMIT = 15_000_000
"""Bytes of a wheel. One of November 2026 had 9,300,000; a dependency that doubles it should be noticed."""

IMPORT_ALL = """
import importlib, pkgutil, data_bridge
for module in pkgutil.walk_packages(data_bridge.__path__, "data_bridge."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        missing = (error.__cause__ or error).name
        if missing is None or missing.partition(".")[0] in {"bson", "data_bridge", "pymongo"}:
            raise
from data_bridge import read_bson
assert read_bson(b"\\x0c\\0\\0\\0\\x10a\\0\\x01\\0\\0\\0\\0").to_list()[0].to_dict() == {"a": 1}
print("data_bridge", data_bridge.__version__, "from", data_bridge.__file__)
"""
"""Imports every module that needs no other package, and reads a document."""

IMPORT_EXAMPLES = """
import ast, sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    tree.body = [each for each in tree.body if isinstance(each, (ast.Import, ast.ImportFrom))]
    try:
        exec(compile(tree, path, "exec"), {"__name__": "imported"})
    except ModuleNotFoundError as error:
        # Programs of one engine: the extra `all` has none of them.
        if error.name.partition(".")[0] not in {"dask", "fastapi", "pyspark", "ray"}:
            raise
"""
"""Runs the imports of the programs that are its arguments."""


def check_files(wheel: Path) -> list[str]:
    """Return the faults of a wheel's list of files."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    own = {name for name in names if ".dist-info/" not in name}
    extensions = {name for name in own if name.endswith((".so", ".pyd", ".dylib"))}
    expected = {
        path.relative_to(SOURCE).as_posix()
        for package in _packages()
        for path in package.rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi", ".typed"}
    }
    faults = [f"missing: {name}" for name in sorted(expected - own)]
    faults += [f"does not belong there: {name}" for name in sorted(own - expected - extensions)]
    if len(extensions) != 1:
        faults.append(f"expected one extension, found {sorted(extensions)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        faults.append("the licence is missing")
    if wheel.stat().st_size > SIZE_LIMIT:
        faults.append(f"{wheel.stat().st_size:,} bytes, more than {SIZE_LIMIT:,}")
    return faults


def _packages() -> list[Path]:
    """Return the packages of the distribution: all beside the tests."""
    return [path.parent for path in SOURCE.glob("*/__init__.py") if path.parent.name != "tests"]


def check_installed(wheel: Path) -> None:
    """Install the wheel in new environments and use it there.

    Raises
    ------
    subprocess.CalledProcessError
        If a program fails; its output is printed.
    """
    with tempfile.TemporaryDirectory(prefix="data_bridge_wheel_") as name:
        directory = Path(name)
        python = _environment(directory / "alone", str(wheel))
        _run([python, "-I", "-W", "error", "-c", IMPORT_ALL], directory)
        if "MONGODB_URI" not in os.environ:
            print("no $MONGODB_URI: the README's blocks and the examples were not run")
            return
        python = _environment(directory / "extras", f"{wheel}[all]")
        _run([python, str(EXAMPLES / "orders.py"), "--count", ORDERS], directory)
        blocks = directory / "readme.py"
        blocks.write_text(python_blocks("README.md"), encoding="utf-8")
        _run([python, str(blocks)], directory)
        examples = [str(path) for path in sorted(EXAMPLES.glob("*.py"))]
        _run([python, "-c", IMPORT_EXAMPLES, *examples], directory, PYTHONPATH=str(EXAMPLES))


def _environment(directory: Path, requirement: str) -> str:
    """Make an environment with a requirement and what it depends on; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", requirement], check=True)
    return str(python)


def _run(command: list[str], directory: Path, **variables: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, cwd=directory, env={**environment, **variables}, check=True, timeout=300)


def main() -> int:
    """Check the wheels that are the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheels", nargs="+", type=Path)
    faults = 0
    for wheel in parser.parse_args().wheels:
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes")
        found = check_files(wheel)
        faults += len(found)
        print(*found, sep="\n", end="\n" if found else "")
        if not found:
            check_installed(wheel.resolve())
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
