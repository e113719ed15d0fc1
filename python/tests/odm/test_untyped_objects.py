"""Objects of pydantic, dataclasses and typed keys where no type is declared: mappings of the caller, and `Any`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from typing import Any

import pydantic
import pytest
from bson import Binary, ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument
from data_bridge.odm import operators as op

KEY = uuid.UUID(int=7)
OID = ObjectId()


class Color(enum.Enum):
    RED = "red"


class P(pydantic.BaseModel):
    x: int = 0
    more: Any = None
    named: str = pydantic.Field(default="n", alias="key")


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")


class Root(pydantic.RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Data:
    p: P
    day: dt.date


class Sub(EmbeddedDocument):
    extra: Any = None


class User(Document):
    name: str = ""
    p: P | None = None
    ps: list[P] = []
    url: pydantic.HttpUrl | None = None
    stock: dict[Color, int] = {}
    bare: dict = {}  # type: ignore[type-arg]
    a: Any = None


class AsyncUser(AsyncDocument):
    name: str = ""
    p: P | None = None
    ps: list[P] = []
    a: Any = None

    class Settings:
        name = "User"


F: Any = User
ONE = {"x": 1, "more": None, "key": "n"}


@pytest.fixture
def users(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [User])
    return database["User"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (P(x=1), ONE),
        ([P(x=1)], [ONE]),
        ({"deep": (P(x=1),)}, {"deep": [ONE]}),
        (P(x=1, more=P(x=1)), {**ONE, "more": ONE}),
        (P(x=1, more={Color.RED: Color.RED}), {**ONE, "more": {"red": "red"}}),
        (Data(P(x=1), dt.date(2024, 5, 6)), {"p": ONE, "day": dt.datetime(2024, 5, 6)}),
        (Root([1, 2]), [1, 2]),
        (Loose(n=KEY), {"n": Binary.from_uuid(KEY)}),  # type: ignore[call-arg]
        (pydantic.HttpUrl("https://example.org/"), "https://example.org/"),
        (pydantic.SecretStr("pw"), "pw"),
        (pydantic.SecretBytes(b"pw"), b"pw"),
        ({Color.RED: 1, KEY: 2, 3: 3, OID: 4, dt.date(2024, 5, 6): 5},
         {"red": 1, str(KEY): 2, "3": 3, str(OID): 4, "2024-05-06": 5}),
    ],
)  # fmt: skip
def test_objects_are_stored_in_any_place(users: Any, value: Any, stored: Any) -> None:
    user = User(a=value).insert()
    assert users.find_one({}, {"_id": 0, "a": 1}) == {"a": stored}
    again = User.find_one()
    assert again is not None
    assert user.a == again.a
    user.save()
    for update in (
        op.Set(F.a, value), {"$set": {F.a: value}}, {"$set": {"a": value}}, {"$max": {"a": value}},
        [{"$set": {"a": {"$literal": value}}}],
    ):  # fmt: skip
        users.update_one({}, {"$unset": {"a": 1}})
        User.find().update(update)
        assert users.find_one({}, {"_id": 0, "a": 1}) == {"a": stored}, update
    for condition in ({"a": value}, {F.a: {"$in": [value]}}, F.a == value, odm.Expression({"a": value})):
        assert User.find(condition).count() == 1, condition
    assert len(User.aggregate([{"$match": {"a": value}}]).to_dicts()) == 1
    user.bare = {"k": value}
    user.save()
    assert users.find_one()["bare"] == {"k": stored}


def test_updates_of_typed_fields_in_the_servers_language(users: Any) -> None:
    user = User().insert()
    user.update({"$set": {F.p: P(x=1), "stock": {Color.RED: 2}}}, {"$push": {"ps": {"$each": [P(x=1), P(x=2)]}}})
    assert user.p == P(x=1)
    assert user.ps == [P(x=1), P(x=2)]
    assert user.stock == {Color.RED: 2}
    user.update({"$push": {F.ps: P(x=3)}, "$set": {"url": pydantic.HttpUrl("https://example.org/")}})
    assert user.ps[2] == P(x=3)
    assert User.find({"p": P(x=1)}).count() == User.find({"url": pydantic.HttpUrl("https://example.org/")}).count() == 1
    assert User.find({"p": P(x=1)}).to_list() == User.find(F.p == P(x=1)).to_list() == [user]
    user.update({"$set": {"ps.$[e]": P(x=5)}}, array_filters=[{"e": P(x=1)}])
    assert [each.x for each in user.ps] == [5, 2, 3]


async def test_awaited(mongodb_uri: str, database: Any) -> None:
    client = data_bridge.AsyncMongoClient(mongodb_uri)
    await odm.init(client[database.name], [AsyncUser])
    user = await AsyncUser(a={Color.RED: P(x=1)}).insert()
    await user.update({"$set": {AsyncUser.p: P(x=1)}, "$push": {"ps": P(x=1)}})
    stored = database["User"].find_one()
    assert (stored["a"], stored["p"], stored["ps"]) == ({"red": ONE}, ONE, [ONE])
    assert await AsyncUser.find({"p": P(x=1)}).count() == 1
    await client.close()


def test_two_keys_with_one_text_are_refused(users: Any) -> None:
    with pytest.raises(odm.ValidationError, match="'red' twice"):
        User(a={Color.RED: 1, "red": 2}).insert()
    with pytest.raises(data_bridge.InvalidQuery, match="'1' twice"):
        User.find().update({"$set": {"bare": {1: 1, "1": 2}}})


@pytest.mark.parametrize("make", [Loose.model_validate, lambda keys: Loose(n=keys), lambda keys: Sub(extra=keys)])
def test_operators_in_objects_are_refused(users: Any, make: Any) -> None:
    """An object of a class that takes any keys may come from outside."""
    for keys in ({"$where": "1"}, {"$function": {}}):
        with pytest.raises(data_bridge.InvalidQuery, match="runs code"):
            User.find({"a": make(keys)})
    with pytest.raises(data_bridge.InvalidQuery, match="operators"):
        User.find({"a": Loose.model_validate({"$ne": 1})})


def test_other_values_are_refused(users: Any) -> None:
    for value in (object(), {1.5: 1}):
        with pytest.raises(data_bridge.InvalidQuery):
            User.find({"a": value}).to_list()
        with pytest.raises(data_bridge.InvalidQuery):
            User(a=value).insert()


class Login(pydantic.BaseModel):
    user: str
    seen: dt.datetime | None = None
    pw: str = pydantic.Field(default="", exclude=True, alias="password")

    model_config = pydantic.ConfigDict(populate_by_name=True)


class Account(Document):
    login: Login
    logins: list[Login] = []
    a: Any = None


def test_an_excluded_field_of_a_pydantic_model_is_not_stored(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Account])
    login = Login(user="u", seen=dt.datetime(2024, 5, 6, 7, 8, 9, 123456), pw="SECRET")
    account = Account(login=login.model_copy(), logins=[login], a=login).insert()
    stored = {"user": "u", "seen": dt.datetime(2024, 5, 6, 7, 8, 9, 123000)}
    expected = {"_id": account.id, "login": stored, "logins": [stored], "a": stored}
    assert database["Account"].find_one() == expected
    assert account.login.pw == "SECRET"  # in memory, as in Beanie and in fields of models
    account.login.pw = "other"
    account.save()
    account.login.user = "v"
    account.save()
    path: Any = Account
    account.update(op.Push(Account.logins, login))
    account.update({"$push": {"logins": {"$each": [login]}}})
    account.replace()
    assert database["Account"].find_one() == {**expected, "login": {**stored, "user": "v"}, "logins": [stored] * 3}
    again = Account.find_one()
    assert again is not None
    assert again.login.pw == ""
    assert Account(login={"user": "u", "password": "x"}).login.pw == "x"
    for name in ("pw", "password"):
        with pytest.raises(data_bridge.InvalidQuery, match="not stored"):
            Account.find(getattr(path.login, name) == "SECRET")
        with pytest.raises(data_bridge.InvalidQuery, match="not stored"):
            Account.find().update(op.Set(f"login.{name}", "SECRET"))
    assert "SECRET" not in str(account.model_dump()) + account.model_dump_json()


def test_an_excluded_field_without_a_default_is_refused() -> None:
    class Lost(pydantic.BaseModel):
        pw: str = pydantic.Field(exclude=True)

    with pytest.raises(TypeError, match=r"Lost\.pw is not stored.* needs a default"):
        type(Document)("Holder", (Document,), {"__annotations__": {"x": Lost}, "__module__": __name__})
