"""The base of Document and AsyncDocument, which makes their queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from bson import ObjectId

from ...query.extensions import extension
from ..filters.expressions import all_of
from ..models.database_variants import variants_in
from ..models.field import FieldOptions
from ..models.model import Model
from .query_base import ModelQueryBase
from .query_options import AGGREGATE_ONLY
from .query_spec import QuerySpec

if TYPE_CHECKING:
    from typing_extensions import Self

M = TypeVar("M")


class CollectionModel(Model):
    """A model whose documents have a collection of their own."""

    _is_collection: ClassVar[bool] = True
    _query_type: ClassVar[type[ModelQueryBase[Any]]]

    # Any, so that models may declare another type; the default is ObjectId.
    if TYPE_CHECKING:
        # No field: type checkers would require a default for each `id: str` of a model.
        id = cast(Any, None)
    else:
        id: Any = FieldOptions(None, stored=ObjectId | None, built_in=True)
    """`_id`: an ObjectId, made when the instance is inserted, unless the model declares `id` with another type."""

    def to_model(self, model: type[M]) -> M:
        """Return the document as an object of a class of another library: pydantic, dataclasses, attrs or msgspec.

        Raises
        ------
        ConversionError
            When the document does not fit the class.
        """
        stored = self._document()
        document = self._dump() if stored is None else {**stored.to_dict(), **self._dump()}
        (made,) = extension("target_of")(model).make([document])
        return made  # type: ignore[no-any-return]

    @classmethod
    def _query(cls, filters: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return cls._query_type(QuerySpec.of(cls, filters, options))

    @classmethod
    def _aggregated(cls, pipeline: object, options: dict[str, Any]) -> Any:
        """Return the query of a pipeline; options of `find` and of `aggregate` alike."""
        own = {name: value for name, value in options.items() if name in AGGREGATE_ONLY}
        rest = {name: value for name, value in options.items() if name not in own}
        return cls._query((), rest).aggregate(pipeline, **own)

    @classmethod
    def _by_id(cls, id: object, options: dict[str, Any]) -> Any:
        if id is None:
            raise TypeError("get() needs an _id, got None")
        return cls._query((cls.__odm__.by_key["_id"].path == id,), options)

    @classmethod
    def on(cls, database: Any) -> type[Self]:
        """Return the variant of the model in another database than that of `init`: a class derived from this one.

        Links of its instances lead to documents of that database, and so do queries for classes below it.

        Raises
        ------
        TypeError
            For a database of the other kind of client than the model needs.
        """
        return variants_in(database).model(cls)  # type: ignore[no-any-return]

    @classmethod
    def _required_filter(cls, filters: tuple[Any, ...], what: str) -> None:
        if not all_of(filters):
            raise TypeError(f"{what} needs a condition: use {what.replace('_many', '_all')} for all documents")
