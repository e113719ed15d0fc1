"""scripts/check_words.py: question words at the start of doc lines, and indefinite persons."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_words.py"


def load() -> Any:
    """Import the script, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("check_words", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_words = load()


def found(suffix: str, text: str) -> list[tuple[int, str]]:
    """Return line and word of each fault."""
    return [(fault.number, fault.word) for fault in check_words.faults(suffix, text)]


NUMPYDOC = '''\
def find(filter):
    """Return the documents.

    Where the server is gone, an error.

    Parameters
    ----------
    filter : dict
        What to look for. How it is sent does not matter here.

    Returns
    -------
    list
        The documents,
        which somebody may change.
    """
'''

FAULTY = [
    pytest.param(".py", '"""What a module holds."""\n', [(1, "What")], id="py-module"),
    pytest.param(".py", 'class A:\n    """Who calls it."""\n', [(2, "Who")], id="py-class"),
    pytest.param(".py", 'LIMIT = 1\n"""How many are kept."""\n', [(2, "How")], id="py-attribute"),
    pytest.param(".py", NUMPYDOC, [(4, "Where"), (9, "What"), (15, "somebody")], id="py-numpydoc"),
    pytest.param(".py", '"""Items:\n\n- one,\n- Which is two\n"""\n', [(4, "Which")], id="py-item"),
    pytest.param(".py", "x = 1  # nobody reads this\n", [(1, "nobody")], id="py-comment"),
    pytest.param(".py", 'raise E(f"{x} was deleted by Somebody else")\n', [(1, "Somebody")], id="py-message"),
    pytest.param(".py", "def test_nobody_waits(): ...\n", [(1, "nobody")], id="py-name"),
    pytest.param(".pyi", 'def f() -> bool:\n    """Whether it is open."""\n', [(2, "Whether")], id="pyi-function"),
    pytest.param(".pyi", "# anybody may call this\ndef f() -> None: ...\n", [(1, "anybody")], id="pyi-comment"),
    pytest.param(".rs", "//! Why this exists.\n", [(1, "Why")], id="rs-module"),
    pytest.param(".rs", "/// Returns it.\n///\n/// Whose it is.\nfn f() {}\n", [(3, "Whose")], id="rs-paragraph"),
    pytest.param(".rs", "/// A.\nfn f() {}\n/// What follows.\nfn g() {}\n", [(3, "What")], id="rs-second-block"),
    pytest.param(".rs", "let a = 'x'; // whoever asks\n", [(1, "whoever")], id="rs-comment"),
    pytest.param(".rs", 'fail("a write of somebody else won");\n', [(1, "somebody")], id="rs-message"),
    pytest.param(".rs", "fn nobody_waits() {}\n", [(1, "nobody")], id="rs-name"),
    pytest.param(".md", "# How to read\n", [(1, "How")], id="md-heading"),
    pytest.param(".md", "Text.\n\n1. Who\n2. Others\n", [(3, "Who")], id="md-item"),
    pytest.param(".md", "**Which** of both.\n", [(1, "Which")], id="md-bold"),
    pytest.param(".md", "A line\nfor Anyone.\n", [(2, "Anyone")], id="md-person"),
    pytest.param(".md", "```\nWhat\n```\nWhere it ends.\n", [(4, "Where")], id="md-after-code"),
    pytest.param(".toml", "a = 1 # someone set it\n", [(1, "someone")], id="toml-comment"),
]

CLEAN = [
    pytest.param(".py", '"""Return whether it is open.\n\nA call. Who\nelse?\n"""\n', id="py-inside-a-line"),
    pytest.param(".py", '"""`Where` names a clause; "nobody" is a user, `somebody` too."""\n', id="py-quotations"),
    pytest.param(".py", '"""Example.\n\n```\nWhat\n```\n\n>>> Who("nobody")\n"""\n', id="py-code"),
    pytest.param(".py", 'users = ["nobody", "How"]\nurl = "https://nobody@host/"\n', id="py-data"),
    pytest.param(".py", "# Where the socket is closed, retry.\n", id="py-plain-comment"),
    pytest.param(".py", "def where(): ...\n", id="py-function-name"),
    pytest.param(".pyi", 'def f() -> bool:\n    """Return whether it is open."""\n', id="pyi-function"),
    pytest.param(".rs", "/// Returns `What`.\n///\n/// ```\n/// Who(nobody);\n/// ```\nfn f() {}\n", id="rs-code"),
    pytest.param(".rs", 'let quote = \'"\'; let user = "nobody"; // What it is\n', id="rs-data"),
    pytest.param(".rs", 'let raw = r#"say "nobody" twice, please"#;\n', id="rs-raw"),
    pytest.param(".rs", "impl<'a, 'b> A<'a> {}\n//// Who\n", id="rs-lifetimes"),
    pytest.param(".md", "Ask the server\nWhere it is.\n", id="md-second-line"),
    pytest.param(".md", "| How | `Who` |\n|---|---|\n\n~~~\nnobody\n~~~\n", id="md-table-and-code"),
    pytest.param(".md", "Whatever it holds, however large.\n", id="md-longer-words"),
    pytest.param(".yml", "#!/bin/sh\nname: nobody\n", id="yml-value"),
]


@pytest.mark.parametrize(("suffix", "text", "faults"), FAULTY)
def test_faults_are_named_with_their_line(suffix: str, text: str, faults: list[tuple[int, str]]) -> None:
    assert found(suffix, text) == faults


@pytest.mark.parametrize(("suffix", "text"), CLEAN)
def test_good_lines_and_quotations_pass(suffix: str, text: str) -> None:
    assert found(suffix, text) == []


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def test_the_script_reports_and_counts(tmp_path: Path) -> None:
    faulty, clean = tmp_path / "a.md", tmp_path / "b.md"
    faulty.write_text("# What\n\nA page for nobody.\n")
    clean.write_text("# Contents\n\nA page.\n")
    outcome = run("--count", str(faulty), str(clean))
    assert outcome.returncode == 1
    assert outcome.stdout.splitlines() == [
        f"{faulty}:1: a doc line opens with 'What': name the thing, or start with a verb",
        f"{faulty}:3: 'nobody' is no actor: name the actor",
        "4 doc lines: 1 open with a question word; 1 indefinite persons",
    ]
    outcome = run(str(clean))
    assert (outcome.returncode, outcome.stdout) == (0, "")


def test_the_script_and_its_test_are_exempt() -> None:
    outcome = run(str(SCRIPT), __file__)
    assert (outcome.returncode, outcome.stdout) == (0, "")
