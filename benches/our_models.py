"""data_bridge's models, and the tasks on them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import data_bridge
from data_bridge.odm import Document, EmbeddedDocument, init
from odm_mapper import Mapper, assign, make
from registry import Target


class Flat(Document):
    a: int
    b: int
    x: float
    name: str
    ok: bool
    at: dt.datetime

    class Settings:
        name = "flat"


class Size(EmbeddedDocument):
    w: float
    h: float
    unit: str


class Line(EmbeddedDocument):
    sku: str
    quantity: int
    price: float
    size: Size
    tags: list[str]
    position: int


class Address(EmbeddedDocument):
    city: str
    zip: str
    geo: list[float]


class Customer(EmbeddedDocument):
    name: str
    address: Address


class Nested(Document):
    number: int
    customer: Customer
    lines: list[Line]
    placed: dt.datetime
    total: float
    notes: list[str]

    class Settings:
        name = "nested"


class Small(Document):
    number: int
    name: str
    mail: str
    active: bool
    score: float
    joined: dt.datetime

    class Settings:
        name = "small"


class Home(EmbeddedDocument):
    city: str
    street: str


class Profile(EmbeddedDocument):
    name: str
    visits: int
    address: Home


class Author(EmbeddedDocument):
    name: str
    mail: str


class Section(EmbeddedDocument):
    heading: str
    body: str
    author: Author
    ratings: list[float]
    labels: list[str]


class Large(Document):
    number: int
    title: str
    profile: Profile
    sections: list[Section]
    published: dt.datetime

    class Settings:
        name = "large"


MODELS: dict[str, Any] = {"flat": Flat, "nested": Nested, "small": Small, "large": Large}


class OurMapper(Mapper):
    def __init__(self, target: Target, database: str) -> None:
        self._client = data_bridge.MongoClient(target.uri)
        init(self._client[database], list(MODELS.values()))
        self._client["admin"].command("ping")
        self._shape, self._model = target.shape, MODELS[target.shape]

    def first(self, limit: int) -> Any:
        return self._model.find_all().limit(limit).to_list()

    def many(self) -> Any:
        return self._model.find(self._model.number >= 0).to_list()

    def one(self, id: Any) -> Any:
        return self._model.find_one(self._model.id == id)

    def create(self, values: dict[str, Any]) -> Any:
        return make(sys.modules[__name__], self._shape, values).insert()

    def update(self, instance: Any, value: int) -> Any:
        assign(instance, self._shape, value)
        return instance.save()
