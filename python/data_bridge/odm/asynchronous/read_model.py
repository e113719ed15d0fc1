"""Models whose documents are read: the base of documents and views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..._typing import Timeout
from ..filters.linked_paths import linked_field
from ..queries.collection_model import CollectionModel

# async only:
from .find_one import AsyncFindOne

# end
from .links import fetch_of
from .outcome import Session
from .query import AsyncModelQuery

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...query.async_query import AsyncQuery


class AsyncReadModel(CollectionModel):
    """A model with a collection or a view: its queries."""

    # async only:
    _is_async: ClassVar[bool] = True
    # end
    _query_type: ClassVar[type[Any]] = AsyncModelQuery

    @classmethod
    def find(cls, *filters: object, **options: Any) -> AsyncModelQuery[Self]:
        """Return a query for the documents that match all conditions. It runs when its result is read.

        Parameters
        ----------
        filters
            Expressions such as `User.age > 25`, or mappings in the server's language.
        options
            skip, limit, with_children, fetch_links, and the options of `Collection.find`: session, hint, collation,
            batch_size, max_time_ms, timeout, comment, schema, on_conflict, ...

        Raises
        ------
        TypeError
            For a filter of another type.
        InvalidQuery
            For a value that does not fit its field, and for operators that run code and are not trusted.
        """
        return cls._query(filters, options)  # type: ignore[no-any-return]

    @classmethod
    def find_all(cls, **options: Any) -> AsyncModelQuery[Self]:
        """Return a query for all documents."""
        return cls.find(**options)

    # async only:
    @classmethod
    def find_one(cls, *filters: object, **options: Any) -> AsyncFindOne[Self]:
        """Return the first document that matches all conditions, or None, when awaited. Arguments as for `find`.

        The result also has writes of one document, `await User.find_one(...).update(Set({User.age: 5}))`.
        """
        return AsyncFindOne(cls.find(*filters, **options))

    # end
    # sync only:
    # @classmethod
    # def find_one(cls, *filters: object, **options: Any) -> Self | None:
    #     """Return the first document that matches all conditions, or None. Arguments as for `find`."""
    #     return cls.find(*filters, **options).first_or_none()
    #
    # end

    @classmethod
    async def get(cls, id: object, **options: Any) -> Self | None:
        """Return the document with this `_id`, or None. An ObjectId may be passed as its 24 digits."""
        return await cls._by_id(id, options).first_or_none()  # type: ignore[no-any-return]

    @classmethod
    async def count(cls, **options: Any) -> int:
        """Return the number of documents; options as for `find`."""
        return await cls.find(**options).count()

    @classmethod
    async def distinct(cls, field: object, *filters: object, **options: Any) -> list[Any]:
        """Return the distinct values of a field."""
        return await cls.find(*filters, **options).distinct(field)

    @classmethod
    def aggregate(cls, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> AsyncQuery:
        """Return the data_bridge AsyncQuery of a pipeline over the documents, for plain Documents and tables."""
        return cls._aggregated(pipeline, options)  # type: ignore[no-any-return]

    async def fetch_link(self, field: object, *, session: Session = None, timeout: Timeout = ...) -> None:
        """Fetch the linked documents of one field, `book.fetch_link(Book.author)`, as `fetch_all_links` does.

        Raises
        ------
        TypeError
            For a field without links.
        """
        name = linked_field(type(self), field)
        await fetch_of(self, {"session": session, "timeout": timeout}, name)

    async def fetch_all_links(self, *, session: Session = None, timeout: Timeout = ...) -> None:
        """Fetch the linked documents that the links of the instance do not hold yet.

        `Settings.max_nesting_depth` is the number of levels.
        """
        await fetch_of(self, {"session": session, "timeout": timeout}, None)
