"""Model classes and instances without a query: declarations, construction, changes, comparison, copies."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import gc
import pickle
import re
import uuid
import weakref
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from bson import Decimal128, ObjectId
from shop import Address, Color, Item, User

from data_bridge.odm import Document, EmbeddedDocument, Field, ValidationError, after_event, before_event


def full() -> User:
    return User(
        name="Ada",
        age=36,
        tags=["x"],
        address={"city": "Oslo"},
        items=[Item(name="pen")],
        color="blue",
        kind=1,
        uid=uuid.UUID(int=7),
        money=decimal.Decimal("1.10"),
        born=dt.date(1815, 12, 10),
        score=2,
        homes={"winter": Address(city="Rome")},
        pair=(1, "one"),
        labels={"b", "a"},
        extra={"free": [1]},
        **{"e-mail": "ada@example.com"},
    )


def test_values_are_kept_as_their_annotations_say() -> None:
    user = full()
    assert user.color is Color.BLUE
    assert user.address == Address(city="Oslo")
    assert isinstance(user.address, Address)
    assert (type(user.score), user.score) == (float, 2.0)
    assert user.mail == "ada@example.com"
    assert user["e-mail"] == "ada@example.com"
    assert user.items[0].count_ == 1
    assert user.id is None


def test_defaults_are_each_instance_s_own() -> None:
    one, other = User(name="a", age=1), User(name="b", age=2)
    one.tags.append("x")
    one.labels.add("y")
    assert other.tags == []
    assert other.labels == set()
    assert User(name="c", age=3).tags == []


def test_all_faults_of_a_constructor_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        User(age="x", address={"city": 1}, items=[{"name": "ok"}, {"name": 5}], nmae="typo")
    paths = [error.path for error in caught.value.errors]
    assert paths == [("name",), ("age",), ("address", "city"), ("items", 1, "name"), ("nmae",)]
    assert caught.value.id is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", True),
        ("age", 1.5),
        ("name", 5),
        ("name", None),
        ("tags", "abc"),
        ("tags", ["a", 1]),
        ("color", "green"),
        ("kind", True),
        ("kind", "c"),
        ("uid", "no uuid"),
        ("born", dt.datetime(2020, 1, 1)),
        ("score", 2**60 + 1),
        ("homes", {1: Address(city="x")}),
        ("pair", (1,)),
        ("pair", ("one", 1)),
        ("either", 1.5),
    ],
)
def test_what_does_not_fit_cannot_be_assigned(name: str, value: Any) -> None:
    user = full()
    before = getattr(user, name)
    with pytest.raises(ValidationError) as caught:
        setattr(user, name, value)
    assert caught.value.path[0] == name
    assert getattr(user, name) == before


def test_an_undeclared_attribute_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError):
        full().nmae = "typo"  # type: ignore[attr-defined]


def test_lists_changed_in_place_are_checked_when_they_are_written() -> None:
    user = full()
    user.tags.append(5)  # type: ignore[arg-type]
    with pytest.raises(ValidationError) as caught:
        user._dump()
    assert caught.value.path == ("tags", 1)


def test_what_is_stored() -> None:
    stored = full()._dump()
    assert stored["color"] == "blue"
    assert stored["money"] == Decimal128("1.10")
    assert stored["born"] == dt.datetime(1815, 12, 10)
    assert stored["address"] == {"city": "Oslo", "zip": None, "size": 0}
    assert stored["items"] == [{"name": "pen", "count": 1}]
    assert stored["labels"] == ["a", "b"]
    assert stored["pair"] == [1, "one"]
    assert stored["e-mail"] == "ada@example.com"
    assert "_id" not in stored
    assert "mail" not in stored


def test_model_dump() -> None:
    user = full()
    dumped = user.model_dump(include=["address", "items", "color", "mail"])
    assert dumped == {
        "address": {"city": "Oslo", "zip": None, "size": 0},
        "items": [{"name": "pen", "count_": 1}],
        "color": Color.BLUE,
        "mail": "ada@example.com",
    }
    assert "e-mail" in user.model_dump(by_alias=True)
    assert "uid" not in user.model_dump(exclude=["uid"])
    assert "seen" not in user.model_dump(exclude_none=True)
    dumped["items"].append("other")
    assert len(user.items) == 1
    assert '"Oslo"' in user.model_dump_json()


def test_equality_repr_and_hash() -> None:
    assert full() == full()
    other = full()
    other.tags.append("y")
    assert full() != other
    assert full() != "Ada"
    assert repr(Address(city="Oslo")) == "Address(city='Oslo', zip=None, size=0)"
    assert "tags=['x']" in repr(full())
    with pytest.raises(TypeError):
        hash(full())


def test_copies_and_pickles() -> None:
    user = full()
    shallow, deep, pickled = copy.copy(user), copy.deepcopy(user), pickle.loads(pickle.dumps(user))
    assert shallow == deep == pickled == user
    user.tags.append("more")
    assert shallow.tags is user.tags
    assert deep.tags == pickled.tags == ["x"]
    user.name = "Eve"
    assert shallow.name == "Ada"


def test_a_model_is_no_mapping_but_has_items() -> None:
    user = full()
    user["age"] = 40
    assert user.age == user["age"] == 40
    assert "e-mail" in user
    with pytest.raises(KeyError):
        _ = user["mail"]
    with pytest.raises(KeyError):
        user["nope"] = 1
    with pytest.raises(TypeError, match="no mapping"):
        list(user)


def test_fields_may_have_the_names_of_mapping_methods() -> None:
    class Box(EmbeddedDocument):
        keys: list[str]
        values: int
        items: str

    assert Box(keys=["a"], values=1, items="x").items == "x"


def test_a_field_that_would_hide_a_method_is_refused_with_the_alias() -> None:
    with pytest.raises(TypeError, match=r"count_: \.\.\. = Field\(alias='count'\)"):
        type(Document)("Bad", (Document,), {"__annotations__": {"count": int}, "__module__": __name__})


@pytest.mark.parametrize(
    ("namespace", "message"),
    [
        ({"__annotations__": {"_x": int}, "_x": Field(alias="_x")}, r"alias='_x'"),
        ({"__annotations__": {"x": "complex"}}, "not supported"),
        ({"__annotations__": {"x": dict[float, str]}}, "keys"),
        ({"x": Field(1)}, "needs an annotation"),
        ({"__annotations__": {"x": int, "y": int}, "y": Field(1, alias="x")}, "one key"),
        ({"Settings": type("Settings", (), {"nmae": "x"})}, "no setting"),
    ],
)
def test_mistakes_in_a_class_are_found_where_it_is_made(namespace: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(Document)("Bad", (Document,), {"__module__": __name__, **namespace})


def test_class_variables_methods_and_annotated_are_understood() -> None:
    class Node(EmbeddedDocument):
        kinds: ClassVar[list[str]] = ["a"]
        size: Annotated[int, Field(alias="s")] = 3
        children: list[Node] = []

        def total(self) -> int:
            return self.size + sum(child.total() for child in self.children)

    tree = Node(children=[Node(size=4), {"size": 5}])  # type: ignore[list-item]
    assert tree.total() == 12
    assert tree._dump()["s"] == 3
    assert Node.kinds == ["a"]


def test_a_forward_reference_waits_for_its_class() -> None:
    namespace: dict[str, Any] = {"__name__": "made_later", "EmbeddedDocument": EmbeddedDocument}
    import sys
    import types

    module = types.ModuleType("made_later")
    module.__dict__.update(namespace)
    sys.modules["made_later"] = module
    try:
        code = "class First(EmbeddedDocument):\n    second: 'Second'\n"
        exec(code, module.__dict__)
        with pytest.raises(NameError, match="Second"):
            module.First(second={"x": 1})
        exec("class Second(EmbeddedDocument):\n    x: int\n", module.__dict__)
        assert module.First(second={"x": 1}).second.x == 1
    finally:
        del sys.modules["made_later"]


def test_fields_are_inherited() -> None:
    class Base(Document):
        name: str

    class Derived(Base):
        age: int = 0

    assert Derived(name="a")._dump() == {"name": "a", "age": 0}
    assert isinstance(Derived(name="a"), Base)
    assert list(Derived.__odm__.fields) == ["id", "name", "age"]


def test_an_id_may_be_declared() -> None:
    class Counter(Document):
        id: str

    assert Counter(id="a")._dump() == {"_id": "a"}
    assert Counter(_id="b").id == "b"
    assert User(name="a", age=1, id=str(ObjectId(b"1" * 12))).id == ObjectId(b"1" * 12)


def test_settings_may_be_inherited() -> None:
    class Common:
        use_revision = True

    class Kept(Document):
        class Settings(Common):
            name = "kept"

    assert Kept.__odm__.settings.use_revision
    assert Kept.__odm__.settings.name == "kept"


def test_cycles_are_collected() -> None:
    class Holder(EmbeddedDocument):
        other: Any = None

    holder = Holder()
    holder.other = [holder]
    alive = weakref.ref(holder)
    del holder
    gc.collect()
    assert alive() is None


def test_an_async_hook_needs_an_async_document() -> None:
    async def hook(self: Any) -> None: ...

    with pytest.raises(TypeError, match="AsyncDocument"):
        type(Document)("Bad", (Document,), {"hook": before_event("insert")(hook), "__module__": __name__})
    with pytest.raises(ValueError, match="nope"):
        after_event("nope")


def test_the_guide_lists_the_names_that_fields_cannot_have() -> None:
    page = (Path(__file__).parents[3] / "docs" / "odm.md").read_text(encoding="utf-8")
    paragraph = page[page.index("**Names that fields cannot have.**") : page.index("Embedded models have only")]
    public = {name for name in dir(Document) if not name.startswith("_")} - {"id", "mro"}
    assert set(re.findall(r"`(\w+)`", paragraph)) == public
    embedded = {name for name in dir(EmbeddedDocument) if not name.startswith("_")}
    assert embedded == {
        *("from_arrow", "model_copy", "model_dump", "model_dump_json", "model_validate", "to_extended_json", "validate")
    }
