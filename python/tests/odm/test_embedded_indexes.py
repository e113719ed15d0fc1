"""Indexes of the fields of embedded models: created, as MongoEngine does, or refused."""

import dataclasses
import datetime as dt
from typing import Annotated, Any, Literal

import beanie
import mongoengine
import pydantic
import pytest

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Field


class Deep(EmbeddedDocument):
    code: int = Field(default=0, index=-1, alias="c")
    seen: dt.datetime | None = Field(default=None, expire_after_seconds=60)


class Account(EmbeddedDocument):
    email: str = Field(unique=True)
    nick: Annotated[str, beanie.Indexed(unique=True, name="nicks")] = ""
    city: str = Field(default="", index=True, sparse=True)
    hidden: str = Field(default="", exclude=True)
    deep: Deep | None = None
    deeps: list[Deep] = []


class Profile(pydantic.BaseModel):
    handle: Annotated[str, beanie.Indexed(unique=True)]
    plain: str = ""


@dataclasses.dataclass
class Badge:
    number: Annotated[int, Field(index=True)]


class Cat(EmbeddedDocument):
    kind: Literal["cat"] = "cat"
    name: str = Field(default="", index=True)


class Dog(EmbeddedDocument):
    kind: Literal["dog"] = "dog"
    name: str = Field(default="", index=True)
    size: int = Field(default=1, index=True)


class Shape(EmbeddedDocument):
    class Settings:
        is_root = True


class Star(Shape):
    points: int = Field(default=5, index=True)


class Customer(Document):
    number: int = Field(unique=True)


class Fields:
    account: Account | None = None
    accounts: list[Account] = []
    profiles: list[Profile] = []
    badge: Badge | None = None
    pets: list[Cat | Dog] = []
    shape: Shape | None = None
    customer: Customer | None = None


class Member(Fields, Document):
    accounts: list[Deep] = []


class AwaitedMember(Fields, AsyncDocument):
    accounts: list[Deep] = []

    class Settings:
        name = "Member"


EXPECTED = {
    "account.email_1": {"unique": True},
    "nicks": {"unique": True, "key": [("account.nick", 1)]},
    "account.city_1": {"sparse": True},
    "account.deep.c_-1": {},
    "account.deep.seen_1": {"expireAfterSeconds": 60},
    "account.deeps.c_-1": {},
    "account.deeps.seen_1": {"expireAfterSeconds": 60},
    "accounts.c_-1": {},
    "accounts.seen_1": {"expireAfterSeconds": 60},
    "profiles.handle_1": {"unique": True},
    "badge.number_1": {},
    "pets.name_1": {},
    "pets.size_1": {},
    "shape.points_1": {},
}


def check(found: dict[str, Any]) -> None:
    assert found.keys() - {"_id_"} == EXPECTED.keys()
    for name, options in EXPECTED.items():
        assert {**found[name], **options} == found[name]
        assert "unique" in options or not found[name].get("unique")


def test_indexes_of_embedded_models(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Member])
    check(database["Member"].index_information())
    Member(account=Account(email="a", nick="a")).insert()
    with pytest.raises(data_bridge.DuplicateKeyError, match=r"account\.email"):
        Member(account=Account(email="a", nick="b")).insert()


async def test_indexes_of_embedded_models_of_async_documents(mongodb_uri: str, database: Any) -> None:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AwaitedMember])
    check(database["Member"].index_information())


def test_the_indexes_are_those_of_mongoengine(mongodb_uri: str, ours: data_bridge.Database, database: Any) -> None:
    class Inner(mongoengine.EmbeddedDocument):
        email = mongoengine.StringField(unique=True)

    class Outer(mongoengine.Document):
        inner = mongoengine.EmbeddedDocumentField(Inner)
        inners = mongoengine.EmbeddedDocumentListField(Inner)

        meta = {"collection": "theirs", "db_alias": "embedded"}

    mongoengine.connect(database.name, host=mongodb_uri, alias="embedded", uuidRepresentation="standard")
    try:
        Outer.ensure_indexes()
    finally:
        mongoengine.disconnect("embedded")

    class Own(EmbeddedDocument):
        email: str = Field(unique=True)

    class Whole(Document):
        inner: Own | None = None
        inners: list[Own] = []

    odm.init(ours, [Whole])
    keys = [
        {tuple(map(tuple, each["key"])): each.get("unique") for each in database[name].index_information().values()}
        for name in ("theirs", "Whole")
    ]
    assert keys[0] == keys[1]


