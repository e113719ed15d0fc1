"""Copies and pickles of instances, and `detach`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..._core import Document as StoredDocument
from ..._core import ModelView

if TYPE_CHECKING:
    from typing_extensions import Self

V = TypeVar("V", bound="CopiedView")


class CopiedView(ModelView):
    """A view that can be copied and pickled, with its row, its kept and assigned values, and its other attributes."""

    __slots__ = ()

    __odm__: ClassVar[Any]

    def __getstate__(self) -> Any:
        return (*self._held_values(), {name: getattr(self, name) for name in _slots(type(self)) if hasattr(self, name)})

    def __setstate__(self, state: Any) -> None:
        kept, assigned, others = state
        for name, value in kept.items():
            self._keep(name, value)
        for name, value in assigned.items():
            self._assign(name, value)
        for name, value in others.items():
            if name == "__dict__":
                self.__dict__.update(value)
            else:
                object.__setattr__(self, name, value)

    def __reduce__(self) -> Any:
        if type(self).__odm__.variants is not None:
            raise TypeError(
                f"an instance of {type(self).__name__}.on(database) cannot be pickled: a database holds connections"
            )
        # The values are state, not arguments, as they may refer to this instance.
        return _restored, (type(self), self._document(), self._is_whole), self.__getstate__()

    def __copy__(self) -> Self:
        made = self._again(self._document())
        made.__setstate__(self.__getstate__())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # One memo for the whole copy, so that `detach` applies to all instances in it.
        document = self._document()
        detached = document is not None and memo.get(_DETACHED) is True
        memo[id(self)] = made = self._again(document.detach() if detached else document)  # type: ignore[union-attr]
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made

    def _again(self, document: StoredDocument | None) -> Self:
        """Return another instance at the same place, of a stored document or None."""
        place = self._place()
        return _restored(type(self), document, self._is_whole, place if isinstance(place, tuple) else None)  # type: ignore[no-any-return]


_DETACHED: Any = "data_bridge.odm.detach"
"""The key in the memo of a deep copy that keeps only its own rows in memory."""


def detach(instance: V) -> V:
    """Return a deep copy that keeps only its own document in memory; an instance of a query keeps the rows around it.

    Values are copied too: embedded models, lists, and the documents of fetched links.
    """
    return instance.__deepcopy__({_DETACHED: True})


def _restored(cls: Any, document: StoredDocument | None, whole: bool, place: object = None) -> Any:
    made = cls.__new__(cls)
    if document is not None:
        made._fill(document, whole, place)
    return made


def _slots(cls: type) -> list[str]:
    """Return the attributes that a model declares beside its fields."""
    names: list[str] = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name != "__weakref__":
                names.append(f"_{base.__name__.lstrip('_')}{name}" if name[:2] == "__" != name[-2:] else name)
    return names
