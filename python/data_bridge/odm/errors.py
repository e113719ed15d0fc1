"""Errors of models, beside those of the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataBridgeError

_SHOWN = 60
"""Characters of a value in a message."""


class ValidationError(DataBridgeError, ValueError):
    """A value does not fit the annotation of its field.

    Attributes
    ----------
    id
        The `_id` of the stored document; None for an instance made by hand.
    path
        The place of the value: keys, and positions in lists.
    expected, found
        The type of the annotation, and the value as text.
    errors
        All errors of a call that checks several values; else this error only.
    """

    def __init__(
        self, path: tuple[str | int, ...], expected: str, found: str, id: object = None, model: str | None = None
    ) -> None:
        self.path = path
        self.expected = expected
        self.found = found
        self.id = id
        self.errors: Sequence[ValidationError] = (self,)
        place = ".".join(str(step) for step in path)
        of = "" if model is None else f"{model}: "
        where = f" in the document with _id {id!r}" if id is not None else ""
        super().__init__(f"{of}{place or 'value'}: expected {expected}, found {found}{where}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.expected, self.found, self.id), {"args": self.args, "errors": self.errors}


class Mismatch(ValueError):
    """A value that does not fit, before it is a ValidationError: each level above prepends its key."""

    def __init__(self, expected: str, value: object, *, found: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = describe(value) if found is None else found
        self.path: list[str | int] = []

    def under(self, key: str | int) -> Mismatch:
        """Prepend the key of the level above."""
        self.path.insert(0, key)
        return self

    def error(
        self, *, id: object = None, before: tuple[str | int, ...] = (), model: str | None = None
    ) -> ValidationError:
        """Return the error for the user."""
        return ValidationError((*before, *self.path), self.expected, self.found, id, model)


class NotInitialized(DataBridgeError, RuntimeError):
    """The model has no collection: `init(database, [Model])` was not called."""


class DocumentNotFound(DataBridgeError, LookupError):
    """The collection does not contain the document."""


class RevisionConflict(DataBridgeError):
    """Another writer has changed the document since it was read."""


class UnsavedChanges(DataBridgeError):
    """The operation would lose unsaved changes of the instance."""


class NotFetched(DataBridgeError, AttributeError):
    """The linked document was not fetched: `fetch_links`, or the link's own `fetch()`, reads it."""


class PartlyRead(DataBridgeError):
    """The operation would delete keys of the document that were not read."""


def describe(value: object) -> str:
    """Return the type of a value and the start of its repr, for messages."""
    try:
        shown = repr(value)
    except RecursionError:
        return type(value).__name__
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return f"{type(value).__name__} {shown}"
