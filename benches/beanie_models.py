"""Beanie's models, and the tasks on them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

from beanie import Document, init_beanie
from pydantic import BaseModel
from pymongo import AsyncMongoClient

from odm_mapper import AsyncMapper, assign, make
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


class Size(BaseModel):
    w: float
    h: float
    unit: str


class Line(BaseModel):
    sku: str
    quantity: int
    price: float
    size: Size
    tags: list[str]
    position: int


class Address(BaseModel):
    city: str
    zip: str
    geo: list[float]


class Customer(BaseModel):
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


class Home(BaseModel):
    city: str
    street: str


class Profile(BaseModel):
    name: str
    visits: int
    address: Home


class Author(BaseModel):
    name: str
    mail: str


class Section(BaseModel):
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


class BeanieMapper(AsyncMapper):
    def __init__(self, target: Target, database: str) -> None:
        super().__init__(target, database)
        self._shape, self._model = target.shape, MODELS[target.shape]
        self._loop.run_until_complete(self._open(target.uri, database))

    async def _open(self, uri: str, database: str) -> None:
        self._client: AsyncMongoClient[Any] = AsyncMongoClient(uri)
        await init_beanie(database=self._client[database], document_models=list(MODELS.values()))

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
