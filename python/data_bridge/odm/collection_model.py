"""What Document and AsyncDocument share: how queries start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from bson import ObjectId

from .asked import Asked, split
from .binding import bind
from .expressions import all_of
from .fields import FieldOptions
from .model import Model
from .query_base import ModelQueryBase

if TYPE_CHECKING:
    from typing_extensions import Self


class CollectionModel(Model):
    """A model whose documents have a collection of their own."""

    _is_collection: ClassVar[bool] = True
    _query_type: ClassVar[type[ModelQueryBase[Any]]]

    # Any, so that models may declare it as they like; unless they do, it is an ObjectId.
    if TYPE_CHECKING:
        # Not as a field: checkers would want a default for each `id: str` of a model.
        id = cast(Any, None)
    else:
        id: Any = FieldOptions(None, stored=ObjectId | None)
    """`_id`: an ObjectId made when the instance is inserted, unless the model declares `id` to be something else."""

    @classmethod
    def _query(cls, filters: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return cls._query_type(cls, Asked(filters, **split(cls, options)))

    @classmethod
    def _by_id(cls, id: Any, options: dict[str, Any]) -> Any:
        if id is None:
            raise TypeError("get() needs an _id, got None")
        return cls._query((cls.id == id,), options)

    @classmethod
    def on(cls, database: Any) -> type[Self]:
        """The same model in another database, beside the one that `init` gave it: a class derived from this one."""
        info = cls.__odm__
        if info.in_tree:
            raise TypeError(f"{cls.__name__} is in a tree of models, which has one database: use init")
        meta: Any = type(cls)
        made: Any = meta(
            cls.__name__, (cls,), {"__module__": cls.__module__, "__qualname__": cls.__qualname__}, variant=True
        )
        made.__odm__.parent, made.__odm__.children = info.parent, info.children
        made.__odm__.settings = info.settings
        bind(made, database)
        return made  # type: ignore[no-any-return]

    @classmethod
    def _required_filter(cls, filters: tuple[Any, ...], what: str) -> None:
        if not all_of(filters):
            raise TypeError(f"{what} needs a condition; {what.replace('_many', '_all')} is for all documents")
