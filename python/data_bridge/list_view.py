"""`ListView`: a list of a document. It is a `list`, as PyMongo's encoder and `json` take no other sequence."""

from __future__ import annotations

from typing import Any, NoReturn


class ListView(list[Any]):
    """A list of a document: a read-only list. Documents and lists in it are views; its other items are values."""

    __slots__ = ()
    __module__ = "data_bridge"

    def to_list(self) -> list[Any]:
        """The items as a list, with dicts and lists inside, as PyMongo returns it."""
        return [_plain(item) for item in self]

    def copy(self) -> ListView:
        """The list itself: it is immutable."""
        return self

    def __copy__(self) -> ListView:
        return self

    def __deepcopy__(self, _memo: object) -> ListView:
        return self

    def __reduce__(self) -> Any:
        return ListView, ([*self],)

    def __repr__(self) -> str:
        text = repr(self.to_list())
        return f"ListView({text if len(text) <= _LONG else text[:_LONG] + '...'})"

    def _refuse(self, *_arguments: object, **_keywords: object) -> NoReturn:
        raise TypeError("a list of a document cannot be changed: to_list() returns a copy that can")

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


_LONG = 10_000
"""Characters of a repr."""


def _plain(item: Any) -> Any:
    if isinstance(item, ListView):
        return item.to_list()
    # A Document; the native module, which has its class, imports this one.
    return item.to_dict() if hasattr(item, "to_dict") else item
