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
    reason
        The text of the error that a validator raised; else None.
    errors
        All errors of a call that checks several values; else this error only.
    """

    def __init__(
        self,
        path: tuple[str | int, ...],
        expected: str,
        found: str,
        id: object = None,
        model: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.path = path
        self.expected = expected
        self.found = found
        self.id = id
        self.reason = reason
        self.errors: Sequence[ValidationError] = (self,)
        place = ".".join(str(step) for step in path)
        of = "" if model is None else f"{model}: "
        where = f" in the document with _id {id!r}" if id is not None else ""
        fault = f"expected {expected}, found {found}" if reason is None else reason
        super().__init__(f"{of}{place or 'value'}: {fault}{where}")

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"args": self.args, "errors": self.errors, "reason": self.reason}
        return type(self), (self.path, self.expected, self.found, self.id), state

    def under(self, path: Sequence[str | int], model: str) -> ValidationError:
        """Return the same error, with the place of the model that contains the value."""
        below = tuple(path) + self.path
        return ValidationError(below, self.expected, self.found, self.id, model, self.reason)


class Mismatch(ValueError):
    """A value that does not fit, before it is a ValidationError: each level above prepends its key."""

    def __init__(self, expected: str, value: object, *, found: str | None = None, reason: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = describe(value) if found is None else found
        self.reason = reason
        self.path: list[str | int] = []

    def under(self, key: str | int) -> Mismatch:
        """Prepend the key of the level above."""
        self.path.insert(0, key)
        return self

    def error(
        self, *, id: object = None, before: tuple[str | int, ...] = (), model: str | None = None
    ) -> ValidationError:
        """Return the error for the user."""
        return ValidationError((*before, *self.path), self.expected, self.found, id, model, self.reason)


class NotInitialized(DataBridgeError, RuntimeError):
    """The model has no collection: `init(database, [Model])` was not called."""


class DocumentNotFound(DataBridgeError, LookupError):
    """The collection does not contain the document."""


class RevisionConflict(DataBridgeError):
    """Another writer has changed the document since it was read."""


class UnsavedChanges(DataBridgeError):
    """The operation would lose unsaved changes of the instance."""


class StillLinked(DataBridgeError):
    """A document is not deleted, as others link to it: `Field(delete_rule=OnDelete.DENY)`."""


class NotFetched(DataBridgeError, AttributeError):
    """The linked document was not fetched: `fetch_links`, or the link's own `fetch()`, reads it."""


class PartlyRead(DataBridgeError):
    """The operation would delete keys of the document that were not read."""


def raise_all(errors: Sequence[ValidationError]) -> None:
    """Raise one error for all errors, if there are any."""
    if not errors:
        return
    first = errors[0]
    if len(errors) > 1:
        first = ValidationError(first.path, first.expected, first.found, first.id, reason=first.reason)
        first.errors = errors
        first.args = (f"{errors[0]} (and {len(errors) - 1} more, in `errors`)",)
    raise first


def describe(value: object) -> str:
    """Return the type of a value and the start of its repr, for messages."""
    try:
        shown = repr(value)
    except RecursionError:
        return type(value).__name__
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return f"{type(value).__name__} {shown}"
