"""Models of the documents of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..._typing import Timeout
from ..queries.collection_model import CollectionModel
from . import writes
from .bulk_writer import AsyncBulkWriter
from .outcome import Session
from .query import AsyncModelQuery

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...commands.write_results import DeleteResult, UpdateResult
    from ...query.async_query import AsyncQuery


class AsyncDocument(CollectionModel):
    # async only:
    """A model of the documents of a collection.

    Examples
    --------
    >>> class User(AsyncDocument):
    ...     name: str
    ...     age: int
    >>> await init(client["app"], [User])                           # doctest: +SKIP
    >>> await User.find(User.age > 25).sort(-User.age).to_list()    # doctest: +SKIP

    Writes take `session`, and `timeout`: the seconds that each command may take, in place of the client's; None sets no
    limit. A query takes both in `find`, also for its writes and counts.
    """

    _is_async: ClassVar[bool] = True
    # end
    # sync only:
    # """A model of the documents of a collection.
    #
    # Examples
    # --------
    # >>> class User(Document):
    # ...     name: str
    # ...     age: int
    # >>> init(client["app"], [User])                                 # doctest: +SKIP
    # >>> User.find(User.age > 25).sort(-User.age).to_list()          # doctest: +SKIP
    #
    # Writes take `session`, and `timeout`: the seconds that each command may take, in place of the client's; None sets
    # no limit. A query takes both in `find`, also for its writes and counts.
    # """
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

    @classmethod
    async def find_one(cls, *filters: object, **options: Any) -> Self | None:
        """Return the first document that matches all conditions, or None. Arguments as for `find`."""
        return await cls.find(*filters, **options).first_or_none()

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

    # ---- writes -----------------------------------------------------------------------------------------------------

    async def insert(self, *, session: Session = None, timeout: Timeout = ...) -> Self:
        """Insert the document of the instance, which gets an ObjectId if it has no `_id`.

        Raises
        ------
        DuplicateKeyError
            When a unique index already contains its key.
        ValidationError
            When a value does not fit its field.
        """
        return await writes.insert(self, session, timeout)

    async def save(self, *, session: Session = None, timeout: Timeout = ...) -> Self:
        """Send the fields that changed since the document was read or written; insert an instance that is not stored.

        Lists, dicts and embedded models that were changed in place are compared with their stored values.

        Raises
        ------
        DocumentNotFound
            When the document was deleted.
        RevisionConflict
            With `Settings.use_revision`: when another writer changed the document since it was read.
        """
        return await writes.save(self, session, timeout)

    async def replace(self, *, overwrite: bool = False, session: Session = None, timeout: Timeout = ...) -> Self:
        """Write the whole document.

        Raises
        ------
        PartlyRead
            When the instance was read in part, through a projection or with `Settings.read_whole = False`: the write
            would delete keys that were not read. `overwrite=True` deletes them.
        DocumentNotFound, RevisionConflict
            As `save`.
        """
        return await writes.replace(self, overwrite, session, timeout)

    async def update(self, *updates: object, session: Session = None, timeout: Timeout = ...) -> Self:
        """Run update operators on the document, and read it again.

        Raises
        ------
        UnsavedChanges
            When the instance has unsaved changes.
        DocumentNotFound, RevisionConflict
            As `save`.
        """
        return await writes.update(self, updates, session, timeout)

    async def delete(self, *, session: Session = None, timeout: Timeout = ...) -> DeleteResult:
        """Delete the document."""
        return await writes.delete(self, session, timeout)

    async def reload(self, *, session: Session = None, timeout: Timeout = ...) -> Self:
        """Read the document again and discard unsaved changes."""
        return await writes.reload(self, session, timeout)

    @classmethod
    async def insert_one(cls, instance: Self, *, session: Session = None, timeout: Timeout = ...) -> Self:
        """Insert the document of an instance, as its `insert` does."""
        return await instance.insert(session=session, timeout=timeout)

    @classmethod
    async def insert_many(
        cls, instances: Iterable[Self], *, ordered: bool = True, session: Session = None, timeout: Timeout = ...
    ) -> list[Self]:
        """Insert the documents of instances, in as few commands as possible.

        Raises
        ------
        BulkWriteError
            When some documents were not inserted.
        """
        return await writes.insert_many(cls, instances, ordered, session, timeout)

    @classmethod
    async def delete_many(cls, *filters: object, session: Session = None, timeout: Timeout = ...) -> DeleteResult:
        """Delete the documents that match all conditions; at least one condition is required."""
        cls._required_filter(filters, "delete_many")
        return await cls.find(*filters, session=session, timeout=timeout).delete()

    @classmethod
    async def delete_all(cls, *, session: Session = None, timeout: Timeout = ...) -> DeleteResult:
        """Delete all documents of the model."""
        return await cls.find(session=session, timeout=timeout).delete()

    @classmethod
    async def update_all(cls, *updates: object, session: Session = None, timeout: Timeout = ...) -> UpdateResult:
        """Update all documents of the model."""
        return await cls.find(session=session, timeout=timeout).update(*updates)

    @classmethod
    def bulk_writer(cls, *, ordered: bool = True, session: Session = None, timeout: Timeout = ...) -> AsyncBulkWriter:
        """Return a writer that collects writes: `async with User.bulk_writer() as bulk: bulk.save(user)`."""
        return AsyncBulkWriter(cls, ordered, session, timeout)
