"""How instances are written: operations as steps, for models of both kinds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.objectid import ObjectId

from .. import encode
from .._core import _document_from_bson
from ..operations import ReturnDocument
from .binding import collection_of
from .errors import DocumentNotFound, Mismatch, PartlyRead, RevisionConflict, UnsavedChanges, ValidationError
from .hooks import Event
from .plans import Plan, plain
from .steps import Steps
from .updates import update_document

_COMPARED: CodecOptions[Any] = CodecOptions(uuid_representation=bson.binary.UuidRepresentation.STANDARD)
REVISION = "revision_id"


def insert(instance: Any, session: Any) -> Steps[Any]:
    """Insert a document made of the instance."""
    yield from _hooks("before", Event.INSERT, instance)
    document = new_document(instance)
    yield collection_of(type(instance)).insert_one(document, session=session)
    written(instance, document, whole=True)
    yield from _hooks("after", Event.INSERT, instance)
    return instance


def insert_many(model: Any, instances: Iterable[Any], ordered: bool, session: Any) -> Steps[list[Any]]:
    """Insert documents made of instances."""
    instances = list(instances)
    documents = []
    for each in instances:
        if not isinstance(each, model):
            raise TypeError(f"{model.__name__}.insert_many takes {model.__name__}s, got {type(each).__name__}")
        yield from _hooks("before", Event.INSERT, each)
        documents.append(new_document(each))
    if instances:
        yield collection_of(model).insert_many(documents, ordered=ordered, session=session)
    for each, document in zip(instances, documents, strict=True):
        written(each, document, whole=True)
        yield from _hooks("after", Event.INSERT, each)
    return instances


def save(instance: Any, session: Any) -> Steps[Any]:
    """Write what changed; insert what is not stored yet."""
    if not instance._is_stored and instance.id is None:
        return (yield from insert(instance, session))
    yield from _hooks("before", Event.SAVE, instance)
    found_by, update, document = save_request(instance)
    if update:
        collection, upsert = collection_of(type(instance)), not instance._is_stored
        result = yield collection.update_one(found_by, update, upsert=upsert, session=session)
        if result.acknowledged and not result.matched_count and not result.did_upsert:
            yield from _not_there(instance, session)
        # An upsert may have found a document with more keys than these.
        written(instance, document, whole=instance._is_whole or (upsert and result.acknowledged and result.did_upsert))
    yield from _hooks("after", Event.SAVE, instance)
    return instance


def replace(instance: Any, overwrite: bool, session: Any) -> Steps[Any]:
    """Write the whole document."""
    yield from _hooks("before", Event.REPLACE, instance)
    found_by, document = replace_request(instance, overwrite)
    result = yield collection_of(type(instance)).replace_one(found_by, document, session=session)
    if result.acknowledged and not result.matched_count:
        yield from _not_there(instance, session)
    written(instance, document, whole=True)
    yield from _hooks("after", Event.REPLACE, instance)
    return instance


def update(instance: Any, updates: Iterable[Any], session: Any) -> Steps[Any]:
    """Run update operators on the document, and read it again."""
    yield from _hooks("before", Event.UPDATE, instance)
    _no_changes(instance, "update()")
    model = type(instance)
    found_by, change = guarded(instance), update_of(model, updates)
    found = yield collection_of(model).find_one_and_update(
        found_by, change, _projection(model), return_document=ReturnDocument.AFTER, session=session
    )
    if found is None:
        yield from _not_there(instance, session)
    instance._written(found, _projection(model) is None, False)
    yield from _hooks("after", Event.UPDATE, instance)
    return instance


def delete(instance: Any, session: Any) -> Steps[Any]:
    """Delete the document."""
    yield from _hooks("before", Event.DELETE, instance)
    result = yield collection_of(type(instance)).delete_one({"_id": id_of(instance)}, session=session)
    yield from _hooks("after", Event.DELETE, instance)
    return result


def reload(instance: Any, session: Any) -> Steps[Any]:
    """Read the document again; what was changed and not written is forgotten."""
    model = type(instance)
    found = yield collection_of(model).find_one({"_id": id_of(instance)}, _projection(model), session=session)
    if found is None:
        raise DocumentNotFound(_no_document(instance))
    instance._written(found, _projection(model) is None, False)
    return instance


# ---- requests: what is sent, also by bulk writers --------------------------------------------------------------------


def new_document(instance: Any) -> dict[str, Any]:
    """The document to insert; the instance gets an ObjectId if it has no `_id`."""
    if instance.id is None:
        try:
            instance.id = ObjectId()
        except ValidationError:
            raise (
                Mismatch(type(instance).id._plan.name, None).under("id").error(model=type(instance).__name__)
            ) from None
    if type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
    document: dict[str, Any] = instance._dump()
    return {"_id": document.pop("_id"), **document}


def save_request(instance: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Filter, update and the document as it will be; the update is empty where nothing changed."""
    found_by = guarded(instance)
    sets, unsets = changes(instance)
    if "_id" in sets:
        if instance._is_stored:
            raise ValidationError(("id",), "the _id that is stored", "another one", id_of(instance))
        del sets["_id"]
    update: dict[str, Any] = {}
    if (sets or unsets or not instance._is_stored) and type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
        sets[REVISION] = getattr(instance, REVISION)
    if sets:
        update["$set"] = sets
    if unsets:
        update["$unset"] = unsets
    if not update and not instance._is_stored:
        update["$setOnInsert"] = {"_id": id_of(instance)}
    return found_by, update, instance._dump()


