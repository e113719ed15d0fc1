"""`find_one` of asynchronous models: awaited for the document, or called for a write of one document."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..filters.updates import Inc, Set
from .query import AsyncModelQuery

if TYPE_CHECKING:
    from ...commands.write_results import DeleteResult, UpdateResult
    from ..models.model import Model

T = TypeVar("T")
V = TypeVar("V", bound="Model")
M = TypeVar("M")


class AsyncFindOne(Awaitable["T | None"], Generic[T]):
    """A query for one document: `await` gives its instance, or None. Nothing is sent before."""

    __slots__ = ("_query",)

    def __init__(self, query: AsyncModelQuery[T]) -> None:
        self._query = query

    def __await__(self) -> Generator[Any, None, T | None]:
        return self._query.first_or_none().__await__()

    def project(self, view: type[V]) -> AsyncFindOne[V]:
        """Read other keys, for an instance of another model, as `AsyncModelQuery.project`."""
        return AsyncFindOne(self._query.project(view))

    async def to_model(self, model: type[M]) -> M | None:
        """Return the document as an object of another class, as `AsyncModelQuery.to_models`; None if none matches."""
        found = await self._query.limit(1).to_models(model)
        return found[0] if found else None

    async def update(self, *updates: object, array_filters: Iterable[Mapping[str, Any]] | None = None) -> UpdateResult:
        """Update one document that matches, as `AsyncModelQuery.update_one`."""
        return await self._query.update_one(*updates, array_filters=array_filters)

    async def set(self, changes: Mapping[Any, Any]) -> UpdateResult:
        """Set fields of one document: `update(Set(changes))`."""
        return await self._query.update_one(Set(changes))

    async def inc(self, changes: Mapping[Any, Any]) -> UpdateResult:
        """Add to numbers of one document: `update(Inc(changes))`."""
        return await self._query.update_one(Inc(changes))

    async def upsert(self, *updates: object, on_insert: T) -> UpdateResult:
        """Update one document that matches, or insert `on_insert`, as `AsyncModelQuery.upsert`."""
        return await self._query.upsert(*updates, on_insert=on_insert)

    async def delete(self) -> DeleteResult:
        """Delete one document that matches, as `AsyncModelQuery.delete_one`."""
        return await self._query.delete_one()

    async def exists(self) -> bool:
        """Return whether a document matches."""
        return await self._query.exists()

    async def count(self) -> int:
        """Count the documents that match."""
        return await self._query.count()

    def __repr__(self) -> str:
        return repr(self._query).replace(".find(", ".find_one(", 1)
