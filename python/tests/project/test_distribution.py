"""The distribution `data-bridge-mongodb` and the package that it installs, `data_bridge`."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

import data_bridge

ROOT = Path(__file__).parents[3]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
NAME = "data-bridge-mongodb"


def test_the_index_accepts_the_name() -> None:
    """The index refuses a name that equals another one without separators; `databridge` is taken."""
    found = re.search(r'^name = "([^"]+)"', PROJECT, re.MULTILINE)
    assert found
    assert found.group(1) == NAME
    assert re.sub(r"[-_.]", "", NAME) != "databridge"


def test_extras_refer_to_the_distribution() -> None:
    block = PROJECT.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = dict(re.findall(r"^(\w+) = \[([^\n]*)\]$", block, re.MULTILINE))
    clusters = {"ray", "dask", "spark"}
    assert set(extras) == {"arrow", "polars", "pandas", "duckdb", "datafusion", "all", *clusters}
    included = re.search(rf'"{NAME}\[([\w,]+)\]"', extras["all"])
    assert included
    assert set(included.group(1).split(",")) == set(extras) - {"all", *clusters}


def spellings() -> list[tuple[str, str]]:
    """Every `pip install` of this package: in pages, messages and workflows."""
    files = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("python/data_bridge/**/*.py"),
        *ROOT.glob(".github/**/*.yml"),
    ]
    pattern = re.compile(r"pip install [^\n`]*?(data[-_.]?bridge[\w.-]*)")
    return [
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in pattern.findall(file.read_text(encoding="utf-8"))
    ]


def test_every_install_command_names_the_distribution() -> None:
    found = spellings()
    assert {"README.md", "docs/guide.md", "python/data_bridge/query/result.py"} <= {file for file, _ in found}
    assert {name for _, name in found} == {NAME}, found


def test_installed_metadata() -> None:
    try:
        installed = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        pytest.skip("the package is imported from the source tree, not installed")
    assert installed.version == data_bridge.__version__
    assert installed.metadata["Name"] == NAME


def test_the_wheel_has_every_package() -> None:
    """The wheel has no package that the project does not name: Spark would not find the data source."""
    listed = re.search(r"^python-packages = \[([^\]]*)\]", PROJECT, re.MULTILINE)
    assert listed
    packages = {path.parent.name for path in (ROOT / "python").glob("*/__init__.py")}
    assert set(re.findall(r'"(\w+)"', listed.group(1))) == packages == {"data_bridge", "pyspark_data_bridge"}
