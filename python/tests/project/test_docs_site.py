"""The documentation's links: valid on GitHub, in the site, and in the README that PyPI shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import check_text
import docs_site
from figures import provenance

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benches" / "README.md"])


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors of a page's headings, as GitHub makes them."""
    text = docs_site.FENCE.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        yield re.sub(r"[^\w\- ]", "", shown).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_are_valid_in_the_repository(page: Path) -> None:
    text = docs_site.FENCE.sub("", page.read_text(encoding="utf-8"))
    name = page.relative_to(ROOT).as_posix()
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        path = docs_site.resolve(name, target) if target else name
        if anchor:
            assert anchor in set(anchors(ROOT / path)), f"{name}: {target}#{anchor}"


@pytest.mark.parametrize(
    ("page", "target", "place"),
    [
        ("README.md", "docs/guide.md", "guide.md"),
        ("README.md", "docs/design/", "design/index.md"),
        ("docs/guide.md", "design/0010-reply-sizes.md", "design/0010-reply-sizes.md"),
        ("docs/guide.md", "../examples/tracing.py", "source/examples/tracing.py.md"),
        ("docs/performance.md", "../benches/README.md", "benches.md"),
        ("docs/design/README.md", "../../CONTRIBUTING.md", "../contributing.md"),
        ("benches/README.md", "../docs/aims.md", "aims.md"),
        ("docs/benchmarks.md", "benchmarks.svg", "benchmarks.svg"),
    ],
)
def test_place_of_a_link_in_the_site(page: str, target: str, place: str) -> None:
    assert docs_site.site_link(page, target, []) == place


def test_a_link_to_a_missing_file_names_the_page() -> None:
    with pytest.raises(docs_site.Fault, match=r"docs/guide\.md.*nowhere\.md"):
        docs_site.site_link("docs/guide.md", "nowhere.md", [])


def test_code_blocks_and_foreign_links_stay() -> None:
    text = "[a](x.md#y)\n```python\nvalues[0](x.md)\n```\n[b](https://example.com/x.md) [c](#here)\n"
    changed = docs_site.rewrite_links(text, str.upper)
    assert changed == "[a](X.MD#y)\n```python\nvalues[0](x.md)\n```\n[b](https://example.com/x.md) [c](#here)\n"


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("| `a \\| b` | c |\n", "| `a | b` | c |\n"),
        ("| `a` \\| `b` | c |\n", "| `a` \\| `b` | c |\n"),
        ("`a \\| b`\n", "`a \\| b`\n"),
    ],
)
def test_bars_of_code_in_tables(text: str, changed: str) -> None:
    """GitHub needs a backslash before a bar; the site would show it."""
    assert docs_site.rewrite_links(text, str) == changed


def test_readme_for_the_index(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    docs_site.make_links_absolute(readme, "https://example.com/blob/v1/")
    text = readme.read_text(encoding="utf-8")
    assert "](https://example.com/blob/v1/docs/guide.md)" in text
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", text) == []


def test_every_page_and_public_name_is_in_the_site() -> None:
    """As `make docs` checks before it builds."""
    docs_site.check_reference()
    places = {docs_site.place_of(page.relative_to(ROOT).as_posix()) for page in PAGES}
    assert places - docs_site.navigation() == set()


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("a\n", "a\n"),
        ("", ""),
        ("a  \nb\t\n", "a\nb\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a", "a\n"),
        ("a\n\n\n", "a\n"),
        ("a\u2028b\x0cc\n", "a\u2028b\x0cc\n"),
    ],
)
def test_ends_of_lines(text: str, mended: str) -> None:
    assert check_text.cleaned(text) == mended


def test_generated_pages_state_command_machine_and_date() -> None:
    facts = {
        "processor": "X",
        "cores": "2",
        "system": "Linux 6",
        "data_bridge": "0.1.0 (cfabe0c-dirty)",
        "polars": "2.1.0",
    }
    commands = [
        'make bench ARGS="--rounds 3 --json run1.json --markdown docs/benchmarks.md"',
        'make bench ARGS="--rounds 3 --json run2.json"',
        'make soak ARGS="--report docs/soak.md"',
    ]
    text = "\n".join(provenance("2026-11-23", commands, facts))
    assert text == (
        'This page is generated; do not edit it. Measured by `make bench ARGS="--rounds 3"` and `make soak`\n'
        "on 2026-11-23, on 2 cores of an X, Linux 6,\n"
        "with data_bridge 0.1.0, polars 2.1.0."
    )


@pytest.mark.parametrize("page", ["benchmarks", "scaling", "aims", "soak"])
def test_no_generated_page_names_a_commit(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert text.partition("\n\n")[2].startswith("This page is generated; do not edit it. Measured by `make ")
    assert re.findall(r"\(\w{7,}(?:-dirty)?\)", text) == []
