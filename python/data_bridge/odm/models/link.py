"""Links between documents of different collections, stored as DBRefs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

from bson.dbref import DBRef

from ..._typing import Timeout
from ...connection.session_state import SessionState
from ..converters.containers import EmbeddedConverter
from ..converters.converter import Converter, dump_any, plain
from ..errors import Mismatch, NotFetched, ValidationError
from ..filters.linked_paths import links_below
from .database_variants import model_at
from .registration import is_collection, view_of

T = TypeVar("T")


class _LinkState(Generic[T]):
    """The attributes of a link. Links that are read are made as this class, which has no slow `__setattr__`."""

    __slots__ = ("_document", "_fetched", "_stored", "id", "model")

    _document: T | None
    _fetched: bool
    _stored: tuple[Any, Any] | None
    id: Any
    model: Any


class Link(_LinkState[T]):
    """A reference to a document of another model.

    `link.id` is its `_id`. After a fetch, `link.document` is the document, or None if the collection does not contain
    it; all other attributes are those of the document.

    Parameters
    ----------
    target
        An instance, or a model together with the `_id` as the second argument.
    """

    __slots__ = ()

    def __init__(self, target: T | type[T], id: object = None) -> None:
        self._document = None
        self._fetched = False
        self._stored = None
        given: Any = target
        if isinstance(target, type):
            self.model = given
            self.id = given.__odm__.fields["id"].converter.accept(id)
        else:
            self.model, self.id = type(given), given.id
            self._resolved(given)

    def _resolved(self, document: T | None) -> None:
        self._document, self._fetched = document, True

    @property
    def document(self) -> T | None:
        """The linked document; None if the collection does not contain it.

        Raises
        ------
        NotFetched
            Before the fetch.
        """
        return self._value()

    def _value(self) -> T | None:
        if not self._fetched:
            raise NotFetched(f"{self!r} was not fetched: use fetch_links, or its fetch()")
        return self._document

    def fetch(self, session: SessionState | None = None, *, timeout: Timeout = ...) -> Any:
        """Read the document, or None if the collection does not contain it. Await the call for AsyncDocuments."""
        if not self.model.__odm__.is_async:
            self._resolved(self.model.get(self.id, with_children=True, session=session, timeout=timeout))
            return self._document
        return self._fetch_async(session, timeout)

    async def _fetch_async(self, session: SessionState | None, timeout: Timeout) -> T | None:
        self._resolved(await self.model.get(self.id, with_children=True, session=session, timeout=timeout))
        return self._document

    def to_ref(self) -> DBRef:
        """Return the reference that a new link stores."""
        if self.id is None:
            raise Mismatch(f"a {self.model.__name__} that was inserted", None, found="one without an _id")
        return DBRef(self.model.__odm__.settings.name, self.model.__odm__.fields["id"].converter.dump(self.id))

    def _dump(self) -> Any:
        """Return the link as it is stored: the value that was read, or a reference."""
        if self._stored is not None and self._stored[1] == self.id:
            return self._stored[0]
        return self.to_ref()

    def __getattr__(self, name: str) -> Any:
        # Copy and pickle look for their own names before the slots are filled.
        if name.startswith("_") or name in ("id", "model"):
            raise AttributeError(name)
        document = self._value()
        if name == "document":
            return document  # Python comes here when the property raises; the line above raises again
        if document is None:
            raise AttributeError(f"{self!r}: {name!r} cannot be read, as the linked document does not exist")
        return getattr(document, name)

    if not TYPE_CHECKING:
        # Without it, type checkers report undeclared attributes.
        def __setattr__(self, name: str, value: object) -> None:
            if name not in _LinkState.__slots__:
                model = self.model.__name__
                raise AttributeError(
                    f"{self!r} is a reference, and its {name!r} cannot be set: set it on the {model}, which is "
                    f"`link.document` after a fetch, and save() that"
                )
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Link):
            if self.id is None or other.id is None:
                return self is other or (self._fetched and self._document is other._document)
            same: bool = self.model.__odm__.settings.name == other.model.__odm__.settings.name and self.id == other.id
            return same
        return NotImplemented

    def __hash__(self) -> int:
        try:
            return hash(self.id)
        except TypeError:
            return hash(id_key(self.id))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model.__name__}, {self.id!r})"

    def __reduce__(self) -> Any:
        return restored, (type(self), self.model, self.id, self._document, self._fetched, self._stored)

    @classmethod
    def _converter_of(cls, arguments: list[Any]) -> Converter:
        if len(arguments) != 1 or not is_collection(arguments[0]):
            raise TypeError(f"a {cls.__name__} takes one Document or AsyncDocument: write {cls.__name__}[Author]")
        return LinkConverter(arguments[0]) if cls is Link else BackLinkConverter(arguments[0])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        converter = cls._converter_of(list(get_args(source)))
        if not isinstance(converter, LinkConverter) or converter.virtual:
            raise TypeError(f"a {cls.__name__} is no field of a pydantic model: declare the documents, list[Book]")
        # pydantic asks for it, so it is there.
        from .core_schema import link_schema

        return link_schema(converter, handler)


class BackLink(Link[T]):
    """The reverse of a Link: documents of another model that link to this one. It is not stored.

    `books: list[BackLink[Book]] = Field(original_field="author")`; `fetch_links` finds them.
    """

    __slots__ = ()


class LinkConverter(Converter):
    """Link[T]: a DBRef, or a bare `_id` of another program."""

    keeps = True
    deep = True

    def __init__(self, model: Any) -> None:
        self.target = model
        self.links = self
        self.name = f"Link[{model.__name__}]"
        self.original: str | None = None

    @cached_property
    def _id_converter(self) -> Converter:
        converter: Converter = self.target.__odm__.fields["id"].converter
        return converter

    def attribute(self, name: str) -> tuple[str, Any] | None:
        """Return the stored `_id`, or a field of the linked document, which a query has to look up."""
        if name == "id":
            return "$id", self._id_converter
        fields = self.target.__odm__
        field = fields.fields.get(name) or fields.by_key.get(name)
        return None if field is None else (field.key, field)

    def is_cyclic(self, above: frozenset[Any] = frozenset()) -> bool:
        return True

    def load(self, stored: object, place: object) -> Link[Any]:
        key, target = stored, model_at(self.target, place)
        if isinstance(stored, DBRef):
            # A reference to another database does not mean a document of this one.
            if stored.collection != target.__odm__.settings.name or stored.database not in (None, _database(target)):
                raise self.fail(stored)
            key = stored.id
            if isinstance(key, dict):  # an `_id` that is a document, which PyMongo decodes within a reference
                place = view_of(target, {"_id": key})
                key, place = place["_id"], (place, "_id")
        try:
            found = self._id_converter.load(key, place)
            # Kept to be written back unchanged: other programs may need a bare _id, or more keys in the reference.
            return restored(Link, target, found, None, False, (plain(stored), found))  # type: ignore[no-any-return]
        except Mismatch:
            raise self.fail(stored) from None

    def accept(self, value: object) -> Link[Any]:
        try:
            return self._reference(value)
        except Mismatch:
            declared = self.target.__odm__
            # A mapping that names no field is no document.
            if not isinstance(value, Mapping) or not (value.keys() & {*declared.fields, *declared.by_key}):
                raise
        return Link(self._document_of(value))

    def _document_of(self, value: Mapping[str, Any]) -> Any:
        """Return the linked document of a dump, also one of a class below the target's."""
        first: Mismatch | None = None
        for info in self.target.__odm__.descendants():
            try:
                return EmbeddedConverter(info.cls).accept(value)
            except Mismatch as mismatch:
                first = first or mismatch
        assert first is not None
        raise first

    def operand(self, value: object) -> Any:
        # A condition takes no document, whose other values would have no effect.
        return self._reference(value)._dump()

    def _reference(self, value: object) -> Link[Any]:
        if isinstance(value, Link) and value.model.__odm__.settings.name == self.target.__odm__.settings.name:
            return value
        if isinstance(value, self.target):
            if value.__odm__.settings.name != self.target.__odm__.settings.name:
                found = f"a {type(value).__name__}, whose documents are in another collection"
                raise Mismatch(self.name, value, found=found)
            return Link(value)
        if value is None:
            raise self.fail(value)
        if isinstance(value, DBRef):
            return self.load(value, None)
        try:
            return Link(self.target, value)
        except Mismatch:
            raise self.fail(value) from None

    def dump(self, value: object) -> Any:
        return self.accept(value)._dump()

    def exact(self, value: object) -> bool:
        return isinstance(value, (Link, DBRef, self.target))


