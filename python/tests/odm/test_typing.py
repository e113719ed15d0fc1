"""Strict type checks of `typed.py`, where each `type: ignore` must be needed, and of an application."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import python_blocks

ROOT = Path(__file__).parents[3]
CHECKED = ["python/tests/odm/typed.py", "examples/webshop"]
COMMANDS = {"mypy": ["-m", "mypy", "--strict"], "pyright": ["-m", "pyright", "--pythonpath", sys.executable]}
WRONG = """
from data_bridge.odm import Document
class User(Document):
    age: int
print(User.find(User.age > 'x'))
print(User.find(User.age > 5))  # type: ignore[operator]
age: str = User(age=1).age
"""


def checked(checker: str, *files: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip(checker)
    return subprocess.run(
        [sys.executable, *COMMANDS[checker], *files],
        # No network access.
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYRIGHT_PYTHON_GLOBAL_NODE": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("checker", COMMANDS)
def test_models_are_typed(checker: str, tmp_path: Path) -> None:
    """Check the code blocks of the page about models too, as far as a checker reads files outside the project."""
    page = tmp_path / "page.py"
    page.write_text(python_blocks("docs/odm.md"), encoding="utf-8")
    done = checked(checker, *CHECKED, str(page))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("checker", COMMANDS)
def test_the_checker_would_tell(checker: str, tmp_path: Path) -> None:
    """The checkers report errors and unused ignores, so the test above can fail."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG, encoding="utf-8")
    told = checked(checker, str(wrong)).stdout
    assert [line for line in range(1, 9) if f"wrong.py:{line}:" in told] == [5, 6, 7], told


def test_it_runs_too() -> None:
    import typed

    assert typed.User(name="a", age=1).home.city == "?"
