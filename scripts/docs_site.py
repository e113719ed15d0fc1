"""Lays the documentation out as a site and builds it strictly: `make docs`.

Pages are plain Markdown in the repository, with links that work on GitHub. The site holds the README as its front page,
docs/, and the files that pages link to. Links are rewritten from places in the repository to places in the site; a link
to a source file leads to a page that shows the file.

Usage: python scripts/docs_site.py [--serve | --readme-for ADDRESS]
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIGURATION = "mkdocs.yml"
PAGES = ROOT / "target" / "docs" / "pages"
SITE = ROOT / "target" / "docs" / "site"

# Pages outside docs/, and their places in the site.
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "benches/README.md": "benches.md",
}
LANGUAGES = {".py": "python", ".pyi": "python", ".rs": "rust", ".toml": "toml", ".sh": "sh", ".md": "markdown"}
PICTURES = {".svg", ".png"}
TEXT = {*LANGUAGES, "", ".supp", ".txt", ".json", ".yml"}

FENCE = re.compile(r"^(?P<fence>```+).*?^(?P=fence)$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
TABLE_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
# Modules with public names, and the names that the reference leaves out.
MODULES = {
    "data_bridge": "python/data_bridge/__init__.py",
    "data_bridge.odm": "python/data_bridge/odm/__init__.py",
}
NOT_IN_THE_REFERENCE = {"data_bridge.__version__", "data_bridge.odm", "data_bridge.odm.operators"}


class Fault(Exception):
    """A page, a link or the reference is not as it must be."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--serve", action="store_true", help="serve the site on http://localhost:8000")
    parser.add_argument("--readme-for", metavar="ADDRESS", help="make the README's links absolute, below ADDRESS")
    options = parser.parse_args()
    try:
        if options.readme_for:
            make_links_absolute(ROOT / "README.md", options.readme_for)
            return 0
        lay_out()
        check_navigation()
        check_reference()
        if importlib.util.find_spec("zensical") is None and sys.version_info < (3, 11):
            print("Pages, links and names are checked; the site itself needs Python 3.11 or later.")
            return 0
        if options.serve:
            zensical("serve")
        else:
            build()
            check_built()
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


# ---- layout ----------------------------------------------------------------------------------------------------------


def place_of(path: str) -> str:
    """Return the place in the site of a file or directory of the repository."""
    if path in MOVED:
        return MOVED[path]
    if path.startswith("docs/"):
        return re.sub(r"(^|/)README\.md$", r"\1index.md", path.removeprefix("docs/"))
    return f"source/{path}.md"


