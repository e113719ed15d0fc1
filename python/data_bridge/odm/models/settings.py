"""The inner class `Settings` of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..converters.converter import CLASS_KEY

_INHERITED = ("use_revision", "read_whole", "keep_nulls", "read_preference", "read_concern", "write_concern")
"""Settings of a tree that derived classes have too."""

_OF_COLLECTIONS = {"indexes", "timeseries"}
"""Settings of models whose documents have a collection of their own."""


class ModelSettings(NamedTuple):
    """The settings of a model, from its `class Settings`.

    Attributes
    ----------
    name
        The name of the collection; that of the class by default.
    indexes
        Names of fields, (name, direction) pairs, lists of these for one index, or IndexModels. `init` creates them.
    is_root
        Derived classes share the collection, and documents contain the name of their class.
    class_id, class_id_value
        The key of that name in the documents of a tree, and another name than that of the class and those above it.
    use_revision
        Writes fail if another writer changed the document since it was read.
    read_whole
        Instances hold whole documents, which is the default: `m["key"]` finds undeclared keys, `replace()` keeps them.
        With False, queries read the declared keys only. Tables have the declared keys in both cases.
    projection
        The projection of queries, for models that are views: `{"city": "$address.city"}`.
    max_nesting_depth, max_nesting_depths_per_field
        The levels of linked documents that `fetch_links` fetches: 1 by default, the documents that are linked. Other
        levels by the names of fields.
    keep_nulls
        Store None as null, which is the default. With False, inserts leave such fields out, and other writes remove
        them.
    timeseries
        The collection is a time series: a `TimeSeriesConfig`, or a mapping of the server's options. `init` creates it.
    source, pipeline
        Of a View: the model or the name of the collection that it reads, and the stages.
    read_preference, read_concern, write_concern
        Those of the collection, where they are not the database's.
    """

    name: str
    indexes: Sequence[Any] = ()
    is_root: bool = False
    class_id: str = CLASS_KEY
    class_id_value: str | None = None
    use_revision: bool = False
    read_whole: bool = True
    projection: Mapping[str, Any] | None = None
    max_nesting_depth: int = 1
    max_nesting_depths_per_field: Mapping[str, int] | None = None
    keep_nulls: bool = True
    timeseries: Any = None
    source: Any = None
    pipeline: Any = None
    read_preference: Any = None
    read_concern: Any = None
    write_concern: Any = None

    @classmethod
    def of(cls, model: type, inherited: ModelSettings | None) -> ModelSettings:
        """Return the settings of a model class.

        Raises
        ------
        TypeError
            For an unknown setting.
        """
        values: dict[str, Any] = {"name": model.__name__}
        if inherited is not None:
            kept = {"name", "is_root", "class_id"} if inherited.is_root else set()
            values.update({key: getattr(inherited, key) for key in (*kept, *_INHERITED)})
        declared = model.__dict__.get("Settings")
        own = {} if declared is None else {key: getattr(declared, key) for key in dir(declared)}
        for key, value in own.items():
            if key.startswith("__"):
                continue
            if key not in cls._fields:
                raise TypeError(f"{model.__name__}.Settings.{key} is no setting; there are {', '.join(cls._fields)}")
            values[key] = value
        if not getattr(model, "_is_collection", False):
            for key in _OF_COLLECTIONS & own.keys():
                raise TypeError(
                    f"{model.__name__}.Settings.{key}: an embedded model has no collection; declare it in the Settings "
                    "of the Document" + (", with the whole key: ['address.city']" if key == "indexes" else "")
                )
        if "class_id" in own and not getattr(model, "_is_collection", False):
            raise TypeError(f"{model.__name__}.Settings.class_id: embedded models have the key {CLASS_KEY!r}")
        if inherited is not None and inherited.is_root and values["class_id"] != inherited.class_id:
            raise TypeError(f"{model.__name__}.Settings.class_id: the key is that of the tree, {inherited.class_id!r}")
        return cls(**values)
