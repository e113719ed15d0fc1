"""Checks of an instance before a write: of values that were changed in place, and by validators of its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import Mismatch, ValidationError, raise_all
from . import instance_state as state
from .diff import changed_fields

if TYPE_CHECKING:
    from .model import Model


def check_changes(instance: Model) -> None:
    """Check the values that a write sends. Those that are stored, and not changed, are not checked.

    Assigned values were checked. Lists, dicts and embedded models may have been changed since.

    Raises
    ------
    ValidationError
        For values that a constraint or validator refuses; `errors` has one error for each.
    """
    if type(instance).__odm__.has_checks:
        raise_all(_errors(instance))


def _errors(instance: Any) -> list[ValidationError]:
    info = type(instance).__odm__
    held = state.own_values(instance)
    if state.is_stored(instance):
        changed = changed_fields(instance)
        held = {name: value for name, value in held.items() if name in changed}
        if not held:
            return []
    errors: list[ValidationError] = []
    for name, value in held.items():
        field = info.fields[name]
        if field.converter.virtual or not field.has_checks:
            continue
        below = [
            error.under(path, info.cls.__name__)
            for path, embedded in embedded_in(value, (name,))
            for error in _errors(embedded)
        ]
        errors += below
        if not field.converter.keeps or below:
            continue
        try:
            accepted = field.accept(value, state.OtherValues(instance, name))
        except ValidationError as error:
            errors += error.errors
            continue
        if accepted is not value:
            state.replace(instance, name, accepted)
    if not errors:
        try:
            info.model_validators.check(instance)
        except Mismatch as mismatch:
            errors.append(mismatch.error(model=info.cls.__name__))
    return errors


def embedded_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the paths and the embedded models in a value, without those within them."""
    info = getattr(type(value), "__odm__", None)
    if info is not None:
        if not info.is_collection:
            yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from embedded_in(each, (*path, key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for position, each in enumerate(value):
            yield from embedded_in(each, (*path, position))
