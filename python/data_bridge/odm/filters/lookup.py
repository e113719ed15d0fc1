"""Lookup of fields by paths, dotted names and sort keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import InvalidQuery
from ..errors import describe
from .expressions import (
    FieldPath,
    Sort,
    converter_at,
    declaration_of,
    key_of,
    path_below,
    path_of_items,
    root_of,
    root_of_sort,
)


def check_fields(model: Any, roots: Iterable[FieldPath]) -> None:
    """Refuse fields of other models, which no document of this model has.

    Raises
    ------
    InvalidQuery
        For a field that neither the model nor a class below it declares, and for a field of another collection's model.
    """
    for root in roots:
        if not _has(model, declaration_of(root)):
            raise InvalidQuery(f"{root!r} is no field of {model.__name__}")


def check_items(field: FieldPath, roots: Iterable[FieldPath]) -> None:
    """Refuse fields of other models in a condition on the items of a list.

    Raises
    ------
    InvalidQuery
        As for `check_fields`; `User.items.name` is a field of users, `Item.name` of items.
    """
    models = converter_at(field).models()
    for root in () if models is None else roots:
        if not any(_has(model, declaration_of(root)) for model in models or ()):
            names = " or ".join(model.__name__ for model in models or ()) or converter_at(field).name
            raise InvalidQuery(f"{root!r} is no field of the items of {field!r} ({names})")


def _has(model: Any, field: Any) -> bool:
    """Return whether the model or a class below it declares the field, or a field with its key in its collection."""
    info, other = model.__odm__, field.declared_by
    if info.fields.get(field.name) is field:
        return True
    there = (each.fields.get(field.name) for each in info.descendants())
    if not any(each is not None and each.key == field.key for each in there):
        return False
    # Embedded models may be views of the model's documents.
    related = not other.is_collection or issubclass(model, other.cls) or issubclass(other.cls, model)
    return related or bool(other.settings.name == info.settings.name)


def resolve(model: Any, field: object, *, positional: bool = False) -> FieldPath:
    """Return a field of `model` by its path or dotted name.

    Parameters
    ----------
    positional
        A name may have the server's positions of updates, `$`, `$[]` and `$[name]`.

    Raises
    ------
    AttributeError
        For an undeclared name.
    TypeError
        For any other object.
    InvalidQuery
        For a field of another model.
    """
    if isinstance(field, FieldPath):
        check_fields(model, [root_of(field)])
        return field
    if not isinstance(field, str):
        raise TypeError(f"a field must be {model.__name__}.name or the name of a field, got {describe(field)}")
    first, *rest = field.split(".")
    found: FieldPath = model.__odm__.path(first)
    for step in rest:
        converter = converter_at(found)
        if positional and step.startswith("$"):
            found = path_of_items(found, step)
        elif step.isdigit() and not converter.keyed:
            found = found[int(step)]
        elif converter.keyed or converter.free:
            found = found[step]
        else:
            found = path_below(found, step)
    return found


def sort_keys(model: Any, keys: Iterable[Any]) -> list[tuple[str, int]]:
    """Return the keys and directions of `-User.age`, `User.age`, "-age", ("age", -1), or lists of these."""
    result: list[tuple[str, int]] = []
    for key in keys:
        if isinstance(key, Sort):
            root = root_of_sort(key)
            if root is not None:
                check_fields(model, [root])
            result.append((key_of(resolve(model, key.key)) if root is None else key.key, key.direction))
        elif isinstance(key, str) and key[:1] in ("-", "+"):
            result.append((key_of(resolve(model, key[1:])), -1 if key[0] == "-" else 1))
        elif isinstance(key, tuple) and len(key) == 2 and key[1] in (1, -1) and not isinstance(key[1], bool):
            result.append((key_of(resolve(model, key[0])), key[1]))
        elif isinstance(key, list):
            result.extend(sort_keys(model, key))
        else:
            result.append((key_of(resolve(model, key)), 1))
    if len({key for key, _ in result}) < len(result):
        raise InvalidQuery(f"a key to sort by is named twice: {', '.join(key for key, _ in result)}")
    return result
