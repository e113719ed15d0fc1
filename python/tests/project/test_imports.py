"""Importing the package is cheap and needs nothing but `bson`."""

from __future__ import annotations

import subprocess
import sys
import textwrap

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pyarrow", "polars", "pandas", "numpy", "duckdb", "tqdm", "asyncio"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_needs_no_arrow_library_and_not_all_of_pymongo() -> None:
    loaded = run(BLOCKER + "import data_bridge\nprint('pymongo.mongo_client' in sys.modules)")
    assert loaded == "False"


def test_models_need_no_more() -> None:
    code = """
    import sys
    sys.modules["typing_extensions"] = None
    from data_bridge import odm
    class User(odm.Document):
        name: str
    assert repr(User(name="a")) == "User(id=None, name='a')"
    print('pymongo.mongo_client' in sys.modules)
    """
    assert run(BLOCKER + textwrap.dedent(code)) == "False"


def test_import_loads_nothing_that_only_some_programs_need() -> None:
    """Each of these takes a tenth of the package's import time, or more."""
    needless = ["asyncio", "data_bridge.odm", "data_bridge.query.html", "data_bridge.query.pandas_frames"]
    needless += ["data_bridge.query.pylists", "html", "json", "pymongo", "ssl", "tqdm", "urllib.parse"]
    code = f"import data_bridge, sys; print([name for name in {needless!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_everything_but_tables_works_without_arrow_libraries() -> None:
    code = """
    import bson, data_bridge
    query = data_bridge.read_bson(bson.encode({"a": 1}))
    assert query.to_dicts() == [{"a": 1}]
    assert query.read().schema.names == ["a"]
    for convert in (query.to_arrow, query.to_polars, query.to_pandas):
        try:
            convert()
        except ImportError as error:
            assert "read()" in str(error), error
            assert "pip install" in str(error), error
        else:
            raise AssertionError(convert)
    """
    run(BLOCKER + textwrap.dedent(code))


def test_all_names_exist_and_have_docstrings() -> None:
    import data_bridge

    for name in data_bridge.__all__:
        value = getattr(data_bridge, name)
        assert name == "__version__" or value.__doc__, name
