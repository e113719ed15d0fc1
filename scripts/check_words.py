"""Check the English of docs, docstrings, comments and messages: `python scripts/check_words.py [--count] [FILE ...]`.

Without files, the script checks all tracked files. Two rules apply:

- A doc line is a noun phrase, or a verb with its object. None opens with a question word. A doc line is the first line
  of a paragraph, list item, heading or parameter in a docstring, a Rust doc comment or a page.
- An actor has a noun: the caller, the server, another writer. Indefinite persons are refused in prose, in messages and
  in the names of functions and classes.

Quotations are exempt: text in backquotes, double quotes and code blocks. So are this file and its test. The script
prints each fault with its place and exits with 1. With `--count`, it also prints the number of doc lines and of faults.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXEMPT = {"check_words.py", "test_check_words.py"}
KINDS = {".md", ".py", ".pyi", ".rs", ".sh", ".toml", ".yml", ".yaml"}

OPENINGS = re.compile(r"(?:#+\s+|[-*+>]\s+|\d+[.)]\s+|[*_]{1,3})*(What|Who|Whom|Whose|Whether|How|Where|Which|Why)\b")
PERSONS = re.compile(r"(?<![a-zA-Z])(nobody|somebody|whoever|anybody|someone|anyone)(?![a-zA-Z])", re.IGNORECASE)
QUOTED = re.compile(r"``.*?``|`[^`]*`|\"[^\"]*\"|“[^”]*”")
ITEM = re.compile(r"(?:[-*+>]|\d+[.)]|#+)\s")
FENCE = ("```", "~~~")
MESSAGE_WORDS = 3
"""Words that make a string a message; shorter strings are data, such as names."""

# Comments and literals of Rust; a character is listed so that its quote does not open a string.
RUST = re.compile(
    r"""(?P<doc>//[/!](?!/)[^\n]*)|(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|[bc]?r(?P<hashes>\#*)"(?P<raw>.*?)"(?P=hashes)|[bc]?"(?P<string>(?:\\.|[^"\\])*)"|'(?:\\[^\n]{1,8}?|[^\\'\n])'"""
    r"""|\b(?:fn|struct|enum|trait|mod|const|static|type)\s+(?P<name>\w+)""",
    re.DOTALL,
)


class Line(NamedTuple):
    """A line of prose, or the name of a definition."""

    number: int
    text: str
    opens: bool
    """True for a doc line: the first line of a paragraph, item, heading or parameter."""


class Fault(NamedTuple):
    """A place that breaks a rule."""

    number: int
    word: str
    opens: bool
    """True for a doc line that opens with the word; false for an indefinite person."""

    def text(self, path: str) -> str:
        """Return the message for the file at `path`."""
        if self.opens:
            return f"{path}:{self.number}: a doc line opens with {self.word!r}: name the thing, or start with a verb"
        return f"{path}:{self.number}: {self.word!r} is no actor: name the actor"


def prose(suffix: str, text: str) -> Iterator[Line]:
    """Yield the lines of a file that hold English."""
    if suffix == ".md":
        yield from paragraphs(enumerate(text.splitlines(), 1))
    elif suffix == ".rs":
        yield from _rust(text)
    elif suffix in (".py", ".pyi"):
        yield from _python(text)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if match := re.search(r"(?:^|\s)#(?!!)(.*)", line):
                yield Line(number, match[1], False)


def paragraphs(lines: Iterable[tuple[int, str]]) -> Iterator[Line]:
    """Yield the lines of a text in Markdown or numpydoc, without code blocks and doctests."""
    opens, fenced, indent = True, False, 0
    for number, line in lines:
        stripped = line.strip()
        if stripped.startswith(FENCE):
            fenced, opens = not fenced, True
            continue
        if fenced or stripped.startswith((">>>", "... ")):
            continue
        if not stripped or re.fullmatch(r"[-=]{3,}", stripped):
            opens = True
            continue
        own = len(line) - len(line.lstrip())
        item = ITEM.match(stripped)
        # The description of a parameter is indented below its name, and starts a text of its own.
        yield Line(number, stripped, opens or bool(item) or own > indent)
        indent = own + (item.end() if item else 0)
        opens = stripped.startswith("#") and bool(item)


def _python(text: str) -> Iterator[Line]:
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield Line(node.lineno, node.name, False)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.add(node.lineno)
            # Escapes may change the number of lines of the value, so the source is read.
            source = (ast.get_source_segment(text, node.value) or "").splitlines()
            source[0] = re.sub(r"^[rRuU]*(\"\"\"|'''|\"|')", "", source[0])
            source[-1] = re.sub(r"(\"\"\"|'''|\"|')$", "", source[-1])
            yield from paragraphs(enumerate(source, node.lineno))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        number = token.start[0]
        if token.type == tokenize.COMMENT:
            yield Line(number, token.string, False)
        elif token.type == tokenize.STRING and number not in docstrings:
            yield from _message(number, re.sub(r"^\w*(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$", "", token.string))
        elif tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield from _message(number, token.string)


def _rust(text: str) -> Iterator[Line]:
    block: list[tuple[int, str]] = []
    for match in RUST.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        if doc := match["doc"]:
            if block and block[-1][0] != number - 1:
                yield from paragraphs(block)
                block = []
            block.append((number, doc[4:] if doc[3:4] == " " else doc[3:]))
        elif name := match["name"]:
            yield Line(number, name, False)
        elif comment := match["comment"]:
            for offset, line in enumerate(comment.splitlines()):
                yield Line(number + offset, line, False)
        elif (message := match["raw"] or match["string"]) is not None:
            yield from _message(number, message)
    yield from paragraphs(block)


def _message(number: int, text: str) -> Iterator[Line]:
    if len(text.split()) >= MESSAGE_WORDS:
        for offset, line in enumerate(text.splitlines()):
            yield Line(number + offset, line.replace('\\"', '"'), False)


def faults(suffix: str, text: str) -> list[Fault]:
    """Return the faults of a file with this suffix, by line."""
    found: dict[Fault, None] = {}
    for line in prose(suffix, text):
        words = QUOTED.sub("", line.text)
        if line.opens and (match := OPENINGS.match(line.text)):
            found[Fault(line.number, match[1], True)] = None
        for match in PERSONS.finditer(words):
            found[Fault(line.number, match[1], False)] = None
    return sorted(found)


def tracked() -> list[Path]:
    """Return the files that git tracks and that hold English."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if Path(name).suffix in KINDS or Path(name).name == "Makefile"]


def main(arguments: list[str] | None = None) -> int:
    """Check the named files, or all tracked files."""
    parser = argparse.ArgumentParser(description="Check the English of docs, docstrings, comments and messages.")
    parser.add_argument("files", nargs="*", type=Path, help="files to check (default: all tracked files)")
    parser.add_argument("--count", action="store_true", help="also print the number of doc lines and of faults")
    options = parser.parse_args(arguments)
    doc_lines = openings = persons = 0
    for path in [each.resolve() for each in options.files] or tracked():
        if path.name in EXEMPT or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        for fault in faults(path.suffix, text):
            print(fault.text(name))
            openings += fault.opens
            persons += not fault.opens
        if options.count:
            doc_lines += sum(line.opens for line in prose(path.suffix, text))
    if options.count:
        print(f"{doc_lines} doc lines: {openings} open with a question word; {persons} indefinite persons")
    return 1 if openings or persons else 0


if __name__ == "__main__":
    sys.exit(main())
