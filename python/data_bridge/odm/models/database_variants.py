"""Variants of models in another database than that of `init`: `User.on(database)`."""

from __future__ import annotations

import weakref
from typing import Any

from ..._core import Document as StoredDocument
from .registration import check_model, register


class DatabaseVariants:
    """A database, and the variants of models with their documents there.

    A variant is a class derived from its model. Links of its instances and classes of its tree lead to variants.
    """

    def __init__(self, database: Any) -> None:
        self.database = database
        self._variants: dict[Any, Any] = {}

    def model(self, model: Any) -> Any:
        """Return the variant of a model; a variant of this database unchanged."""
        info = model.__odm__
        if info.variants is self:
            return model
        original = model if info.variants is None else info.original
        if original not in self._variants:
            # If another thread was faster, use its class.
            self._variants.setdefault(original, self._made(original))
        return self._variants[original]

    def _made(self, model: Any) -> Any:
        info = model.__odm__
        if info.is_collection:
            check_model(self.database, model)
        bases = [model]
        if info.in_tree and info.parent is not None and info.parent.in_tree:
            bases.append(self.model(info.parent.cls))
        names = {"__module__": model.__module__, "__qualname__": model.__qualname__}
        made: Any = type(model)(model.__name__, tuple(bases), names, variant=True)
        variant = made.__odm__
        variant.variants, variant.original = self, model
        variant.parent, variant.children, variant.settings = info.parent, info.children, info.settings
        for name, field in info.fields.items():
            if field.converter.deep or field.converter.virtual:
                field = field.in_database(self)
                type.__setattr__(made, name, field.slot)
            variant.fields[name] = field
        if info.is_collection:
            register(made, self.database)
        return made


_known: weakref.WeakValueDictionary[Any, DatabaseVariants] = weakref.WeakValueDictionary()
"""The databases with variants in use; each keeps its database alive, and so the ids in its key."""


def variants_in(database: Any) -> DatabaseVariants:
    """Return the variants of a database; the same object for equal databases, so that their instances compare equal."""
    key = (id(database.client), database.name, id(database._settings))
    found = _known.get(key)
    return _known.setdefault(key, DatabaseVariants(database)) if found is None else found


class VariantRoot:
    """The root of a place in a document of a variant."""

    __slots__ = ("_document", "variants")

    def __init__(self, document: StoredDocument | None, variants: DatabaseVariants) -> None:
        self._document = document
        self.variants = variants

    def get(self, key: str) -> Any:
        """Return a value of the document; None without a document."""
        return None if self._document is None else self._document.get(key)

    @property
    def raw(self) -> bytes | None:
        """The document as it is stored, or None."""
        return None if self._document is None else self._document.raw


def model_at(model: Any, place: object) -> Any:
    """Return the model that a link at a place refers to."""
    while isinstance(place, tuple):
        place = place[0]
    return place.variants.model(model) if isinstance(place, VariantRoot) else model
