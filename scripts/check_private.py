"""Check that no module accesses a private member of a class of another module: `python scripts/check_private.py`.

A private member is an attribute that starts with one underscore. A module may use it on `self` and `cls`, and where one
of its own classes defines it. EXCEPTIONS lists every other use that is allowed, with its reason. The script prints each
fault with its place and exits with 1; an exception that no module uses is a fault too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "data_bridge"
OWN = {"self", "cls", "super()"}


class Access(NamedTuple):
    """A private attribute of an object other than `self` and `cls`."""

    line: int
    name: str


class Exceptions(NamedTuple):
    """Members that other modules may use."""

    owner: str
    names: frozenset[str]
    users: tuple[str, ...]
    """The modules or directories that may use them, below the package."""
    reason: str


SIDES = ("asynchronous/", "synchronous/")

EXCEPTIONS = [
    Exceptions(
        "namedtuple",
        frozenset({"_field_defaults", "_fields", "_replace"}),
        ("asynchronous/", "engines/", "integrations/", "odm/", "query/", "synchronous/"),
        "its documented method: the underscore keeps it apart from the names of fields",
    ),
    Exceptions(
        "ModelView",
        frozenset(
            {
                "_assign",
                "_assigned",
                "_document",
                "_held",
                "_held_values",
                "_is_stored",
                "_is_unchanged",
                "_is_whole",
                "_keep",
                "_kept",
                "_place",
                "_remove_assigned",
                "_remove_kept",
                "_unwritten",
                "_written",
            }
        ),
        ("odm/models/instance_state.py",),
        "the native state of instances: models have no public names but their fields, and this module is its interface",
    ),
    Exceptions(
        "Schema",
        frozenset({"_select", "_type_at"}),
        ("engines/", "query/partition.py"),
        "questions of engines about a schema, whose public form is the Arrow interface",
    ),
    Exceptions(
        "ModelView",
        frozenset({"_fill"}),
        ("odm/models/copying.py", "odm/models/model.py"),
        "the constructor of an instance over a row, called for each embedded document that is read",
    ),
    Exceptions(
        "Model",
        frozenset(
            {"_attributes", "_dump", "_embedded", "_fits", "_of_mapping", "_takes_attributes", "_unknown", "_validated"}
        ),
        ("odm/converters/", "odm/models/"),
        "the conversions of a model, for converters and writes; models have no public names beside their fields",
    ),
    Exceptions(
        "_core.Document",
        frozenset({"_kept_in"}),
        ("commands/encode.py", "odm/models/diff.py"),
        "native: writes unchanged elements as they are stored; users of the Document have no use for it",
    ),
    Exceptions(
        "_core",
        frozenset({"_document_from_bson"}),
        ("query/plan.py",),
        "native: a lazy view of a filter, which the view of a query shows a part of",
    ),
    Exceptions(
        "_core.FieldSlot",
        frozenset({"_plan"}),
        ("odm/models/field.py",),
        "native: gives a field its converter, once its annotation can be resolved",
    ),
    Exceptions(
        "Result",
        frozenset({"_data"}),
        ("query/", "odm/"),
        "the native rows, from which instances and tables are made; no part of what users see",
    ),
    Exceptions(
        "Query, AsyncQuery",
        frozenset({"_iterate", "_list"}),
        ("odm/asynchronous/", "odm/synchronous/"),
        "run the query with the native class that makes instances, which users do not have",
    ),
    Exceptions(
        "Query, AsyncQuery",
        frozenset({"_of_pipeline"}),
        SIDES,
        "makes the query of `aggregate`, whose arguments collections and databases pass on",
    ),
    Exceptions(
        "Collection, Database, MongoClient",
        frozenset({"_core", "_drop", "_send", "_settings", "_shared"}),
        SIDES,
        "handles of one side share the native client and their settings",
    ),
    Exceptions(
        "MongoClient",
        frozenset({"_of_core"}),
        ("query/task_writer.py",),
        "a client over the native one that a task shares with the partitions of its process",
    ),
    Exceptions(
        "Collection, Database",
        frozenset({"_settings"}),
        ("odm/models/registration.py", "odm/models/database_variants.py", "integrations/pymongo_handles.py"),
        "codec and settings of a handle: decode as it does, compare two handles, hand its settings to PyMongo",
    ),
    Exceptions(
        "Collection",
        frozenset({"_deleted", "_found", "_updated"}),
        ("odm/asynchronous/", "odm/queries/", "odm/synchronous/"),
        "reads and writes with the options of a query over models, which no single public method takes together",
    ),
    Exceptions(
        "operations",
        frozenset({"_collation", "_doc", "_filter", "_hint", "_upsert"}),
        ("commands/statement.py",),
        "the attributes of PyMongo's operations, which are accepted too",
    ),
    Exceptions(
        "IPython",
        frozenset({"_repr_html_"}),
        ("__init__.py", "odm/queries/query_base.py"),
        "the method that notebooks call, of the native Document and of the query below a model's query",
    ),
    Exceptions(
        "MongoEngine",
        frozenset(
            {
                *("_batch_size", "_collation", "_collection", "_comment", "_cursor_args", "_document", "_empty"),
                *("_get_order_by", "_hint", "_limit", "_max_time_ms", "_meta", "_none", "_ordering", "_query"),
                *("_read_concern", "_read_preference", "_scalar", "_skip", "_sub_js_fields", "_where_clause"),
            }
        ),
        ("integrations/mongoengine_query.py",),
        "its QuerySet has no public names for the parts of a query",
    ),
    Exceptions(
        "connection.uri",
        frozenset({"_named", "_split"}),
        ("integrations/pymongo_arguments.py",),
        "functions of the parser of URIs, for the arguments of a PyMongo client",
    ),
    Exceptions(
        "MongoClient",
        frozenset({"_closed"}),
        ("integrations/pymongo_handles.py",),
        "a closed client of ours is replaced where its PyMongo client is still open",
    ),
]


def accesses(text: str) -> Iterator[Access]:
    """Yield the accesses of a module to private members that none of its own classes defines."""
    tree = ast.parse(text)
    own, modules = set(_defined(tree)), set(_imported(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not _is_private(node.attr) or node.attr in own:
            continue
        # A function of an imported module is no member of a class: `sys._getframe`.
        if ast.unparse(node.value) not in OWN | modules:
            yield Access(node.lineno, node.attr)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the modules that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.asname or alias.name for alias in node.names)


def _defined(tree: ast.Module) -> Iterator[str]:
    """Yield the attributes and methods that the classes of a module define."""
    for cls in ast.walk(tree):
        if not isinstance(cls, ast.ClassDef):
            continue
        for node in ast.walk(cls):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in OWN:
                    yield node.attr
            elif isinstance(node, ast.Assign) and any(ast.unparse(each) == "__slots__" for each in node.targets):
                for each in ast.walk(node.value):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield each.value


def allowed(module: str, name: str) -> Exceptions | None:
    """Return the exception that lets a module, "odm/models/link.py" say, use a member; None for none."""
    return next((each for each in EXCEPTIONS if name in each.names and module.startswith(each.users)), None)


def faults(package: Path = PACKAGE) -> list[str]:
    """Return a message for each access that no exception allows, and for each exception that nothing uses."""
    found: list[str] = []
    unused = {(position, name) for position, each in enumerate(EXCEPTIONS) for name in each.names}
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        for line, name in accesses(path.read_text(encoding="utf-8")):
            exception = allowed(module, name)
            if exception is None:
                found.append(f"{module}:{line}: {name} is private to the class that defines it")
            else:
                unused.discard((EXCEPTIONS.index(exception), name))
    for position, name in sorted(unused):
        found.append(f"no module uses the exception {EXCEPTIONS[position].owner}.{name}: remove it")
    return found


def main() -> int:
    """Check the package."""
    found = faults()
    for each in found:
        print(each, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
