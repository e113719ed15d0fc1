"""Checked by mypy in strict mode, not run: the types of handles, queries and classes of other libraries."""

from __future__ import annotations

import dataclasses
from typing import Any

import pymongo
import pymongo.asynchronous.collection
import pymongo.asynchronous.database
import pymongo.collection
import pymongo.database
from typing_extensions import assert_type

import data_bridge
from data_bridge import from_pymongo, from_query
from data_bridge.odm import AsyncDocument, Document


@dataclasses.dataclass
class Name:
    name: str


class User(Document):
    name: str


class AsyncUser(AsyncDocument):
    name: str


def handles(
    client: pymongo.MongoClient[dict[str, Any]],
    database: pymongo.database.Database[dict[str, Any]],
    collection: pymongo.collection.Collection[dict[str, Any]],
) -> None:
    assert_type(from_pymongo(client), data_bridge.MongoClient)
    assert_type(from_pymongo(database), data_bridge.Database)
    assert_type(from_pymongo(collection), data_bridge.Collection)
    assert_type(from_pymongo(collection, asynchronous=True), data_bridge.AsyncCollection)
    assert_type(from_pymongo(collection).find().to_models(Name), list[Name])
    assert_type(from_pymongo(collection).find().read().to_models(Name), list[Name])
    assert_type(User.find().to_models(Name), list[Name])
    from_pymongo("mongodb://localhost")  # type: ignore[call-overload]


async def asynchronous(
    client: pymongo.AsyncMongoClient[dict[str, Any]],
    database: pymongo.asynchronous.database.AsyncDatabase[dict[str, Any]],
    collection: pymongo.asynchronous.collection.AsyncCollection[dict[str, Any]],
) -> None:
    assert_type(from_pymongo(client), data_bridge.AsyncMongoClient)
    assert_type(from_pymongo(database), data_bridge.AsyncDatabase)
    assert_type(from_pymongo(collection), data_bridge.AsyncCollection)
    assert_type(from_pymongo(database, asynchronous=False), data_bridge.Database)
    assert_type(await from_pymongo(collection).find().to_models(Name), list[Name])
    assert_type(await AsyncUser.find().to_models(Name), list[Name])


class LikeBeanie:
    def get_filter_query(self) -> dict[str, Any]:
        return {}


class LikeMongoEngine:
    def as_pymongo(self) -> LikeMongoEngine:
        return self


def queries(beanie: LikeBeanie, mongoengine: LikeMongoEngine) -> None:
    assert_type(from_query(beanie), data_bridge.AsyncQuery)
    assert_type(from_query(mongoengine), data_bridge.Query)
    assert_type(from_query(beanie, asynchronous=False), data_bridge.Query)
    assert_type(from_query(mongoengine, asynchronous=True, schema=None), data_bridge.AsyncQuery)
