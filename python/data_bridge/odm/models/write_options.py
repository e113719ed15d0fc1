"""Options of the writes of an instance: its session, its hooks, its revision, and its linked documents."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..._typing import Timeout


class WriteRules(str, enum.Enum):
    """Treatment of the documents that links hold, in a write of the instance."""

    DO_NOTHING = "DO_NOTHING"
    """Only the references are written."""
    WRITE = "WRITE"
    """The documents are saved first, and theirs before them; documents without an `_id` are inserted."""


class DeleteRules(str, enum.Enum):
    """Treatment of linked documents in `delete()` of an instance."""

    DO_NOTHING = "DO_NOTHING"
    """They stay."""
    DELETE_LINKS = "DELETE_LINKS"
    """The linked documents are deleted too, with theirs; links that were not fetched are fetched for that."""


class WriteOptions(NamedTuple):
    """The options of one write."""

    session: Any = None
    timeout: Timeout = ...
    skip_actions: frozenset[str] = frozenset()
    """Names of methods, "before" and "after": hooks that do not run."""
    ignore_revision: bool = False
    """Write also where another writer has changed the document."""
    link_rule: WriteRules | DeleteRules = WriteRules.DO_NOTHING
    seen: frozenset[int] = frozenset()
    """The instances that are being written with this one, by their ids."""


def write_options(
    session: Any,
    timeout: Timeout,
    skip_actions: Iterable[str] = (),
    ignore_revision: bool = False,
    link_rule: object = WriteRules.DO_NOTHING,
) -> WriteOptions:
    """Return the options of a call.

    Raises
    ------
    TypeError
        For a link rule of another kind of write, and for a str as `skip_actions`.
    """
    if not isinstance(link_rule, (WriteRules, DeleteRules)):
        raise TypeError(f"link_rule must be WriteRules or DeleteRules, got {type(link_rule).__name__}")
    if isinstance(skip_actions, str):
        raise TypeError(f"skip_actions takes a list of names, got the str {skip_actions!r}")
    return WriteOptions(session, timeout, frozenset(skip_actions), ignore_revision, link_rule)