class Tree(EmbeddedDocument):
    name: str = Field(default="", index=True)
    below: "list[Tree]" = []


class Plain(EmbeddedDocument):
    name: str = ""
    below: "list[Plain]" = []


REFUSED: list[tuple[Any, str]] = [
    (dict[str, Deep], r"Made\.field: values of a dict have no keys that an index could have: .* Deep\.code"),
    (list[dict[str, Account]], "values of a dict"),
    (dict[int, Account], "values of a dict"),
    (dict[str, Profile], r"values of a dict .* Profile\.handle"),
    (list[list[Deep]], "lists within lists"),
    (Tree, "Tree contains itself, so that its indexes have no end"),
]


@pytest.mark.parametrize(("annotation", "message"), REFUSED)
def test_indexes_without_a_key_are_refused(ours: data_bridge.Database, annotation: Any, message: str) -> None:
    made: Any = type(Document)("Made", (Document,), {"__annotations__": {"field": annotation | None}, "field": None})
    with pytest.raises(TypeError, match=message):
        odm.init(ours, [made])


def test_models_without_indexes_may_contain_themselves(ours: data_bridge.Database, database: Any) -> None:
    class Forest(Document):
        trees: list[Plain] = []
        named: dict[str, Plain] = {}

    odm.init(ours, [Forest])
    assert "Forest" not in database.list_collection_names()


@pytest.mark.parametrize(
    "annotation",
    [
        beanie.Indexed(str, unique=True) | None,
        Annotated[str, Field(unique=True)] | None,
        list[Annotated[str, beanie.Indexed()]],
        list[Annotated[dt.datetime, Field(expire_after_seconds=5)]],
        dict[str, list[beanie.Indexed(str)]],  # type: ignore[valid-type]
    ],
)
@pytest.mark.parametrize("base", [Document, EmbeddedDocument])
def test_an_index_of_a_part_of_an_annotation_is_refused(base: Any, annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"Made\.field: .* in a part of the annotation has no effect"):
        type(base)("Made", (base,), {"__annotations__": {"field": annotation}})


Email = Annotated[str, Field(unique=True)]


def test_aliases_in_annotations_that_are_text_keep_their_options(ours: data_bridge.Database, database: Any) -> None:
    class Named(Document):
        email: "Email"

    odm.init(ours, [Named])
    assert database["Named"].index_information()["email_1"]["unique"]


@pytest.mark.parametrize("setting", ["indexes", "timeseries"])
def test_settings_of_collections_are_refused_in_embedded_models(setting: str) -> None:
    with pytest.raises(TypeError, match=rf"Made\.Settings\.{setting}: an embedded model has no collection"):
        type(EmbeddedDocument)("Made", (EmbeddedDocument,), {"Settings": type("Settings", (), {setting: ["a"]})})


@pytest.mark.parametrize("base", [Document, EmbeddedDocument])
@pytest.mark.parametrize(
    ("annotation", "seconds", "fits"),
    [
        (dt.datetime, 5, True),
        (dt.date | None, 0, True),
        (list[dt.datetime], 5, True),
        (Any, 5, True),
        (pydantic.PastDatetime, 5, True),
        (int | dt.datetime, 5, True),
        (str, 5, False),
        (int, 5, False),
        (dict[str, dt.datetime], 5, False),
        (dt.datetime, -1, False),
        (dt.datetime, "5", False),
        (dt.datetime, True, False),
        (dt.datetime, 2**31, False),
    ],
)
def test_expiry_is_for_dates(base: Any, annotation: Any, seconds: Any, fits: bool) -> None:
    for declared in (
        {"__annotations__": {"at": annotation}, "at": Field(expire_after_seconds=seconds)},
        {"__annotations__": {"at": Annotated[annotation, beanie.Indexed(expireAfterSeconds=seconds)]}},
    ):
        if fits:
            type(base)("Made", (base,), declared)
        else:
            with pytest.raises(TypeError, match=r"Made\.at: expire_after_seconds is"):
                type(base)("Made", (base,), dict(declared))
