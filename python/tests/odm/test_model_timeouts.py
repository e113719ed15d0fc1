"""Timeouts and read preferences of the calls of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import servers
from servers import Admin, failing

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, Link
from data_bridge.odm import operators as op
from data_bridge.odm.queries.query_base import spec_of
from data_bridge.odm.synchronous.links import fetch_links

COMMANDS = ["find", "aggregate", "distinct", "insert", "update", "delete", "findAndModify"]
DATABASE = "model_timeouts"
SECONDS = 0.03
"""A timeout that is shorter than the delay of the server and the timeout of the client."""


class Person(Document):
    name: str = "a"
    friend: Link[Person] | None = None


class AsyncPerson(AsyncDocument):
    name: str = "a"
    friend: Link[AsyncPerson] | None = None

    class Settings:
        name = "Person"


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        yield admin
        admin.drop_database(DATABASE)


def calls(model: Any) -> list[tuple[str, Callable[[Any, float], Any]]]:
    """Calls that wait for the server, as functions of a stored instance and a timeout."""
    rename = op.Set(model.name, "b")

    def changed(instance: Any) -> Any:
        instance.name += "b"
        return instance

    def bulk(instance: Any, seconds: float) -> Any:
        writer = model.bulk_writer(timeout=seconds)
        writer.insert(model())
        return writer.commit()

    return [
        ("insert", lambda _, seconds: model().insert(timeout=seconds)),
        ("insert_one", lambda _, seconds: model.insert_one(model(), timeout=seconds)),
        ("insert_many", lambda _, seconds: model.insert_many([model()], timeout=seconds)),
        ("save", lambda each, seconds: changed(each).save(timeout=seconds)),
        ("save a new one", lambda _, seconds: model().save(timeout=seconds)),
        ("replace", lambda each, seconds: each.replace(timeout=seconds, overwrite=True)),
        ("update", lambda each, seconds: each.update(rename, timeout=seconds)),
        ("delete", lambda each, seconds: each.delete(timeout=seconds)),
        ("reload", lambda each, seconds: each.reload(timeout=seconds)),
        ("fetch", lambda each, seconds: Link(model, each.id).fetch(timeout=seconds)),
        ("delete_many", lambda _, seconds: model.delete_many(model.name == "b", timeout=seconds)),
        ("delete_all", lambda _, seconds: model.delete_all(timeout=seconds)),
        ("update_all", lambda _, seconds: model.update_all(rename, timeout=seconds)),
        ("bulk_writer", bulk),
        ("get", lambda each, seconds: model.get(each.id, timeout=seconds)),
        ("find_one", lambda _, seconds: model.find_one(timeout=seconds)),
        ("to_list", lambda _, seconds: model.find(timeout=seconds).to_list()),
        ("first_or_none", lambda _, seconds: model.find(timeout=seconds).first_or_none()),
        ("validate", lambda _, seconds: model.find(timeout=seconds).validate()),
        ("count", lambda _, seconds: model.find(timeout=seconds).count()),
        ("count of all", lambda _, seconds: model.count(timeout=seconds)),
        ("exists", lambda _, seconds: model.find(timeout=seconds).exists()),
        ("distinct", lambda _, seconds: model.distinct("name", timeout=seconds)),
        ("min", lambda _, seconds: model.find(timeout=seconds).min("name")),
        ("aggregate", lambda _, seconds: model.aggregate([], timeout=seconds).read()),
        ("to_arrow", lambda _, seconds: model.find(timeout=seconds).to_arrow()),
        ("update of a query", lambda _, seconds: model.find(timeout=seconds).update(rename)),
        ("update_one", lambda _, seconds: model.find(timeout=seconds).update_one(rename)),
        ("upsert", lambda _, seconds: model.find(timeout=seconds).upsert(rename, on_insert=model())),
        ("delete of a query", lambda _, seconds: model.find(timeout=seconds).delete()),
        ("delete_one", lambda _, seconds: model.find(timeout=seconds).delete_one()),
        ("find_one_and_update", lambda _, seconds: model.find(timeout=seconds).find_one_and_update(rename)),
        ("its own", lambda _, seconds: model.find(timeout=9).find_one_and_update(rename, timeout=seconds)),
        ("find_one_and_replace", lambda _, seconds: model.find(timeout=seconds).find_one_and_replace(model())),
        ("find_one_and_delete", lambda _, seconds: model.find(timeout=seconds).find_one_and_delete()),
    ]


def stalled(admin: Admin) -> Any:
    return failing(admin, "alwaysOn", failCommands=COMMANDS, blockConnection=True, blockTimeMS=300)


def test_each_call_takes_a_timeout(admin: Admin, faulty_uri: str) -> None:
    with data_bridge.MongoClient(faulty_uri, appName=servers.NAME) as client:
        odm.init(client[DATABASE], [Person])
        people = [Person().insert(timeout=None) for _ in calls(Person)]
        with stalled(admin):
            for person, (name, call) in zip(people, calls(Person), strict=True):
                with pytest.raises(data_bridge.ServerTimeout):
                    pytest.fail(f"{name} gave {call(person, SECONDS)!r}")


async def test_each_awaited_call_takes_a_timeout(admin: Admin, faulty_uri: str) -> None:
    async with data_bridge.AsyncMongoClient(faulty_uri, appName=servers.NAME) as client:
        await odm.init(client[DATABASE], [AsyncPerson])
        people = [await AsyncPerson().insert(timeout=None) for _ in calls(AsyncPerson)]
        with stalled(admin):
            for person, (name, call) in zip(people, calls(AsyncPerson), strict=True):
                with pytest.raises(data_bridge.ServerTimeout):
                    pytest.fail(f"{name} gave {await call(person, SECONDS)!r}")


def test_a_query_for_links_has_the_timeout_of_its_own_query(admin: Admin, faulty_uri: str) -> None:
    with data_bridge.MongoClient(faulty_uri, appName=servers.NAME) as client:
        odm.init(client[DATABASE], [Person])
        Person.delete_all()
        Person(friend=Link(Person().insert())).insert()
        query, instances = Person.find(timeout=0.07), Person.find().to_list()
        with stalled(admin), pytest.raises(data_bridge.ServerTimeout, match=r"within 0.07 s"):
            fetch_links(spec_of(query.fetch_links()), instances)


def test_what_is_no_timeout_writes_nothing(admin: Admin, faulty_uri: str) -> None:
    with data_bridge.MongoClient(faulty_uri) as client:
        odm.init(client[DATABASE], [Person])
        Person.delete_all()
        for wrong, error in ((-1, ValueError), ("5", TypeError)):
            with pytest.raises(error):
                Person().insert(timeout=wrong)
            with pytest.raises(error):
                Person.find(timeout=wrong).upsert(op.Set(Person.name, "b"), on_insert=Person())
        assert Person.count() == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda query: query.to_list(),
        lambda query: query.count(),
        lambda query: query.exists(),
        lambda query: query.distinct("name"),
        lambda query: query.max("name"),
    ],
)
def test_every_read_of_a_query_goes_where_the_query_says(admin: Admin, faulty_uri: str, ask: Any) -> None:
    # There is no secondary, so a read from one finds no server.
    with data_bridge.MongoClient(faulty_uri, serverSelectionTimeoutMS=500) as client:
        odm.init(client[DATABASE], [Person])
        ask(Person.find())
        with pytest.raises(data_bridge.ConnectionFailure, match="read preference"):
            ask(Person.find(read_preference="secondary"))
