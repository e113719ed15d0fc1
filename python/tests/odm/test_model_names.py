"""Names, keys and models: lookup of a field by name or key at any depth, in its own model only."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from bson import ObjectId
from shop import Item, User

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, BackLink, Document, EmbeddedDocument, Field, ValidationError
from data_bridge.odm import operators as op


class Note(Document):
    title: str
    name: str = "n"
    mail: str | None = None  # User.mail has another key

    class Settings:
        name = "notes"


class Swapped(EmbeddedDocument):
    a: int = Field(alias="b")
    b: int = Field(0, alias="a")


F: Any = User
N: Any = Note


@pytest.mark.parametrize(
    "ask",
    [
        lambda: User.find(N.title != "x").delete(),
        lambda: User.delete_many(~(N.title == "x")),
        lambda: User.find(F.age > 1, (F.age == 1) | (N.title != "x")),
        lambda: User.find((N.title != "x") & {"age": 1}),
        lambda: User.find({"age": 1} | (N.title != "x")),
        lambda: User.find().find(op.Exists(N.title, False)),
        lambda: User.find(op.Nor(op.RegEx(N.title, "x", "i"))),
        lambda: User.find(op.And(op.NotIn(N.title, ["x"]))),
        lambda: User.find(N.mail == None),  # noqa: E711
        lambda: User.find().update(op.Set({N.title: "x"})),
        lambda: User.update_all(op.Unset(N.title)),
        lambda: User.find(N.name == "a").delete(),  # a field of both models, but of another collection
        lambda: User.delete_many(N.name == "a"),
        lambda: User.find().update(op.Set({N.name: "x"})),
        lambda: User.find().sort(N.title),
        lambda: User.find().sort(-N.title),
        lambda: User.find().sort(+N.name),
        lambda: User.distinct(N.title),
        lambda: User.find().project([N.title]),
        lambda: User.find().max(N.title),
    ],
)
def test_a_field_of_another_model_is_refused(users: Any, ask: Any) -> None:
    users.insert_one({"name": "a", "age": 1})
    with pytest.raises(data_bridge.InvalidQuery, match="is no field of User"):
        ask()
    assert users.count_documents({}) == 1


def test_fields_of_bases_views_and_classes_below_are_the_model_s(users: Any) -> None:
    class Named(EmbeddedDocument):
        name: str

    class Base(Document):
        n: int = 0

        class Settings:
            is_root = True

    class Below(Base):
        m: int = 0

    odm.init(users_database(users), [Base])
    users.insert_one({"name": "a", "age": 1})
    assert User.find(Named.name == "a").count() == 1
    Below(m=5).insert()
    assert Base.find(Below.m == 5, with_children=True).count() == 1
    assert Below.find(Base.n == 0).sort(-Base.n).count() == 1
    assert User.find(op.ElemMatch(F.items, Item.name == "x")).count() == 0


class Twin(Document):
    name: str

    class Settings:
        name = "users"


class LaterUser(User):
    name: str = "later"

    class Settings:
        name = "later_users"


def test_fields_of_other_models_of_the_collection_and_of_bases_are_the_model_s(users: Any) -> None:
    L: Any = LaterUser
    for model, other in ((User, Twin), (User, L), (LaterUser, F)):
        condition = other.name == "a"
        assert model.find(condition).get_filter_query() == {"name": "a"}
    assert User.on(users_database(users)).find(F.name == "a").sort(-F.name).to_list() == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda: op.ElemMatch(F.items, N.title == "x"),
        lambda: op.ElemMatch(F.items, N.name == "x"),
        lambda: op.ElemMatch(F.items, F.age == 1),
        lambda: op.ElemMatch(F.items, F.items.name == "x"),
        lambda: op.ElemMatch(F.items, Item.name == "x", (Item.count_ == 1) | (F.age == 1)),
        lambda: op.ElemMatch(F.tags, Item.name == "x"),
        lambda: op.Pull(F.items, N.title == "x").document(User),
        lambda: op.Pull(F.items, F.items.name == "x").document(User),
    ],
)
def test_conditions_on_items_are_on_fields_of_items(ask: Any) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match="is no field of the items of"):
        ask()


def test_items_of_several_models_or_none() -> None:
    class Cat(EmbeddedDocument):
        lives: int

    class Dog(EmbeddedDocument):
        tricks: list[str]

    class Zoo(Document):
        pets: list[Cat | Dog] | None = None
        things: list[Any] = []
        pair: tuple[Cat, int] | None = None

    Z: Any = Zoo
    for field in (Z.pets, Z.things, Z.pair):
        assert op.ElemMatch(field, Cat.lives == 9).document == {field._key: {"$elemMatch": {"lives": 9}}}
    assert op.Pull(Z.pets, Dog.tricks == "sit").document(Zoo) == {"$pull": {"pets": {"tricks": "sit"}}}
    for field in (Z.pets, Z.pair):
        with pytest.raises(data_bridge.InvalidQuery, match="no field of the items"):
            op.ElemMatch(field, Item.name == "x")


def users_database(users: Any) -> Any:
    return User.__odm__.collection.database


@pytest.mark.parametrize("make", [lambda: op.And(), lambda: op.Or(), lambda: op.Nor(), lambda: op.ElemMatch(F.items)])
def test_no_conditions_are_no_filter(make: Any) -> None:
    with pytest.raises(TypeError, match="at least one condition"):
        make()


def test_names_and_keys_within_lists_and_documents(users: Any) -> None:
    users.insert_one({"name": "a", "age": 1, "items": [{"name": "x", "count": 2}, {"name": "y", "count": 1}]})
    for name in ("items.count_", "items.count", "items.0.count_", "items.0.count"):
        key = name.replace("count_", "count")
        assert User.find().sort(name)._spec.command.options["sort"] == {key: 1}
        assert op.Unset(name).document(User) == {"$unset": {key: ""}}
    assert sorted(User.distinct("items.count")) == sorted(User.distinct("items.count_")) == [1, 2]
    for wrong in ("items.counts", "items.name.x", "address.items"):
        with pytest.raises(AttributeError):
            User.find().sort(wrong)
    for order in ({"count_": 1}, {"count": 1}, {Item.count_: 1}):
        User.find().update(op.Push({F.items: op.Each([Item(name="z", count_=0)], sort=order)}))
        counts = [each["count"] for each in users.find_one()["items"]]
        assert counts == sorted(counts)
    with pytest.raises(AttributeError):
        op.Push({F.items: op.Each([], sort={"counts": 1})}).document(User)
    for direction in (0, True, "1", {"$meta": "x"}):
        with pytest.raises(data_bridge.InvalidQuery):
            op.Push({F.items: op.Each([], sort={"count": direction})}).document(User)
        with pytest.raises(data_bridge.InvalidQuery):
            op.Push({F.tags: op.Each([], sort=direction)}).document(User)


def test_an_upsert_by_id_inserts_under_that_id(users: Any) -> None:
    keys = ["a" * 24, "b" * 24, "c" * 24]
    filters: list[Any] = [
        (User.id == keys[0],),
        (User.id == keys[1], User.age >= 0),
        ({"_id": {"$eq": ObjectId(keys[2])}}, (User.age >= 0) & (User.name != "x")),
    ]
    for key, conditions in zip(keys, filters, strict=True):
        new = User(name="new", age=5)
        result = User.find(*conditions).upsert(op.Inc({User.age: 1}), on_insert=new)
        assert result.upserted_id == new.id == ObjectId(key)
        User.find(*conditions).upsert(op.Inc({User.age: 1}), on_insert=User(name="other", age=0))
        assert users.find_one({"_id": new.id})["age"] == 6
    assert users.count_documents({}) == 3


def test_a_name_counts_before_a_key() -> None:
    swapped = Swapped(a=1, b=2)
    assert (swapped.a, swapped.b, swapped._dump()) == (1, 2, {"b": 1, "a": 2})
    with pytest.raises(ValidationError) as caught:
        Swapped(b=2)
    assert caught.value.path == ("a",)


def test_an_instance_made_by_hand_overwrites_no_document_of_another_class(
    ours: data_bridge.Database, database: Any
) -> None:
    class Root(Document):
        n: int = 0

        class Settings:
            name = "roots"
            is_root = True

    class One(Root):
        pass

    class Two(Root):
        pass

    odm.init(ours, [Root])
    one = One(n=1).insert()
    with pytest.raises(data_bridge.DuplicateKeyError):
        Two(id=one.id, n=2).save()
    assert One.get(one.id) == one
    One(id=one.id, n=3).save()
    assert database["roots"].find_one()["n"] == 3
    database["roots"].insert_one({"_id": (key := ObjectId()), "n": 1})
    Root(id=key, n=4).save()
    Two(id=(other := ObjectId()), n=5).save()
    assert {each["n"]: each["_class_id"] for each in database["roots"].find()} == {
        3: "Root.One",
        4: "Root",
        5: "Root.Two",
    }
    assert Two.get(other) is not None


def test_a_class_of_a_tree_with_another_collection_needs_its_own(ours: data_bridge.Database, database: Any) -> None:
    class Plant(Document):
        n: int = 0

        class Settings:
            name = "plants"
            is_root = True

    class Tree(Plant):
        class Settings:
            name = "trees"

    class Oak(Tree):
        pass

    odm.init(ours, [Plant])
    for model in (Tree, Oak):
        with pytest.raises(odm.NotInitialized):
            model().insert()
    odm.init(ours, [Tree])
    Oak().insert()
    assert database["trees"].count_documents({}) == 1
    assert database["plants"].count_documents({}) == 0


def test_a_revision_has_no_alias() -> None:
    """Writes use one key for revisions: with another key, each write would raise RevisionConflict."""
    with pytest.raises(TypeError, match=r"Plan\.revision_id cannot have an alias"):

        class Plan(Document):
            revision_id: UUID | None = Field(None, alias="version")

            class Settings:
                use_revision = True


def test_a_revision_may_be_declared(ours: data_bridge.Database) -> None:
    class Plan(Document):
        revision_id: UUID | None = None
        n: int = 0

        class Settings:
            use_revision = True

    odm.init(ours, [Plan])
    plan = Plan().insert()
    mine = Plan.get(plan.id)
    assert mine is not None
    plan.n, mine.n = 1, 2
    plan.save()
    with pytest.raises(odm.RevisionConflict):
        mine.save()


class Named(Document):
    name: str = ""


class NamedBelow(Named):
    size: int = 0


class NamedAsync(AsyncDocument):
    name: str = ""


class OtherModule(Document):
    name: str = ""


@pytest.mark.parametrize("model", [Named, NamedBelow, NamedAsync])
def test_errors_about_the_id_name_the_users_class(model: Any) -> None:
    name = model.__name__
    assert repr(model.id) == f"{name}.id"
    with pytest.raises(data_bridge.InvalidQuery, match=rf"^{name}\.id: expected ObjectId"):
        _ = model.id == "no id"
    with pytest.raises(ValidationError, match=rf"^{name}: id: expected ObjectId"):
        model(id="no id")
    with pytest.raises(AttributeError, match=rf"^{name}\.id .* declares no field"):
        _ = model.id.name
    with pytest.raises(TypeError, match=rf"^{name}\.id is a field"):
        bool(model.id)
    with pytest.raises(AttributeError, match=rf"{name}\.id is a declared field"):
        model.id = 5


def test_errors_about_a_stored_id_name_the_users_class(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Named, NamedBelow])
    for model in (Named, NamedBelow):
        database[model.__name__].insert_one({"_id": "text"})
        (found,) = model.find()
        with pytest.raises(ValidationError, match=rf"^{model.__name__}: _id: expected ObjectId"):
            _ = found.id


def test_the_id_of_another_model_is_no_field_of_this_one() -> None:
    D: Any = Document
    for field in (OtherModule.id, NamedAsync.id):
        with pytest.raises(data_bridge.InvalidQuery, match="is no field of Named"):
            Named.find(field == "a" * 24)
    for field in (Named.id, NamedBelow.id, D.id):
        assert Named.find(field == "a" * 24).get_filter_query() == {"_id": ObjectId("a" * 24)}
        assert NamedBelow.find(field == "a" * 24).get_filter_query() == {"_id": ObjectId("a" * 24)}


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            dt.tzinfo,
            "Model.x: the annotation <class 'datetime.tzinfo'> is not supported; use Any for values of any type",
        ),
        (
            list[dt.tzinfo],
            "Model.x: the annotation <class 'datetime.tzinfo'> is not supported; use Any for values of any type",
        ),
        (
            dict[float, str],
            "Model.x: the keys of dict[float, str] must be str, int, UUID, ObjectId, date, or members of an Enum or a "
            "Literal: BSON's keys are text",
        ),
        (BackLink[Named], "Model.x: a BackLink needs the field that contains the link: Field(original_field=...)"),
    ],
)
@pytest.mark.parametrize("base", [Document, AsyncDocument, odm.EmbeddedDocument])
def test_an_annotation_that_is_not_supported_names_the_field_once(base: Any, annotation: Any, message: str) -> None:
    with pytest.raises(TypeError) as raised:
        type(base)("Model", (base,), {"__annotations__": {"x": annotation}, "__module__": __name__})
    assert str(raised.value) == message