def replace_request(instance: Any, overwrite: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Filter and document.

    Raises
    ------
    PartlyRead
        When the stored document may have keys that were not read.
    """
    if instance._is_stored and not instance._is_whole and not overwrite:
        raise PartlyRead(
            f"{type(instance).__name__} with _id {id_of(instance)!r} was read for its declared fields only: replace() "
            "would delete all other keys. save() sends what changed; replace(overwrite=True) deletes them"
        )
    found_by = guarded(instance)
    if type(instance).__odm__.settings.use_revision:
        setattr(instance, REVISION, uuid.uuid4())
    return found_by, instance._dump()


def guarded(instance: Any) -> dict[str, Any]:
    """The filter that finds the document of an instance, in the revision that was read."""
    found_by = {"_id": id_of(instance)}
    document = instance._document()
    if type(instance).__odm__.settings.use_revision and document is not None:
        found_by[REVISION] = document.get(REVISION)
    return found_by


def id_of(instance: Any) -> Any:
    """The `_id` as it is stored."""
    document = instance._document()
    if document is not None and "_id" in document:
        return plain(document["_id"])
    if instance.id is None:
        raise DocumentNotFound(f"this {type(instance).__name__} has no _id: it was not inserted")
    return type(instance).__odm__.fields["id"].dump(instance.id)


def update_of(model: Any, updates: Iterable[Any]) -> dict[str, Any]:
    """An update document of operators and mappings; where revisions are used, with a new one."""
    update = update_document(model, updates)
    if model.__odm__.settings.use_revision:
        update["$set"] = {**update.get("$set", {}), REVISION: uuid.uuid4()}
    return update


def written(instance: Any, document: dict[str, Any], *, whole: bool) -> None:
    """The document is stored: the instance reads from it, and keeps only what can be changed in place."""
    collection = collection_of(type(instance))
    data = encode.document(document, collection.codec_options, "document")
    instance._written(_document_from_bson(data, collection._settings.codec), whole, True)
    fields, kept = type(instance).__odm__.fields, instance._kept
    # A default of a key that is not stored stays what it was: a factory would make another one.
    for name in [name for name in kept if not fields[name].plan.keeps and fields[name].key in document]:
        del kept[name]


def changes(instance: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `$set` and `$unset` have to do: values that differ from what the stored document gives."""
    document = instance._document()
    if document is None:
        return instance._dump(), {}
    sets: dict[str, Any] = {}
    unsets: dict[str, Any] = {}
    if not instance._is_touched:
        return sets, unsets
    assigned, fields = instance._assigned, type(instance).__odm__.fields
    for name, value in {**instance._kept, **assigned}.items():
        field = fields[name]
        if field.plan.virtual or not (name in assigned or field.plan.keeps):
            continue
        new = field.dump(value)
        if field.key not in document:
            if name in assigned or field.required or not _equal(new, field.dump(field.default())):
                sets[field.key] = new
            continue
        try:
            old = field.dump(field._load(document[field.key], None))
        except ValidationError:
            sets[field.key] = new
            continue
        _differences(field.key, field.plan, old, new, sets, unsets)
    return sets, unsets


def _differences(key: str, plan: Plan, old: Any, new: Any, sets: dict[str, Any], unsets: dict[str, Any]) -> None:
    if _equal(old, new):
        return
    # Within an embedded model only the fields that changed are sent, so that others may change other ones meanwhile.
    if plan.model is None or not isinstance(old, dict) or not isinstance(new, dict) or not all(
        each and "." not in each and not each.startswith("$") for each in (*old, *new)
    ):  # fmt: skip
        sets[key] = new
        return
    below = plan.model.__odm__.by_key
    for each in old:
        if each not in new:
            unsets[f"{key}.{each}"] = ""
    for each, value in new.items():
        if each not in old:
            sets[f"{key}.{each}"] = value
        else:
            plan_below = below[each].plan if each in below else Plan()
            _differences(f"{key}.{each}", plan_below, old[each], value, sets, unsets)


def _equal(old: Any, new: Any) -> bool:
    if type(old) is not bool and type(new) is not bool and isinstance(old, int) and isinstance(new, int):
        return old == new  # an Int64 and an int
    return bson.encode({"": old}, codec_options=_COMPARED) == bson.encode({"": new}, codec_options=_COMPARED)


def _no_changes(instance: Any, what: str) -> None:
    sets, unsets = changes(instance)
    if sets or unsets:
        names = ", ".join([*sets, *unsets])
        raise UnsavedChanges(f"{what} reads the document again and would lose changes of {names}: save() or reload()")


def _projection(model: Any) -> dict[str, Any] | None:
    projection: dict[str, Any] | None = model.__odm__.projection(False)
    return projection


def _not_there(instance: Any, session: Any) -> Steps[None]:
    """Say why no document matched."""
    if type(instance).__odm__.settings.use_revision:
        there = yield collection_of(type(instance)).find_one({"_id": id_of(instance)}, {"_id": 1}, session=session)
        if there is not None:
            raise RevisionConflict(f"{_no_document(instance)} in the revision that was read: somebody else wrote it")
    raise DocumentNotFound(_no_document(instance))


def _no_document(instance: Any) -> str:
    return f"there is no {type(instance).__name__} with _id {id_of(instance)!r}"


def _hooks(when: str, event: Event, instance: Any) -> Iterator[Any]:
    return type(instance).__odm__.hooks.run(when, event, instance)  # type: ignore[no-any-return]
