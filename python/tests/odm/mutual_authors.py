"""Models of test_field_links.py whose module and mutual_books.py import each other for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_bridge.odm import BackLink, Document, EmbeddedDocument, Field, Link

if TYPE_CHECKING:
    from mutual_books import MutualBook


class Favourite(EmbeddedDocument):
    book: Link[MutualBook] | None = None


class MutualAuthor(Document):
    name: str
    favourite: Favourite | None = None
    books: list[BackLink[MutualBook]] = Field(default_factory=list, original_field="author")
