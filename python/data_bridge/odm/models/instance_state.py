"""State of a model's instance: the document it reads from, and the values that differ from that document.

The native `ModelView`, the base of all models, holds the state. Other modules read and change it through these
functions only: models have no public names beside their fields.

The value of a field is in one of three places. A stored value is in the document. A kept value was built from a stored
one, can be changed in place, and is held so that the change is found. An assigned value was set since the document was
read or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..._core import Document as StoredDocument
from ..._core import ModelView
from ...connection.session_state import SessionState

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__bool__": lambda _: False})()
"""No value: neither null nor undefined."""


class HeldValues(NamedTuple):
    """Copies of the values that an instance holds beside its document, by the names of fields."""

    kept: dict[str, Any]
    assigned: dict[str, Any]


class OtherValues(Mapping[str, Any]):
    """The values of an instance without that of one field, by name. A value is read when it is looked up."""

    def __init__(self, instance: Any, without: str) -> None:
        self._instance = instance
        self._names = [name for name in type(instance).__odm__.fields if name != without]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return getattr(self._instance, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def stored_document(instance: ModelView) -> StoredDocument | None:
    """Return the document that the instance reads from; None for one that is not stored."""
    return instance._document()


def is_stored(instance: ModelView) -> bool:
    """Return whether the instance reads from a stored document."""
    return instance._is_stored


def is_whole(instance: ModelView) -> bool:
    """Return whether the document was read or written with all its keys."""
    return instance._is_whole


def place(instance: ModelView) -> Any:
    """Return the document, or for an embedded instance the pair of its parent's place and its key, for messages."""
    return instance._place()


def is_unchanged(instance: ModelView, document: StoredDocument) -> bool:
    """Return whether the instance reads the same document, and holds no value that may differ from a stored one."""
    return instance._is_unchanged(document)


def held_value(instance: ModelView, name: str) -> Any:
    """Return the assigned or kept value of a field, or MISSING."""
    return instance._held(name, MISSING)


def held_values(instance: ModelView) -> HeldValues:
    """Return the kept and the assigned values, as they are at this moment."""
    return HeldValues(*instance._held_values())


def is_assigned(instance: ModelView, name: str) -> bool:
    """Return whether a value was assigned to a field since the document was read or written."""
    return name in instance._assigned


def own_values(instance: ModelView) -> dict[str, Any]:
    """Return the kept and the assigned values by the names of fields, each field once."""
    kept, assigned = held_values(instance)
    return {**kept, **assigned}


def kept_fields(instance: ModelView) -> list[str]:
    """Return the names of the fields with kept values."""
    return list(instance._kept)


def keep(instance: ModelView, name: str, value: object) -> None:
    """Hold a value that is no change: the documents of a BackLink."""
    instance._keep(name, value)


def replace(instance: ModelView, name: str, value: object) -> None:
    """Make a value that of a field, whether or not one was assigned."""
    instance._assign(name, value)


def assign(instance: ModelView, values: Mapping[str, Any]) -> None:
    """Make values changes again, without those of fields that were assigned since."""
    for name, value in values.items():
        instance._assign(name, value, replace=False)


def discard(instance: ModelView, name: str) -> Any:
    """Drop the value of a field; return the assigned one, or MISSING."""
    assigned = instance._remove_assigned(name, MISSING)
    instance._remove_kept(name, None)
    return assigned


def release_kept(instance: ModelView, name: str) -> Any:
    """Drop the kept value of a field and return it, or MISSING."""
    return instance._remove_kept(name, MISSING)


def read_from(instance: ModelView, document: StoredDocument, *, whole: bool) -> dict[str, Any]:
    """Read from a document that was found, and drop all held values. Return those that were assigned."""
    return instance._written(document, whole, False)


def move_to(instance: ModelView, document: StoredDocument, *, whole: bool) -> dict[str, Any]:
    """Read from a document that was written. Assigned values become kept ones; return them."""
    return instance._written(document, whole, True)


def restore_on_abort(instance: ModelView, session: SessionState | None) -> None:
    """Record the state, for the case that the session's transaction is not committed: the changes are then unsaved."""
    if session is None or not session.in_transaction:
        return
    document, whole = instance._document(), instance._is_whole
    kept, assigned = held_values(instance)

    def restore() -> None:
        instance._unwritten(document, whole)
        # Values that were assigned since the write are newer.
        assign(instance, assigned)
        if document is None:
            # The defaults of a new instance.
            for name, value in kept.items():
                if held_value(instance, name) is MISSING:
                    keep(instance, name, value)

    session.on_abort(restore)
