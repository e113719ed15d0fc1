"""Registration: the collection of each model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

from ..._core import Document as StoredDocument
from ..._core import _document_from_bson
from ..._typing import Timeout
from ...asynchronous.database import AsyncDatabase
from ...commands import encode
from ...commands.operations import IndexModel
from ...connection.codec import DEFAULT, native
from ...synchronous.database import Database
from ..converters.converter import embedded_models
from ..converters.unions import check_unions
from ..errors import NotInitialized
from ..filters import linked_paths
from ..filters.expressions import Sort, mapping_of
from ..filters.linked_stages import stages_of
from ..filters.lookup import sort_keys
from .embedded_indexes import field_indexes
from .option_checks import check_options
from .time_series import time_series_options


def register(model: Any, database: Any) -> None:
    """Give a model its collection."""
    settings = model.__odm__.settings
    model.__odm__.collection = database.get_collection(
        settings.name,
        codec_options=with_uuids(database.codec_options),
        read_preference=settings.read_preference,
        read_concern=settings.read_concern,
        write_concern=settings.write_concern,
    )


def with_uuids(options: CodecOptions[Any]) -> CodecOptions[Any]:
    """Return codec options in which UUIDs have a representation: the standard one by default."""
    if options.uuid_representation == UuidRepresentation.UNSPECIFIED:
        options = options.with_options(uuid_representation=UuidRepresentation.STANDARD)
    return options


def collection_of(model: Any, timeout: Timeout = ...) -> Any:
    """Return the collection of a model; in a tree, the class above has it, unless the model has another name.

    Parameters
    ----------
    timeout
        Seconds for its commands, in place of its own timeout.

    Raises
    ------
    NotInitialized
        When `init` was not called for the model.
    """
    info = model.__odm__
    while info is not None:
        if info.collection is not None:
            return info.collection if timeout is ... else info.collection.with_options(timeout=timeout)
        above = info.parent if info.in_tree else None
        info = above if above is not None and above.settings.name == info.settings.name else None
    raise NotInitialized(f"{model.__name__} has no collection: call init(database, [{model.__name__}]) first")


def codec_options_of(model: Any) -> CodecOptions[Any]:
    """Return the codec options of a model's collection; the default ones before `init`."""
    try:
        return collection_of(model).codec_options  # type: ignore[no-any-return]
    except NotInitialized:
        return with_uuids(DEFAULT)


def view_of(model: Any, document: Mapping[str, Any]) -> StoredDocument:
    """Return the view of a document that is held as a dict, with the codec options of a model."""
    options = codec_options_of(model)
    return _document_from_bson(encode.document(document, options, "value", encode.STORED_DEPTH), native(options))


def read_bson(collection: Any, data: bytes) -> StoredDocument:
    """Return the view of a document, as a collection decodes those that it reads."""
    return _document_from_bson(data, collection._settings.codec)


def check_instance(model: Any, instance: Any, what: str) -> None:
    """Refuse an instance of another class than `model`, or of a class with its documents in another collection.

    Raises
    ------
    TypeError
        For such an instance.
    """
    if not isinstance(instance, model):
        raise TypeError(f"{what} takes {model.__name__}s, got {type(instance).__name__}")
    if type(instance) is not model and collection_of(type(instance)) != collection_of(model):
        raise TypeError(f"{what}: the documents of this {type(instance).__name__} are in another collection")


def is_collection(model: Any) -> bool:
    """Return whether a class is a model whose documents have a collection of their own."""
    info = getattr(model, "__odm__", None)
    return info is not None and bool(info.is_collection)


def resolve_names(models: Iterable[Any]) -> None:
    """Resolve annotations that name other models of the list, which their modules import for type checkers only.

    A name of two models has no meaning, unless the module has it.

    Raises
    ------
    TypeError
        As `check_model`.
    """
    names: dict[str, Any] = {}
    for model in models:
        name = getattr(model, "__name__", "")
        names[name] = model if names.get(name, model) is model else None
    names = {name: model for name, model in names.items() if model is not None}
    rest, seen = [model for model in models if hasattr(model, "__odm__")], set()
    while rest:
        model = rest.pop()
        if model in seen:
            continue
        seen.add(model)
        for field in model.__odm__.fields.values():
            if (converter := field.resolved_among(names)) is not None:
                rest += embedded_models(converter)


