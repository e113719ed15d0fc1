"""data_bridge's models of an asynchronous client, and the tasks on them. Embedded models come from `our_models`."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import data_bridge
from data_bridge.odm import AsyncDocument, init
from odm_mapper import AsyncMapper, assign, make
from our_models import Author, Customer, Home, Line, Profile, Section
from registry import Target

__all__ = ["Author", "Flat", "Home", "Large", "Nested", "OurAsyncMapper", "Profile", "Section", "Small"]


class Flat(AsyncDocument):
    a: int
    b: int
    x: float
    name: str
    ok: bool
    at: dt.datetime

    class Settings:
        name = "flat"


class Nested(AsyncDocument):
    number: int
    customer: Customer
    lines: list[Line]
    placed: dt.datetime
    total: float
    notes: list[str]

    class Settings:
        name = "nested"


class Small(AsyncDocument):
    number: int
    name: str
    mail: str
    active: bool
    score: float
    joined: dt.datetime

    class Settings:
        name = "small"


class Large(AsyncDocument):
    number: int
    title: str
    profile: Profile
    sections: list[Section]
    published: dt.datetime

    class Settings:
        name = "large"


MODELS: dict[str, Any] = {"flat": Flat, "nested": Nested, "small": Small, "large": Large}


class OurAsyncMapper(AsyncMapper):
    def __init__(self, target: Target, database: str) -> None:
        super().__init__(target, database)
        self._shape, self._model = target.shape, MODELS[target.shape]
        self._loop.run_until_complete(self._open(target.uri, database))

    async def _open(self, uri: str, database: str) -> None:
        self._client = data_bridge.AsyncMongoClient(uri)
        await init(self._client[database], list(MODELS.values()))
        await self._client["admin"].command("ping")

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