def lay_out() -> None:
    """Write all pages to PAGES: those of the repository, and those that show linked files."""
    shutil.rmtree(PAGES, ignore_errors=True)
    waiting = [*MOVED, *(str(each.relative_to(ROOT)) for each in (ROOT / "docs").rglob("*.md")), "examples"]
    written: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in written:
            continue
        written.add(path)
        text, linked = page_of(path)
        target = PAGES / place_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        waiting += linked
    for file in (ROOT / "docs").rglob("*"):
        if file.suffix in {*PICTURES, ".css"}:
            target = PAGES / file.relative_to(ROOT / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def page_of(path: str) -> tuple[str, list[str]]:
    """Return the text of a page for the site, and the paths that it links to."""
    file = ROOT / path
    if file.is_dir():
        return directory_page(path)
    text = file.read_text(encoding="utf-8")
    if path.startswith("docs/") or path in MOVED:
        linked: list[str] = []
        return rewrite_links(text, lambda target: site_link(path, target, linked)), linked
    language = LANGUAGES.get(file.suffix, "text")
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`{2,}", text)), default=2))
    return f"# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n", []


def directory_page(path: str) -> tuple[str, list[str]]:
    """Return a page that lists the files below a directory."""
    lines, linked = [f"# {path}", ""], []
    files = [
        file
        for file in sorted((ROOT / path).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    ]
    for file in files:
        name = file.relative_to(ROOT / path).as_posix()
        if file.suffix in TEXT and is_text(file):
            linked.append(file.relative_to(ROOT).as_posix())
            lines.append(f"- [{name}]({Path(path).name}/{name}.md){summary(file)}")
        else:
            lines.append(f"- {name}")
    return "\n".join(lines) + "\n", linked


def is_text(file: Path) -> bool:
    try:
        return "\0" not in file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False


def summary(file: Path) -> str:
    """Return the first line of a Python file's docstring, to stand behind its name."""
    if file.suffix != ".py":
        return ""
    documentation = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return f": {documentation.splitlines()[0]}" if documentation else ""


def rewrite_links(text: str, rewrite: Callable[[str], str]) -> str:
    """Pass the target of each link and picture outside of code blocks through `rewrite`; anchors stay.

    In code within a table, GitHub needs `\\|` for a bar, which Python-Markdown would show.
    """

    def outside(part: str) -> str:
        part = TABLE_ROW.sub(lambda row: re.sub(r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), row[0]), part)
        return LINK.sub(lambda found: rewrite(found["target"]) + (found["anchor"] or ""), part)

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [outside(text[end : fence.start()]), fence.group()]
        end = fence.end()
    return "".join([*parts, outside(text[end:])])


def resolve(page: str, target: str) -> str:
    """Return the path in the repository that a link of a page names."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    if path.startswith("..") or not (ROOT / path).exists():
        raise Fault(f"{page}: the link to {target} leads nowhere. Links are relative to the page, as on GitHub.")
    if (ROOT / path / "README.md").exists():
        path = f"{path}/README.md"
    return path


def site_link(page: str, target: str, linked: list[str]) -> str:
    path = resolve(page, target)
    if Path(path).suffix in PICTURES:
        place = path.removeprefix("docs/")
    else:
        linked.append(path)
        place = place_of(path)
    return posixpath.relpath(place, posixpath.dirname(place_of(page)) or ".")


def make_links_absolute(file: Path, address: str) -> None:
    """Rewrite the README in place: PyPI shows it without the repository's other files."""

    def absolute(target: str) -> str:
        path = resolve(file.name, target)
        return f"{address.rstrip('/')}/{path}" + ("?raw=true" if Path(path).suffix in PICTURES else "")

    file.write_text(rewrite_links(file.read_text(encoding="utf-8"), absolute), encoding="utf-8")


# ---- checks ----------------------------------------------------------------------------------------------------------


def navigation() -> set[str]:
    """Return the pages that the navigation of mkdocs.yml names."""
    text = (ROOT / CONFIGURATION).read_text(encoding="utf-8").partition("\nnav:\n")[2]
    return set(re.findall(r"[\w./-]+\.md$", text, re.MULTILINE))


def check_navigation() -> None:
    pages = {each.relative_to(PAGES).as_posix() for each in PAGES.rglob("*.md")}
    missing = {each for each in pages if not each.startswith("source/")} - navigation()
    if missing:
        raise Fault(f"{CONFIGURATION}: the navigation lacks {', '.join(sorted(missing))}. Add a line for each page.")


def public_names() -> Iterator[str]:
    for module, path in MODULES.items():
        for statement in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
                yield from (f"{module}.{name}" for name in ast.literal_eval(statement.value))


def check_reference() -> None:
    """Check that each public name is on one page of the reference."""
    found: list[str] = []
    for page in (ROOT / "docs" / "api").glob("*.md"):
        found += re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    expected = set(public_names()) - NOT_IN_THE_REFERENCE
    missing, repeated = expected - set(found), {name for name in found if found.count(name) > 1}
    if missing or repeated:
        raise Fault(
            f"docs/api: missing {sorted(missing)}, on two pages {sorted(repeated)}. "
            "Add one line `::: NAME` for each public name to the page of its subject."
        )


# ---- build -----------------------------------------------------------------------------------------------------------


def zensical(*arguments: str) -> str:
    command = [sys.executable, "-m", "zensical", *arguments, "-f", CONFIGURATION]
    if arguments[0] == "serve":
        os.execv(sys.executable, command)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    if done.returncode:
        # With issues of pages, the traceback after them says nothing more.
        issues, found, _ = output.partition(" found\n")
        raise Fault(f"The site cannot be built:\n{issues}{found}")
    return output


def build() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    output = zensical("build", "--clean", "--strict")
    # Zensical passes the warnings of mkdocstrings on without counting them.
    warnings = [line for line in output.splitlines() if line.startswith(("griffe:", "mkdocstrings:", "WARNING"))]
    if warnings:
        raise Fault("The reference has warnings:\n" + "\n".join(warnings))


def check_built() -> None:
    """Check that pages load nothing from other hosts, and that the search index is there."""
    pages = list(SITE.rglob("*.html"))
    for page in pages:
        foreign = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\" >]+)", page.read_text("utf-8"))
        if foreign:
            raise Fault(f"{page.relative_to(SITE)} loads {foreign[0]} from another host")
    if not (SITE / "search.json").stat().st_size:
        raise Fault("The site has no search index")
    print(f"{len(pages)} pages in {SITE.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
