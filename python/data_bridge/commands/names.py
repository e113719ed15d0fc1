"""Names: of databases, collections and indexes, checked before they reach the wire, and those that only PyMongo has."""

from __future__ import annotations

from .._core import InvalidQuery

_MAX_DATABASE_BYTES = 63
_MAX_NAMESPACE_BYTES = 255

# PyMongo 4.20's public names. What a class of ours defines is found before these are looked at.
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


def refuse(name: str, owner: str, pymongo: frozenset[str], child: str) -> None:
    """Raise for an attribute that must not become a database or a collection.

    Raises
    ------
    AttributeError
        For a name that starts with an underscore, and for one that PyMongo has and we do not.
    """
    if name.startswith("_"):
        raise AttributeError(f"{owner} has no attribute {name!r}; for a {child} of that name use [{name!r}]")
    if name in pymongo:
        raise AttributeError(
            f"{owner} has no attribute {name!r}: this package does not do that. to_pymongo() gives PyMongo's own "
            f"object with the same settings, which has it; for a {child} of that name use [{name!r}]"
        )


def check_database(name: str) -> str:
    """`name`, when the server would take it for a database.

    Raises
    ------
    TypeError
        When it is no str.
    InvalidQuery
        When it is empty, longer than 63 bytes, or holds a character that database names cannot.
    """
    if not isinstance(name, str):
        raise TypeError(f"a database name must be a str, got {type(name).__name__}")
    if name == "$external":
        return name
    if not name:
        raise InvalidQuery("a database name cannot be empty")
    for character in ' .$/\\\0"':
        if character in name:
            raise InvalidQuery(f"a database name cannot contain {character!r}: {name!r}")
    if len(_utf8(name)) > _MAX_DATABASE_BYTES:
        raise InvalidQuery(f"a database name cannot be longer than {_MAX_DATABASE_BYTES} bytes: {name!r}")
    return name


def check_collection(database: str, name: str) -> str:
    """`name`, when the server would take it for a collection of `database`.

    Raises
    ------
    TypeError
        When it is no str.
    InvalidQuery
        When it is empty, holds NUL, `$` or `..`, starts or ends with a dot, or makes a namespace over 255 bytes.
    """
    if not isinstance(name, str):
        raise TypeError(f"a collection name must be a str, got {type(name).__name__}")
    if not name:
        raise InvalidQuery("a collection name cannot be empty")
    if "\0" in name:
        raise InvalidQuery(f"a collection name cannot contain NUL: {name!r}")
    if ".." in name or name.startswith(".") or name.endswith("."):
        raise InvalidQuery(f"a collection name cannot start or end with '.' or contain '..': {name!r}")
    if "$" in name and not name.startswith(("oplog.$main", "$cmd")):
        raise InvalidQuery(f"a collection name cannot contain '$': {name!r}")
    if len(_utf8(f"{database}.{name}")) > _MAX_NAMESPACE_BYTES:
        raise InvalidQuery(f"database and collection name together cannot be longer than {_MAX_NAMESPACE_BYTES} bytes")
    return name


def check_index(name: str) -> str:
    """`name`, when an index could have it.

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
    _utf8(name)
    return name


def _utf8(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise InvalidQuery(f"a name must be valid Unicode: {name!r}") from None
