"""See mutual_authors.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_bridge.odm import Document, Link

if TYPE_CHECKING:
    from mutual_authors import MutualAuthor


class MutualBook(Document):
    title: str
    author: Link[MutualAuthor]
