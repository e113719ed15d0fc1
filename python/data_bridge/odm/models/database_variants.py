"""The same models in another database than the one that `init` gave them: `User.on(database)`."""

from __future__ import annotations

import weakref
from typing import Any

from .registration import check_model, register


class DatabaseVariants:
    """A database, and the variants of models that have their documents there.

    A variant is a class derived from its model. Links of its instances lead to variants, and so do classes of its tree.
    """

    def __init__(self, database: Any) -> None:
        self.database = database
        self._variants: dict[Any, Any] = {}

    def model(self, model: Any) -> Any:
        """The variant of a model; a variant itself as it is."""
        info = model.__odm__
        if info.variants is self:
            return model
        original = model if info.variants is None else info.original
        if original not in self._variants:
            # Another thread may be faster: its class counts.
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
"""Those whose variants are in use; each keeps its database and so the ids in its key."""


def variants_in(database: Any) -> DatabaseVariants:
    """What belongs to a database: the same for equal ones, so that instances of equal classes compare."""
    key = (id(database.client), database.name, id(database._settings))
    found = _known.get(key)
    return _known.setdefault(key, DatabaseVariants(database)) if found is None else found


class VariantRoot:
    """The root of a place in a document of a variant."""

    __slots__ = ("_document", "variants")

    def __init__(self, document: Any, variants: DatabaseVariants) -> None:
        self._document = document
        self.variants = variants

    def get(self, key: str) -> Any:
        """A value of the document."""
        return self._document.get(key)

    @property
    def raw(self) -> bytes | None:
        """The document as it is stored; None where there is none."""
        return None if self._document is None else self._document.raw


def model_at(model: Any, place: Any) -> Any:
    """The model that a link at a place leads to."""
    while isinstance(place, tuple):
        place = place[0]
    return place.variants.model(model) if isinstance(place, VariantRoot) else model
