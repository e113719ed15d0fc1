"""Objects of a class, made of documents as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .._core import Document
from ..errors import ConversionError
from .extensions import extension

if TYPE_CHECKING:
    from typing_extensions import Self

M = TypeVar("M")

_LARGEST = 1000
"""Documents that the library of the class gets at once: the first block has one, each further one twice as many."""


def to_model(self: Document, model: type[M]) -> M:
    """Return this document as an object of a class of another library, as `Query.to_models`: the method of Documents.

    Raises
    ------
    ConversionError
        When the document does not fit the class.
    """
    (made,) = extension("target_of")(model).make([self.to_dict()])
    return made  # type: ignore[no-any-return]


class _Blocks:
    """The blocks of documents of one iteration, and the objects made of the last one."""

    def __init__(self, documents: Any, target: Any) -> None:
        self._documents = documents
        self._target = target
        self._size = 1
        self._made = 0
        self._block: list[dict[str, Any]] = []
        self._ready: deque[Any] = deque()
        self._error: BaseException | None = None
        self._has_ended = False

    def _wants(self, document: Document) -> bool:
        """Add a document; return whether the block is not full."""
        self._block.append(document.to_dict())
        return len(self._block) < self._size

    def _make(self) -> None:
        block, self._block = self._block, []
        self._size = min(self._size * 2, _LARGEST)
        error: BaseException | None = None
        while block:
            try:
                self._ready.extend(self._target.make(block))
                break
            except ConversionError as refused:
                # The documents before it fit: their objects come first, then this error ends the iteration.
                block = block[: min(refused.document, len(block) - 1)]
                error = refused.moved(self._made)
                error.__cause__ = refused.__cause__
        self._made += len(block)
        self._error = self._error if error is None else error

    def _next(self) -> Any:
        if self._ready:
            return self._ready.popleft()
        # An error is raised after the objects before it, and ends the iteration.
        error, self._error, self._has_ended, self._documents = self._error, None, True, None
        assert error is not None
        raise error


class LiveModels(_Blocks):
    """The objects of a synchronous query."""

    def __init__(self, documents: Iterator[Document], target: Any) -> None:
        super().__init__(documents, target)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._has_ended:
            raise StopIteration
        if not self._ready and self._error is None:
            try:
                while self._wants(next(self._documents)):
                    pass
            except Exception as error:  # noqa: BLE001
                self._error = error
            self._make()
        return self._next()


class AsyncLiveModels(_Blocks):
    """The objects of an asynchronous query."""

    def __init__(self, documents: AsyncIterator[Document], target: Any) -> None:
        super().__init__(documents, target)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._has_ended:
            raise StopAsyncIteration
        if not self._ready and self._error is None:
            try:
                while self._wants(await self._documents.__anext__()):
                    pass
            except Exception as error:  # noqa: BLE001
                self._error = error
            self._make()
        return self._next()
