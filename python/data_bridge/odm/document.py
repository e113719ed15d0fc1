"""`Document`: a model of a synchronous client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

from .collection_model import CollectionModel
from .model_query import ModelQuery

if TYPE_CHECKING:
    from ..query import Query


class Document(CollectionModel):
    """A model of the documents of a collection.

    Examples
    --------
    >>> class User(Document):
    ...     name: str
    ...     age: int
    >>> init(client["app"], [User])                                 # doctest: +SKIP
    >>> User.find(User.age > 25).sort(-User.age).to_list()          # doctest: +SKIP
    """

    _query_type: ClassVar[type[Any]] = ModelQuery

    @classmethod
    def find(cls, *filters: Any, **options: Any) -> ModelQuery[Self]:
        """A query for the documents that fulfil all conditions. Nothing runs before it is read.

        Parameters
        ----------
        filters
            Expressions such as `User.age > 25`, or mappings in the server's language.
        options
            skip, limit, with_children, fetch_links, and what `Collection.find` takes: session, hint, collation, batch_size,
            max_time_ms, comment, schema, on_conflict, ...

        Raises
        ------
        TypeError
            For a filter that is neither.
        InvalidQuery
            For a value that does not fit its field, and for operators that run code and are not trusted.
        """
        return cls._query(filters, options)  # type: ignore[no-any-return]

    @classmethod
    def find_all(cls, **options: Any) -> ModelQuery[Self]:
        """A query for all documents."""
        return cls.find(**options)

    @classmethod
    def find_one(cls, *filters: Any, **options: Any) -> Self | None:
        """The first document that fulfils all conditions, or None. As `find`."""
        return cls.find(*filters, **options).first_or_none()

    @classmethod
    def get(cls, id: Any, **options: Any) -> Self | None:
        """The document with this `_id`, or None. An ObjectId may be given as its 24 digits."""
        return cls._by_id(id, options).first_or_none()  # type: ignore[no-any-return]

    @classmethod
    def count(cls) -> int:
        """How many documents there are."""
        return cls.find().count()

    @classmethod
    def distinct(cls, field: Any, *filters: Any, **options: Any) -> list[Any]:
        """The different values of a field."""
        return cls.find(*filters, **options).distinct(field)

    @classmethod
    def aggregate(cls, pipeline: Iterable[Mapping[str, Any]], **options: Any) -> Query:
        """A pipeline over the documents: a data_bridge Query of plain Documents and tables."""
        return cls.find(**options).aggregate(pipeline)
