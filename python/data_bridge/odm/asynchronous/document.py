"""Models of the documents of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..._typing import Timeout
from ..filters.updates import Inc, Set
from ..models.write_options import DeleteRules, WriteRules, write_options
from . import writes
from .bulk_writer import AsyncBulkWriter
from .outcome import Session
from .read_model import AsyncReadModel

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...commands.write_results import DeleteResult, UpdateResult


class AsyncDocument(AsyncReadModel):
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

    # ---- writes -----------------------------------------------------------------------------------------------------

    async def insert(
        self,
        *,
        link_rule: WriteRules = WriteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Insert the document of the instance, which gets an ObjectId if it has no `_id`.

        Parameters
        ----------
        link_rule
            `WriteRules.WRITE` first saves the documents that links hold.
        skip_actions
            Hooks that do not run: "before", "after", or names of methods.

        Raises
        ------
        DuplicateKeyError
            When a unique index already contains its key.
        ValidationError
            When a value does not fit its field.
        """
        return await writes.insert(self, write_options(session, timeout, skip_actions, link_rule=link_rule))

    async def create(
        self,
        *,
        link_rule: WriteRules = WriteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Insert the document of the instance: another name of `insert`."""
        return await self.insert(link_rule=link_rule, skip_actions=skip_actions, session=session, timeout=timeout)

    async def save(
        self,
        *,
        link_rule: WriteRules = WriteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        ignore_revision: bool = False,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Send the fields that changed since the document was read or written; insert an instance that is not stored.

        Lists, dicts and embedded models that were changed in place are compared with their stored values.

        Parameters
        ----------
        link_rule, skip_actions
            As for `insert`.
        ignore_revision
            Write also where another writer has changed the document.

        Raises
        ------
        DocumentNotFound
            When the document was deleted.
        RevisionConflict
            With `Settings.use_revision`: when another writer changed the document since it was read.
        """
        return await writes.save(self, write_options(session, timeout, skip_actions, ignore_revision, link_rule))

    async def replace(
        self,
        *,
        overwrite: bool = False,
        link_rule: WriteRules = WriteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        ignore_revision: bool = False,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Write the whole document; other parameters as for `save`.

        Raises
        ------
        PartlyRead
            When the instance was read in part, through a projection or with `Settings.read_whole = False`: the write
            would delete keys that were not read. `overwrite=True` deletes them.
        DocumentNotFound, RevisionConflict
            As `save`.
        """
        options = write_options(session, timeout, skip_actions, ignore_revision, link_rule)
        return await writes.replace(self, overwrite, options)

    async def update(
        self,
        *updates: object,
        array_filters: Iterable[Mapping[str, Any]] | None = None,
        skip_actions: Iterable[str] = (),
        ignore_revision: bool = False,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Run update operators on the document, or one aggregation pipeline, and read it again.

        Parameters
        ----------
        array_filters
            Conditions on the items that `$[name]` in keys of mappings stands for.
        skip_actions, ignore_revision
            As for `save`.

        Raises
        ------
        UnsavedChanges
            When the instance has unsaved changes.
        DocumentNotFound, RevisionConflict
            As `save`.
        """
        options = write_options(session, timeout, skip_actions, ignore_revision)
        return await writes.update(self, updates, options, array_filters)

    async def set(
        self,
        changes: Mapping[Any, Any],
        *,
        skip_actions: Iterable[str] = (),
        ignore_revision: bool = False,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Set fields to values, `user.set({User.age: 5})`, and read the document again: `update(Set(changes))`."""
        options = write_options(session, timeout, skip_actions, ignore_revision)
        return await writes.update(self, [Set(changes)], options, None)

    async def inc(
        self,
        changes: Mapping[Any, Any],
        *,
        skip_actions: Iterable[str] = (),
        ignore_revision: bool = False,
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Add to numbers, `user.inc({User.age: 1})`, and read the document again: `update(Inc(changes))`."""
        options = write_options(session, timeout, skip_actions, ignore_revision)
        return await writes.update(self, [Inc(changes)], options, None)

    async def delete(
        self,
        *,
        link_rule: DeleteRules = DeleteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        session: Session = None,
        timeout: Timeout = ...,
    ) -> DeleteResult:
        """Delete the document.

        Parameters
        ----------
        link_rule
            `DeleteRules.DELETE_LINKS` first deletes the linked documents, and those of each BackLink that was fetched.
        skip_actions
            As for `insert`.
        """
        return await writes.delete(self, write_options(session, timeout, skip_actions, link_rule=link_rule))

    async def reload(self, *, session: Session = None, timeout: Timeout = ...) -> Self:
        """Read the document again and discard unsaved changes."""
        return await writes.reload(self, session, timeout)

    @classmethod
    async def insert_one(
        cls,
        instance: Self,
        *,
        link_rule: WriteRules = WriteRules.DO_NOTHING,
        skip_actions: Iterable[str] = (),
        session: Session = None,
        timeout: Timeout = ...,
    ) -> Self:
        """Insert the document of an instance, as its `insert` does."""
        return await instance.insert(link_rule=link_rule, skip_actions=skip_actions, session=session, timeout=timeout)

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
        return AsyncBulkWriter(cls, ordered=ordered, session=session, timeout=timeout)