class BackLinkConverter(LinkConverter):
    """BackLink[T]: a query finds it; it is not stored."""

    virtual = True

    def __init__(self, model: Any, original: str | None = None) -> None:
        super().__init__(model)
        self.name = f"BackLink[{model.__name__}]"
        self.original = original

    def attribute(self, name: str) -> tuple[str, Any] | None:
        return ("_id", self._id_converter) if name == "id" else super().attribute(name)

    def for_field(self, field: Any) -> Converter:
        if field.options.original_field is None:
            raise TypeError("a BackLink needs the field that contains the link: Field(original_field=...)")
        return BackLinkConverter(self.target, field.options.original_field)


def id_key(id: object) -> Any:
    """Return an `_id` as a key of a dict, also where it is a document. True is no 1, as for the server."""
    try:
        hash(id)
    except TypeError:
        return repr(dump_any(id))
    return (bool, id) if isinstance(id, bool) else id


def held_documents(value: Any) -> Iterator[tuple[Link[Any], Any]]:
    """Yield the links of an instance that hold a document, with the document; also those in what it embeds.

    A BackLink holds one after a fetch.
    """
    if isinstance(value, Link):
        if value._document is not None:
            yield value, value._document
    elif isinstance(value, (dict, list, tuple, set, frozenset)):
        make_links(value)
        for each in value.values() if isinstance(value, dict) else value:
            yield from held_documents(each)
    elif (info := getattr(type(value), "__odm__", None)) is not None:
        for field in info.fields.values():
            if links_below(field.converter):
                with contextlib.suppress(NotFetched, ValidationError):
                    yield from held_documents(getattr(value, field.name))


def make_links(value: dict[Any, Any] | Iterable[Any]) -> None:
    """Make links of the documents that a program has put into a list or dict of links."""
    if not isinstance(value, (dict, list)):
        return
    places: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for place, each in list(places):
        if is_collection(type(each)):
            value[place] = Link(each)


def set_id(link: Link[Any], id: object) -> None:
    """Make a link refer to the `_id` that its document got."""
    link.id = id


def is_fetched(link: Link[Any]) -> bool:
    """Return whether a link holds its document."""
    return link._document is not None


def set_document(link: Link[Any], document: object) -> None:
    """Make a link a fetched one; None where the collection has no such document."""
    link._resolved(document)


def fetched(link: Link[Any]) -> Any:
    """Return the document of a link that was fetched; None for another link, and where there is no such document."""
    return link.document if link._fetched else None


def _database(model: Any) -> str | None:
    collection = model.__odm__.collection
    return None if collection is None else collection.database.name


def restored(cls: Any, model: Any, id: object, document: object, fetched: bool, stored: object = None) -> Any:
    """Return a link of class `cls` with this state."""
    made: Any = object.__new__(_LinkState)
    made.model, made.id, made._document, made._fetched, made._stored = model, id, document, fetched, stored
    made.__class__ = cls
    return made
