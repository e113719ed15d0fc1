"""Parts of the requests that write instances: ids, revisions, filters and update operators."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bson.objectid import ObjectId

from ..converters.converter import plain
from ..errors import DocumentNotFound, Mismatch, PartlyRead, UnsavedChanges, ValidationError
from ..filters.expressions import mapping_of
from ..filters.trust import Trusted, check_code
from ..filters.updates import update_document, update_pipeline
from . import instance_state as state
from .diff import difference

if TYPE_CHECKING:
    from .model import Model

REVISION = "revision_id"
"""The field, and the key, that holds the revision of a document."""


def assign_id(instance: Any) -> None:
    """Give an instance that has no `_id` an ObjectId before it is inserted: a repeated insert then has the same `_id`.

    Raises
    ------
    ValidationError
        When the model declares `id` to be of another type.
    """
    if instance.id is None:
        field = type(instance).__odm__.fields["id"]
        try:
            # No assignment of the program, which a frozen field refuses.
            state.replace(instance, "id", field.accept(ObjectId(), state.OtherValues(instance, "id")))
        except ValidationError:
            expected = field.converter.name
            raise Mismatch(expected, None).under("id").error(model=type(instance).__name__) from None


def new_revision(model: type[Model]) -> Any:
    """Return a new revision as it is stored."""
    field = model.__odm__.fields[REVISION]
    return field.dump(field.accept(uuid.uuid4()))


def check_writable(instance: Any, keys: Iterable[str]) -> None:
    """Refuse another `_id` than the stored one, and keys that `Settings.projection` computes or reads a part of.

    Raises
    ------
    ValidationError
        For another `_id`.
    PartlyRead
        For such a key.
    """
    if not state.is_stored(instance):
        return
    if "_id" in keys:
        raise ValidationError(("id",), "the _id that is stored", "another one", id_of(instance))
    projection = type(instance).__odm__.settings.projection
    if projection is None or state.is_whole(instance):
        return
    for key in {each.partition(".")[0] for each in keys}:
        parts = [value for path, value in projection.items() if path == key or path.startswith(f"{key}.")]
        if parts and (key not in projection or parts not in ([1], [0])):
            raise PartlyRead(
                f"{type(instance).__name__} with _id {id_of(instance)!r} was read through Settings.projection, which "
                f"does not give {key!r} as it is stored: update(Set(...)) writes it"
            )


def guarded(instance: Model, ignore_revision: bool = False) -> dict[str, Any]:
    """Return the filter that finds the document of an instance, in the revision that was read, or in any."""
    found_by = {"_id": id_of(instance)}
    if type(instance).__odm__.settings.use_revision and not ignore_revision:
        document = state.stored_document(instance)
        # An instance made by hand has read no revision.
        found_by[REVISION] = None if document is None else document.get(REVISION)
    return found_by


def id_of(instance: Any) -> Any:
    """Return the `_id` as it is stored.

    Raises
    ------
    DocumentNotFound
        For an instance that has none.
    """
    document = state.stored_document(instance)
    if document is not None and "_id" in document:
        return plain(document["_id"])
    if instance.id is None:
        raise DocumentNotFound(f"this {type(instance).__name__} was not inserted and has no _id: insert() it first")
    return type(instance).__odm__.fields["id"].dump(instance.id)


def update_of(model: type[Model], updates: Iterable[Any], instance: Model | None = None) -> Any:
    """Return one update of operators and mappings, with a new revision where the model uses revisions.

    An update that is a list is an aggregation pipeline.

    Parameters
    ----------
    instance
        The instance that is updated, whose values the validators of fields see.

    Raises
    ------
    TypeError
        For a pipeline together with operators of the caller.
    """
    updates = list(updates)
    if updates and isinstance(updates[0], (list, tuple)):
        return _pipeline_of(model, *updates)
    update = update_document(model, updates, None if instance is None else partial(state.OtherValues, instance))
    if model.__odm__.settings.use_revision:
        update["$set"] = {**update.get("$set", {}), REVISION: new_revision(model)}
    return update


def _pipeline_of(model: type[Model], stages: Iterable[Any], *by_hooks: Any) -> list[Any]:
    pipeline = update_pipeline(model, stages)
    for update in by_hooks:
        if not isinstance(update, Trusted):
            raise TypeError("an update takes a pipeline or operators, not both: write the operators as stages")
        # Values in a pipeline are expressions.
        if sets := update.get("$set"):
            pipeline.append({"$set": {key: {"$literal": value} for key, value in sets.items()}})
        if unsets := update.get("$unset"):
            pipeline.append({"$unset": list(unsets)})
    if model.__odm__.settings.use_revision:
        pipeline.append({"$set": {REVISION: {"$literal": new_revision(model)}}})
    return pipeline


def array_filters_of(filters: Iterable[Mapping[str, Any]] | None) -> list[Any] | None:
    """Return array filters with keys and values as they are stored.

    Raises
    ------
    InvalidQuery
        For operators that run code and are not trusted.
    """
    if filters is None:
        return None
    check_code(list(filters), "array_filters")
    return mapping_of("array_filters", list(filters))  # type: ignore[no-any-return]


def check_unchanged(instance: Model, call: str) -> None:
    """Refuse a call that reads the document again, where the instance has unsaved changes.

    Raises
    ------
    UnsavedChanges
        For such an instance.
    """
    sets, unsets = difference(instance)
    if sets or unsets:
        names = ", ".join([*sets, *unsets])
        raise UnsavedChanges(f"{call} reads the document again and would lose changes of {names}: save() or reload()")


def read_projection(model: type[Model]) -> dict[str, Any] | None:
    """Return the projection that reads a document of the model again; None for all keys."""
    return model.__odm__.projection(False)


def not_found_text(instance: Model) -> str:
    """Return the message for a document that does not exist."""
    return f"there is no {type(instance).__name__} with _id {id_of(instance)!r}"
