"""Names of databases, collections and indexes, checked before they are sent, and names that only PyMongo has."""

from __future__ import annotations

from .._core import InvalidQuery, check_names

# PyMongo 4.20's public names. Python finds the names that our classes define before it reads these lists.
PYMONGO_CLIENT = frozenset(
    [
        "HOST",
        "PORT",
        "aclose",
        "aconnect",
        "address",
        "append_metadata",
        "arbiters",
        "bulk_write",
        "close",
        "codec_options",
        "drop_database",
        "eq_props",
        "get_database",
        "get_default_database",
        "is_mongos",
        "is_primary",
        "list_database_names",
        "list_databases",
        "next",
        "nodes",
        "options",
        "primary",
        "read_concern",
        "read_preference",
        "secondaries",
        "server_info",
        "start_session",
        "topology_description",
        "watch",
        "write_concern",
    ]
)
PYMONGO_DATABASE = frozenset(
    [
        "aggregate",
        "client",
        "codec_options",
        "command",
        "create_collection",
        "cursor_command",
        "dereference",
        "drop_collection",
        "get_collection",
        "list_collection_names",
        "list_collections",
        "name",
        "next",
        "read_concern",
        "read_preference",
        "validate_collection",
        "watch",
        "with_options",
        "write_concern",
    ]
)
PYMONGO_COLLECTION = frozenset(
    [
        "aggregate",
        "aggregate_raw_batches",
        "bulk_write",
        "codec_options",
        "count_documents",
        "create_index",
        "create_indexes",
        "create_search_index",
        "create_search_indexes",
        "database",
        "delete_many",
        "delete_one",
        "distinct",
        "drop",
        "drop_index",
        "drop_indexes",
        "drop_search_index",
        "drop_search_indexes",
        "estimated_document_count",
        "find",
        "find_one",
        "find_one_and_delete",
        "find_one_and_replace",
        "find_one_and_update",
        "find_raw_batches",
        "full_name",
        "index_information",
        "insert_many",
        "insert_one",
        "list_indexes",
        "list_search_indexes",
        "name",
        "next",
        "options",
        "read_concern",
        "read_preference",
        "rename",
        "replace_one",
        "update_many",
        "update_one",
        "update_search_index",
        "watch",
        "with_options",
        "write_concern",
    ]
)


def refuse_attribute(name: str, owner: str, pymongo: frozenset[str], child: str) -> None:
    """Raise for an attribute that must not become a database or a collection.

    Raises
    ------
    AttributeError
        For a name that starts with an underscore, and for a name that PyMongo has and this package does not.
    """
    if name.startswith("_"):
        raise AttributeError(f"{owner} has no attribute {name!r}; for a {child} of that name use [{name!r}]")
    if name in pymongo:
        raise AttributeError(
            f"{owner} has no attribute {name!r}: this package does not do that. to_pymongo() gives PyMongo's own "
            f"object with the same settings, which has it; for a {child} of that name use [{name!r}]"
        )


def check_database(name: str) -> str:
    """Return the name of a database that PyMongo would accept.

    Raises
    ------
    TypeError
        When it is no str.
    InvalidQuery
        When it is empty or holds a character that database names cannot have.
    """
    if not isinstance(name, str):
        raise TypeError(f"a database name must be a str, got {type(name).__name__}")
    _check_unicode(name)
    check_names(name)
    return name


def check_collection(database: str, name: str) -> str:
    """Return the name of a collection that PyMongo would accept.

    Raises
    ------
    TypeError
        When it is no str.
    InvalidQuery
        When it is empty, holds NUL, `$` or `..`, or starts or ends with a dot.
    """
    if not isinstance(name, str):
        raise TypeError(f"a collection name must be a str, got {type(name).__name__}")
    _check_unicode(name)
    check_names(database, name)
    return name


def check_index(name: str) -> str:
    """Return the name of an index that the server would accept.

    Raises
    ------
    TypeError
        When it is no str.
    InvalidQuery
        When it is empty or holds NUL.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of an index must be a str, got {type(name).__name__}")
    if not name or "\0" in name:
        raise InvalidQuery(f"the name of an index cannot be empty or contain NUL: {name!r}")
    _check_unicode(name)
    return name


def _check_unicode(name: str) -> None:
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InvalidQuery(f"a name must be valid Unicode: {name!r}") from None
