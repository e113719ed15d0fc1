"""Declarations with a meaning in other libraries: honoured, or refused with the form to write instead."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import pickle
import uuid
from typing import Annotated, Any, ClassVar

import annotated_types
import mongoengine
import pydantic
import pytest
from pydantic.alias_generators import to_camel
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Field, ValidationError

Mongo = Database[dict[str, Any]]


def old_validator(name: str) -> Any:
    """Return a validator of pydantic 1."""
    with pytest.warns(pydantic.PydanticDeprecatedSince20):
        return pydantic.validator(name)(lambda cls, value: value)


def model(annotations: dict[str, Any], **members: Any) -> Any:
    return type(Document)("Model", (Document,), {"__annotations__": annotations, "__module__": __name__, **members})


class Stamped:
    """A mixin that is no model."""

    created: dt.datetime = Field(default_factory=lambda: dt.datetime(2024, 1, 1))
    updated: dt.datetime | None = None
    KIND: ClassVar[str] = "stamped"

    def touch(self) -> None:
        self.updated = dt.datetime(2025, 1, 1)


class Noted:
    notes: list[str] = []


class Article(Stamped, Noted, Document):
    title: Annotated[str, pydantic.Field(alias="t", min_length=2, description="The title")]
    slug: Annotated[str, Field(unique=True)] = "x"
    likes: int = pydantic.Field(default=0, ge=0)
    words: list[Annotated[int, annotated_types.Interval(ge=0, lt=10)]] = pydantic.Field(default_factory=list)

    class Settings:
        name = "articles"


def test_fields_of_mixins(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Article])
    made = Article(t="ab").insert()
    made.touch()
    made.notes.append("n")
    made.save()
    assert database["articles"].find_one({}, {"_id": 0}) == {
        "created": dt.datetime(2024, 1, 1),
        "updated": dt.datetime(2025, 1, 1),
        "notes": ["n"],
        "t": "ab",
        "slug": "x",
        "likes": 0,
        "words": [],
    }
    assert Article.find(Article.updated == dt.datetime(2025, 1, 1)).count() == 1
    with pytest.raises(ValidationError, match="updated: expected datetime"):
        made.updated = "now"  # type: ignore[assignment]


def test_pydantic_fields_are_fields() -> None:
    article: Any = Article
    assert repr(article.title == "x") == "Expression({'t': 'x'})"
    for values, message in (
        ({"title": "a"}, "title: expected at least 2 characters"),
        ({"title": "ab", "likes": -1}, "likes: expected a value >= 0"),
        ({"title": "ab", "words": [10]}, r"words\.0: expected a value < 10"),
        ({}, "title: expected str, found no value"),
    ):
        with pytest.raises(ValidationError, match=message):
            article(**values)


def test_a_dataclass_is_no_mixin() -> None:
    mixin = dataclasses.make_dataclass("Mixin", [("x", int)])
    with pytest.raises(TypeError, match="Mixin is a dataclass"):
        type(Document)("Model", (mixin, Document), {"__module__": __name__})


def test_the_default_joins_the_annotation() -> None:
    made = model({"x": Annotated[int, Field(alias="y", ge=1)]}, x=Field(5, le=9))
    assert made(y=6)._dump() == {"y": 6}
    assert made().x == 5
    for value in (0, 10):
        with pytest.raises(ValidationError):
            made(x=value)


def test_indexed_of_beanie(ours: data_bridge.Database) -> None:
    beanie = pytest.importorskip("beanie")
    made = model(
        {
            "a": Annotated[str, beanie.Indexed(unique=True)],
            "b": beanie.Indexed(int, -1),
            "c": Annotated[dt.datetime, beanie.Indexed(expireAfterSeconds=60, name="ttl")],
        }
    )
    odm.init(ours, [made])
    there = made.__odm__.collection.index_information()
    assert there["a_1"]["unique"] is True
    assert there["b_-1"]["key"] == [("b", -1)]
    assert there["ttl"]["expireAfterSeconds"] == 60
    instance = made(a="x", b=1, c=dt.datetime(2024, 1, 1))
    assert (instance.a, instance.b) == ("x", 1)


@pytest.mark.parametrize(
    ("annotations", "members", "message"),
    [
        ({"x": Annotated[int, pydantic.Field(exclude_if=bool)]}, {}, r"Field\(exclude_if=...\) is not supported"),
        ({"x": int}, {"x": pydantic.Field(validation_alias="y")}, "the alias is the one key"),
        (
            {"x": Annotated[int, pydantic.PlainSerializer(str)]},
            {},
            "PlainSerializer.* is not supported.*field_serializer",
        ),
        ({"x": Annotated[dt.datetime, annotated_types.Timezone(...)]}, {}, "Timezone.* is not supported"),
        ({"x": int}, {"x": mongoengine.IntField()}, r"write Field\(...\) of data_bridge.odm"),
        ({}, {"x": mongoengine.IntField()}, r"Model.x = IntField\(...\) needs an annotation"),
        ({}, {"x": pydantic.Field(default=1)}, r"Model.x = FieldInfo\(...\) needs an annotation"),
        ({}, {"meta": {"collection": "x"}}, "write an inner class Settings"),
        ({}, {"Collection": type("Collection", (), {"name": "x"})}, "Model.Collection has no effect"),
        ({"x": int}, {"x": pydantic.Field(json_schema_extra={"hidden": True})}, "write exclude=True"),
        ({}, {"model_config": {"extra": "allow"}}, "extra='allow' is not supported"),
        ({}, {"model_config": {"alias_generator": pydantic.AliasGenerator()}}, "alias_generator=.* write a function"),
        ({}, {"model_config": {"json_encoders": {int: str}}}, "json_encoders=.* write a field_serializer"),
        ({}, {"model_config": {"str_strip_whitespace": True}}, r"write Annotated\[str, StringConstraints"),
        ({}, {"model_config": {"frozen": "yes"}}, "frozen='yes' is not supported"),
        ({}, {"Config": type("Config", (), {})}, "write model_config"),
        ({"x": int}, {"y": old_validator("x")}, "Model.y: validator is not supported; write field_validator"),
        ({"_dump": int}, {}, "Model._dump would hide an attribute of models"),
        ({"_x": int}, {"_x": Field(alias="_x")}, r"for the key '_x' write x: ... = Field\(alias='_x'\)"),
        ({"x": int}, {"x": dataclasses.field(default=1)}, r"write Field\(...\) of data_bridge.odm"),
        ({"model_validate": int}, {}, "Model.model_validate would hide Document.model_validate"),
        ({"to_extended_json": int}, {}, r"write to_extended_json_: ... = Field\(alias='to_extended_json'\)"),
        (
            {},
            {"model_post_init": lambda self, context: None},
            r"Model.model_post_init is never called.*write @model_validator\(\)",
        ),
        ({}, {"clean": lambda self: None}, r"Model.clean is never called: write @model_validator\(\)"),
    ],
)
def test_declarations_that_are_refused(annotations: dict[str, Any], members: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        model(annotations, **members)


def test_methods_with_the_name_of_a_hook_of_mongoengine() -> None:
    class Cleaned(Document):
        seen: int = 0

        @odm.before_event(odm.Event.INSERT)
        def clean(self) -> None:
            self.seen += 1

    class Checked(EmbeddedDocument):
        seen: int = 0

        @odm.model_validator()
        def clean(self) -> None:
            assert self.seen < 5

        def model_dump_all(self) -> None:
            pass

    assert Cleaned().seen == 0
    with pytest.raises(ValidationError):
        Checked(seen=5)
    made = model({}, clean=lambda self, text: text.strip())
    assert made().clean(" a ") == "a"
    assert model({"clean": bool}, clean=True)().clean is True


def mixin(**members: Any) -> type:
    return type("Mixin", (), {"__module__": __name__, **members})


@pytest.mark.parametrize("base", [Document, odm.AsyncDocument, EmbeddedDocument])
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Settings": type("Settings", (), {"name": "x"})}, r"write class Settings\(Mixin.Settings\) in Model"),
        ({"model_config": {"extra": "ignore"}}, r"write model_config = \{\*\*Mixin.model_config\} in Model"),
        ({"model_post_init": lambda self, context: None}, "Mixin.model_post_init is never called"),
        ({"clean": lambda self: None}, "Mixin.clean is never called"),
        ({"meta": {"collection": "x"}}, "Mixin.meta has no effect"),
    ],
)
def test_declarations_of_a_mixin_that_would_have_no_effect(base: Any, members: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(base)("Model", (mixin(**members), base), {"__module__": __name__})


def test_settings_of_a_mixin_are_taken_by_name() -> None:
    above: Any = mixin(
        Settings=type("Settings", (), {"name": "shared", "use_revision": True}), model_config={"title": "T"}
    )
    made = type(Document)(
        "Model",
        (above, Document),
        {
            "__module__": __name__,
            "Settings": type("Settings", (above.Settings,), {}),
            "model_config": {**above.model_config, "extra": "ignore"},
        },
    )
    assert made.__odm__.settings.name == "shared"
    assert made.__odm__.settings.use_revision
    assert made.__odm__.config.title == "T"


def test_settings_that_a_derived_class_inherits(ours: data_bridge.Database) -> None:
    class Base(Document):
        class Settings:
            name = "bases"
            indexes = ["_id"]
            use_revision = True
            keep_nulls = False

    class Derived(Base):
        pass

    class Same(Base):
        class Settings(Base.Settings):
            pass

    def of(made: Any) -> tuple[Any, ...]:
        settings = made.__odm__.settings
        return settings.name, settings.indexes, settings.use_revision, settings.keep_nulls

    assert of(Derived) == ("Derived", (), True, False)
    assert of(Same) == ("bases", ["_id"], True, False)


def test_hooks_of_beanie_are_refused() -> None:
    beanie = pytest.importorskip("beanie")
    with pytest.raises(TypeError, match="import before_event and after_event from"):
        model({}, hook=beanie.before_event(beanie.Insert)(lambda self: None))


def test_metadata_of_the_program_is_left_alone() -> None:
    made = model({"x": Annotated[int, "a note", object(), annotated_types.Unit("m")]})
    assert made(x=1).x == 1


def test_model_config() -> None:
    class Lax(EmbeddedDocument):
        model_config = pydantic.ConfigDict(extra="ignore", populate_by_name=True, title="Loose")
        x: int = 0

    class Below(Lax):
        y: int = 0

    assert Lax(x=1, z=2) == Lax(x=1)
    assert Below(z=2) == Below()
    with pytest.raises(ValidationError, match="z: expected a declared field"):
        Article(title="ab", z=2)


class Camel(Document):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    first_name: str
    last_name: str = Field("-", alias="surname")
    home: Home | None = None

    class Settings:
        name = "camels"
        indexes = ["first_name"]

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}"


class Home(EmbeddedDocument):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)
    house_number: int


class Dromedary(Camel):
    hump_size: int = 1


def test_an_alias_generator_makes_the_keys(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Camel])
    made = Camel(first_name="Ada", home={"houseNumber": 5}).insert()
    assert database["camels"].find_one() == {
        "_id": made.id, "firstName": "Ada", "surname": "-", "home": {"houseNumber": 5}
    }  # fmt: skip
    camel: Any = Camel
    assert Camel.find(camel.first_name == "Ada", camel.home.house_number == 5).count() == 1
    assert made.model_dump(by_alias=True, exclude={"id", "home"}) == {
        "firstName": "Ada", "surname": "-", "fullName": "Ada -"
    }  # fmt: skip
    assert Dromedary(first_name="x")._dump().keys() == {"firstName", "surname", "home", "humpSize"}
    assert pydantic.TypeAdapter(Camel).validate_python({"firstName": "b"}).first_name == "b"


def test_uuids_of_a_version() -> None:
    made = model({"x": pydantic.UUID4})
    assert made(x=uuid.UUID("12345678123442348234123456781234")).x.version == 4
    with pytest.raises(ValidationError, match="x: UUID of version 4 expected"):
        made(x=uuid.UUID("12345678123412348234123456781234"))


# ---- private attributes and excluded fields -------------------------------------------------------------------------


class Secretive(Document):
    name: str
    hint: str = Field("none", exclude=True)
    token: str = Field("t0", repr=False)
    _count: int = 0
    _seen: list[str] = pydantic.PrivateAttr(default_factory=list)
    _late: str

    class Settings:
        name = "secretive"

    def count(self_) -> int:  # type: ignore[override]
        self_._count += 1
        return self_._count


def test_private_attributes(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Secretive])
    made = Secretive(name="a")
    made._seen.append("x")
    made.insert()
    assert (made._count, made._seen) == (0, ["x"])
    (read,) = Secretive.find()
    assert (read._count, read._seen) == (0, [])
    with pytest.raises(AttributeError):
        _ = read._late
    read._late = "l"
    read._count = 5
    for copied in (copy.copy(read), copy.deepcopy(read), pickle.loads(pickle.dumps(read))):
        assert (copied._count, copied._late, copied) == (5, "l", read)
    read.save()
    read.reload()
    assert read._count == 5
    assert database["secretive"].find_one({}, {"_id": 0}) == {"name": "a", "token": "t0"}
    assert read.model_dump(exclude={"id"}) == {"name": "a", "token": "t0"}
    with pytest.raises(ValidationError, match="_count: expected a declared field"):
        Secretive(name="a", _count=1)
    with pytest.raises(AttributeError):
        read._other = 1  # type: ignore[attr-defined]


def test_excluded_fields_are_not_stored(ours: data_bridge.Database, database: Mongo) -> None:
    odm.init(ours, [Secretive])
    there = database["secretive"]
    made = Secretive(name="a", hint="h").insert()
    assert made.hint == "h"
    made.hint = "i"
    made.save()
    made.name = "b"
    made.save()
    made.replace()
    assert there.find_one({}, {"_id": 0}) == {"name": "b", "token": "t0"}
    assert made.hint == "i"
    assert Secretive.get(made.id).hint == "none"  # type: ignore[union-attr]
    assert "hint" not in made.model_dump()
    assert "hint" not in made.model_dump_json(include={"hint", "name"})
    with pytest.raises(data_bridge.InvalidQuery, match=r"Secretive\.hint is not stored"):
        Secretive.find(Secretive.hint == "h")
    assert "t0" not in repr(made)
    assert "token" not in repr(made)
    # A key that another program stored is kept.
    there.update_one({}, {"$set": {"hint": "stored"}})
    (read,) = Secretive.find()
    assert read.hint == "stored"
    read.name = "c"
    read.replace()
    assert there.find_one({}, {"_id": 0}) == {"name": "c", "hint": "stored", "token": "t0"}


class Kept(Document):
    name: str = Field(min_length=1)
    place: Place | None = None
    _note: str = "n"

    class Settings:
        is_root = True

    @odm.field_validator("name")
    @classmethod
    def title(cls, value: str) -> str:
        return value.title()


class Place(EmbeddedDocument):
    city: str = Field(min_length=1)
    _seen: bool = False


class Special(Kept):
    level: int = Field(1, ge=1)
    _more: list[int] = []


def test_models_in_another_database_keep_their_declarations(
    ours: data_bridge.Database, client: Any, database: Mongo
) -> None:
    odm.init(ours, [Kept, Special])
    other = client[database.name + "_other"]
    variant = Special.on(other)
    made = variant(name="ada", place={"city": "Oslo"}).insert()
    assert (made.name, made._note, made._more) == ("Ada", "n", [])
    (read,) = Kept.on(other).find().with_children()
    assert (type(read), read.name, read._note) == (variant, "Ada", "n")
    read._more.append(1)
    assert copy.copy(read)._more == [1]
    assert read.place is not None
    read.place._seen = True
    for change in ({"name": ""}, {"level": 0}, {"place": {"city": ""}}):
        with pytest.raises(ValidationError):
            variant(**{"name": "x", **change})
    assert pydantic.TypeAdapter(variant).validate_python({"name": "bob"}).name == "Bob"
    client.drop_database(other.name)
