"""The sources of reads: a client with its models, and the options that a read draws."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any, ClassVar

from data_bridge import AsyncMongoClient, MongoClient
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument
from soak.rows import DATABASE, Want

CLIENT: dict[str, Any] = {
    "heartbeatFrequencyMS": 500,
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 2_000,
    "maxPoolSize": 20,
    "timeout": 20,
}
"""Of every client. A read that names no deadline has this one: it must end within minutes, whatever happens."""


class Detail(EmbeddedDocument):
    a: list[int]
    even: bool


class Row(Document):
    id: int
    n: int
    half: float
    text: str
    at: dt.datetime
    d: Detail


class Small(Row):
    class Settings:
        name = "small"


class Large(Row):
    class Settings:
        name = "large"


class AsyncRow(AsyncDocument):
    id: int
    n: int
    half: float
    text: str
    at: dt.datetime
    d: Detail


class AsyncSmall(AsyncRow):
    class Settings:
        name = "small"


class AsyncLarge(AsyncRow):
    class Settings:
        name = "large"


class Source:
    """A client of one server or set."""

    _client: ClassVar[Any] = MongoClient
    _models: ClassVar[tuple[Any, ...]] = (Small, Large)

    def __init__(self, uri: str, name: str) -> None:
        self.uri = uri
        self.name = name
        self.client: Any = self._client(uri, appName=name, **CLIENT)
        there = self.client[DATABASE]
        self.models: dict[str, Any] = {model.__odm__.settings.name: model.on(there) for model in self._models}

    def __getitem__(self, want: Want) -> Any:
        return self.client[DATABASE][want.shape.name]


class AsyncSource(Source):
    """As `Source`, awaited."""

    _client = AsyncMongoClient
    _models = (AsyncSmall, AsyncLarge)


def options(rng: random.Random, want: Want) -> dict[str, Any]:
    """The options of a read: few replies or many, with a deadline or without, resumed after faults or not."""
    few = max(2, (want.high - want.low) // rng.randint(1, 12))
    given: dict[str, Any] = {"batch_size": few, "sort": [("_id", 1)]}
    if rng.random() < 0.7:
        given["timeout"] = rng.choice([0.5, 2, 5, 10])
    if rng.random() < 0.2:
        given["resume"] = True
    return given
