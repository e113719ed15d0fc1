"""`AsyncDocument`: a model of an asynchronous client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

from .async_model_query import AsyncModelQuery
from .collection_model import CollectionModel

if TYPE_CHECKING:
    from ..async_query import AsyncQuery


class AsyncDocument(CollectionModel):
    """As `Document`, awaited."""

    _is_async: ClassVar[bool] = True
    _query_type: ClassVar[type[Any]] = AsyncModelQuery

    @classmethod
    def find(cls, *filters: Any, **options: Any) -> AsyncModelQuery[Self]:
        """A query for the documents that fulfil all conditions. As `Document.find`."""
        return cls._query(filters, options)  # type: ignore[no-any-return]

    @classmethod
    def find_all(cls, **options: Any) -> AsyncModelQuery[Self]:
        """A query for all documents."""
        return cls.find(**options)

    @classmethod
    async def find_one(cls, *filters: Any, **options: Any) -> Self | None:
        """The first document that fulfils all conditions, or None. As `find`."""
        return await cls.find(*filters, **options).first_or_none()

    @classmethod
    async def get(cls, id: Any, **options: Any) -> Self | None:
        """The document with this `_id`, or None. An ObjectId may be given as its 24 digits."""
        return await cls._by_id(id, options).first_or_none()  # type: ignore[no-any-return]

    @classmethod
    async def count(cls) -> int:
        """How many documents there are."""
        return await cls.find().count()

    @classmethod
    async def distinct(cls, field: Any, *filters: Any, **options: Any) -> list[Any]:
        """The different values of a field."""
        return await cls.find(*filters, **options).distinct(field)

    @classmethod
    def aggregate(cls, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> AsyncQuery:
        """A pipeline over the documents: a data_bridge AsyncQuery of plain Documents and tables."""
        return cls.find(**options).aggregate(pipeline)
