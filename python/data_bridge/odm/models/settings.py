"""The inner class `Settings` of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


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
    use_revision
        Writes fail if another writer changed the document since it was read.
    read_whole
        Instances hold whole documents, which is the default: `m["key"]` finds undeclared keys, `replace()` keeps them.
        With False, queries read the declared keys only. Tables have the declared keys in both cases.
    projection
        The projection of queries, for models that are views: `{"city": "$address.city"}`.
    """

    name: str
    indexes: Sequence[Any] = ()
    is_root: bool = False
    use_revision: bool = False
    read_whole: bool = True
    projection: Mapping[str, Any] | None = None

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
            kept = {"name", "is_root"} if inherited.is_root else set()
            values.update({key: getattr(inherited, key) for key in (*kept, "use_revision", "read_whole")})
        declared = model.__dict__.get("Settings")
        own = {} if declared is None else {key: getattr(declared, key) for key in dir(declared)}
        for key, value in own.items():
            if key.startswith("__"):
                continue
            if key not in cls._fields:
                raise TypeError(f"{model.__name__}.Settings.{key} is no setting; there are {', '.join(cls._fields)}")
            values[key] = value
        return cls(**values)
