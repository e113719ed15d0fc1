"""The soak runs, and finds what is planted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from soak import checks
from soak.checks import MB, Checkpoint
from soak.worker import Figures

ROOT = Path(__file__).parents[3]
ON_THE_WAY = [str(ROOT / each) for each in ("python/tests", "python/tests/support", "scripts", "benches")]

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*ON_THE_WAY, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "soak", "--one", "--seed", "7", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@needs_proc
def test_some_seconds(tmp_path: Path) -> None:
    page = tmp_path / "soak.md"
    done = run("--seconds", "8", "--every", "4", "--report", str(page))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    text = page.read_text()
    assert "Nothing failed." in text
    assert "0 gave wrong rows" in text
    assert "| async iterate |" in text


@needs_proc
def test_what_is_planted_is_found() -> None:
    done = run(
        "--seconds",
        "6",
        "--every",
        "1",
        "--settle",
        "2",
        "--plant",
        "row",
        "error",
        "cursor",
        "descriptor",
        "thread",
        "arrow",
    )
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    for found in (
        "wrong rows: ",
        "an error of another kind: planted: ",
        r"\d+ cursors are open",
        "connections are open after",
        " descriptors, ",
        " threads, ",
        " bytes of Arrow's pool are held",
    ):
        assert re.search(found, done.stdout), found


def checkpoints(*memory: int) -> list[Checkpoint]:
    figures = [Figures(1, 1, each * MB, 0) for each in memory]
    return [Checkpoint(0, 0, 0, 0, 0, 0, each, each) for each in figures]


def test_memory_may_fill_and_may_not_grow() -> None:
    filling = [100, 200, 300, 310]
    plateau = [320, 300, 330, 310, 325, 335, 320, 330, 300, 335, 310, 330]
    assert checks.memory_failure(checkpoints(*filling, *plateau)) is None
    growing = [320 + 10 * minute for minute in range(12)]
    assert "memory grows" in str(checks.memory_failure(checkpoints(*filling, *growing)))
    # Too few checkpoints.
    assert checks.memory_failure(checkpoints(*filling, 400, 500, 600, 700)) is None
