"""Models of several tests."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any, Literal

from bson import Int64

from data_bridge.odm import Document, EmbeddedDocument, Field


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(EmbeddedDocument):
    city: str
    zip: str | None = None
    size: int = 0


class Item(EmbeddedDocument):
    name: str
    count_: int = Field(1, alias="count")


class User(Document):
    name: str
    age: int
    tags: list[str] = []
    address: Address | None = None
    items: list[Item] = []
    color: Color = Color.RED
    kind: Literal["a", "b", 1] = "a"
    uid: uuid.UUID | None = None
    money: decimal.Decimal | None = None
    born: dt.date | None = None
    seen: dt.datetime | None = None
    score: float = 0.0
    big: Int64 | None = None
    either: int | str | None = None
    homes: dict[str, Address] = {}
    pair: tuple[int, str] | None = None
    labels: set[str] = Field(default_factory=set)
    extra: Any = None
    mail: str | None = Field(None, alias="e-mail")

    class Settings:
        name = "users"