def check_model(database: Any, model: Any) -> None:
    """Refuse a database and a model of different sides, and a model with faulty declarations.

    Raises
    ------
    TypeError, NameError
        As for `init`.
    """
    name = getattr(model, "__name__", repr(model))
    if not isinstance(database, (Database, AsyncDatabase)):
        raise TypeError(f"init takes a database of a MongoClient or AsyncMongoClient, got {type(database).__name__}")
    if not is_collection(model):
        raise TypeError(f"{name} is no Document or AsyncDocument: leave it out, as embedded models need no init")
    is_async = model.__odm__.is_async
    if is_async != isinstance(database, AsyncDatabase):
        kind, client = ("AsyncDocument", "AsyncMongoClient") if is_async else ("Document", "MongoClient")
        raise TypeError(f"{name} is a {kind}: use a database of a {client}")
    for field in model.__odm__.fields.values():
        check_unions(field.converter)
        try:
            check_options(field)
        except TypeError as error:
            raise TypeError(f"{name}.{field.name}: {error}") from None
    indexes_of(model)
    collection_options(model)


def collection_options(model: Any) -> dict[str, Any] | None:
    """Return the options of the collection or view that a model declares; None for a plain collection.

    Raises
    ------
    TypeError
        For a view without a source or a pipeline, and for these settings of another model.
    InvalidQuery
        For a pipeline that names keys of linked documents before a `$lookup`.
    """
    settings, name = model.__odm__.settings, model.__name__
    if model.__odm__.is_view:
        if settings.source is None or not isinstance(settings.pipeline, (list, tuple)):
            raise TypeError(
                f"{name} is a View: give it Settings.source, a model or a name, and Settings.pipeline, a list"
            )
        pipeline = mapping_of("pipeline", list(settings.pipeline))
        if isinstance(settings.source, str):
            return {"viewOn": settings.source, "pipeline": pipeline}
        return {"viewOn": settings.source.__odm__.settings.name, "pipeline": stages_of(settings.source, pipeline)}
    if settings.source is not None or settings.pipeline is not None:
        raise TypeError(f"{name}.Settings: source and pipeline are settings of a View")
    return None if settings.timeseries is None else time_series_options(model, settings.timeseries)


def indexes_of(model: Any) -> list[Any]:
    """Return the IndexModels that a model declares.

    Raises
    ------
    TypeError, AttributeError
        For an object that is no index, and for an undeclared field.
    """
    indexes: list[Any] = []
    for index in field_indexes(model.__odm__):
        # Members of a union may have the same key.
        if all(index.document != other.document for other in indexes):
            indexes.append(index)
    for index in model.__odm__.settings.indexes:
        if hasattr(index, "document"):  # an IndexModel, this package's or PyMongo's
            indexes.append(index)
        elif isinstance(index, (str, tuple, Sort)) and not _is_pairs(index):
            indexes.append(IndexModel(_keys(model, [index])))
        elif isinstance(index, (list, tuple)):
            indexes.append(IndexModel(_keys(model, index)))
        else:
            raise TypeError(f"{model.__name__}.Settings.indexes: {index!r} is no index")
    return indexes


def _is_pairs(index: object) -> bool:
    return isinstance(index, tuple) and len(index) > 0 and all(isinstance(each, (tuple, Sort)) for each in index)


def _keys(model: Any, keys: Iterable[Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key in keys:
        if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], str):
            (name, _), kind = sort_keys(model, [key[0]])[0], key[1]
            pairs.append((name, kind))
        else:
            pairs.extend(sort_keys(model, [key]))
    for name, _ in pairs:
        linked_paths.check_stored(model, name)
    return pairs
