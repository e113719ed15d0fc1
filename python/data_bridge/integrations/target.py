"""Building objects of a class from documents, and the errors for documents that it does not take."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ConversionError


class Target(NamedTuple):
    """The construction of objects of a class."""

    build: Callable[[list[dict[str, Any]]], list[Any]]
    """Of documents, which it may change."""
    keys: tuple[str, ...] | None
    """The top-level keys that it takes from documents; None for all of them."""

    def make(self, documents: list[dict[str, Any]]) -> list[Any]:
        """As `build`, with the garbage collector paused: it would look again and again at objects that all stay."""
        running = gc.isenabled()
        gc.disable()
        try:
            return self.build(documents)
        finally:
            if running:
                gc.enable()


def failed(text: str, model: object, index: int, document: Any, path: tuple[Any, ...] = ()) -> ConversionError:
    """The error for a document that `model` does not take."""
    name = getattr(model, "__name__", None) or str(model)
    return ConversionError(text, name, index, document.get("_id"), path)


def one_by_one(
    make: Callable[[dict[str, Any]], Any],
    documents: list[dict[str, Any]],
    model: object,
    place: Callable[[Exception], tuple[str, tuple[Any, ...]]],
) -> list[Any]:
    """Objects made singly, so that an error can name its document. It is chained to what `make` raised.

    Raises
    ------
    ConversionError
        With the text and path that `place` finds in what `make` raised.
    """
    made = []
    for index, document in enumerate(documents):
        try:
            made.append(make(document))
        except Exception as error:  # noqa: BLE001 - whatever a constructor or validator raises is chained
            text, path = place(error)
            raise failed(text, model, index, document, path) from getattr(error, "library_error", error)
    return made
