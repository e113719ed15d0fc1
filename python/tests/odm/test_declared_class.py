"""Dumps show the fields of the declared class, also of an instance of a derived one: pydantic is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Union

import pytest
from pydantic import BaseModel, SerializeAsAny, TypeAdapter, create_model

from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Link


class Shape(EmbeddedDocument):
    label: str = ""

    class Settings:
        is_root = True


class Star(Shape):
    points: int = 5


class Writer(Document):
    name: str


class Member(Writer):
    password: str = "secret"

    class Settings:
        name = "Writer"


class Stranger(Writer):
    password: str = "secret"


class Book(Document):
    author: Link[Writer] | None = None


def family(base: Any) -> tuple[Any, Any, Any]:
    """Return a class, one derived from it, and another one, of this package or of pydantic."""

    class User(base):  # type: ignore[misc]
        name: str = "a"

    class Given(User):
        password: str = "secret"

    class Cat(base):  # type: ignore[misc]
        meows: bool = True

    return User, Given, Cat


def without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_ids(each) for key, each in value.items() if key not in ("id", "_id")}
    return [without_ids(each) for each in value] if isinstance(value, list) else value


CASES: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "the class": lambda user, given, _: (user, given()),
    "its own class": lambda _, given, __: (given, given()),
    "a list": lambda user, given, _: (list[user], [given(), user()]),
    "a dict": lambda user, given, _: (dict[str, user], {"x": given()}),
    "an option": lambda user, given, _: (Optional[user], given()),  # noqa: UP045
    "a union with both": lambda user, given, _: (Union[user, given], given()),  # noqa: UP007
    "a union with both, the base": lambda user, given, _: (Union[given, user], user()),  # noqa: UP007
    "a union, derived": lambda user, given, cat: (Union[cat, user], given()),  # noqa: UP007
    "a union, the other": lambda user, _, cat: (Union[user, cat], cat()),  # noqa: UP007
    "a list of a union": lambda user, given, cat: (list[Union[user, cat]], [given(), cat()]),  # noqa: UP007
    "as any": lambda user, given, _: (user, given()),
}


@pytest.mark.parametrize("base", [EmbeddedDocument, Document, AsyncDocument])
@pytest.mark.parametrize("case", CASES)
def test_dumps_are_those_of_pydantic(case: str, base: Any) -> None:
    shown = []
    for kind in (base, BaseModel):
        annotation, value = CASES[case](*family(kind))
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        options: Any = {"serialize_as_any": True} if case == "as any" else {}
        model = create_model("Holder", value=(annotation, ...))
        holder = model(value=value)
        shown.append(
            [
                without_ids(adapter.dump_python(value, **options)),
                without_ids(adapter.dump_python(value, mode="json", **options)),
                without_ids(TypeAdapter(Any).validate_json(adapter.dump_json(value, **options))),
                without_ids(holder.model_dump(**options)),
                without_ids(TypeAdapter(Any).validate_json(holder.model_dump_json(**options))),
            ]
        )
    assert shown[0] == shown[1]


@pytest.mark.parametrize("base", [EmbeddedDocument, Document, AsyncDocument])
def test_responses_show_the_declared_class(base: Any) -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    user, given, cat = family(base)
    app = fastapi.FastAPI()
    app.get("/one", response_model=user)(lambda: given())
    app.get("/many", response_model=list[user])(lambda: [given()])
    app.get("/either", response_model=Union[cat, user])(lambda: given())  # noqa: UP007
    client = TestClient(app)
    assert without_ids(client.get("/one").json()) == {"name": "a"}
    assert without_ids(client.get("/many").json()) == [{"name": "a"}]
    assert without_ids(client.get("/either").json()) == {"name": "a"}


def test_items_that_were_appended_are_dumped_as_the_field_says() -> None:
    user, given, cat = family(EmbeddedDocument)

    class Team(EmbeddedDocument):
        users: list[user] = []  # type: ignore[valid-type]
        named: dict[str, user] = {}  # type: ignore[valid-type]
        mixed: list[user | cat] = []  # type: ignore[valid-type]
        anything: Any = None
        shapes: list[Shape] = []

    team = Team(mixed=[cat()], anything=given(), shapes=[Star()])
    team.users.append(given())
    team.named["x"] = given()
    team.mixed.append(given())
    expected = {
        "users": [{"name": "a"}],
        "named": {"x": {"name": "a"}},
        "mixed": [{"meows": True}, {"name": "a"}],
        # A field of type Any, and an item that stores the name of its class, have the fields of their own class.
        "anything": {"name": "a", "password": "secret"},
        "shapes": [{"label": "", "points": 5, "_class_id": "Shape.Star"}],
    }
    assert team.model_dump() == expected
    assert TypeAdapter(Team).dump_python(team) == expected
    secret = {"name": "a", "password": "secret"}
    own = {**expected, "users": [secret], "named": {"x": secret}, "mixed": [{"meows": True}, secret]}
    assert team.model_dump(serialize_as_any=True) == own


def test_serializers_are_those_of_the_declared_class() -> None:
    from pydantic import computed_field, field_serializer

    def classes(base: Any) -> tuple[Any, Any]:
        class User(base):  # type: ignore[misc]
            name: str = "a"

            @field_serializer("name")
            def shown(self, value: str) -> str:
                return value.upper()

            @computed_field  # type: ignore[prop-decorator]
            @property
            def length(self) -> int:
                return len(self.name)

        class Given(User):
            password: str = "secret"

            @computed_field  # type: ignore[prop-decorator]
            @property
            def strength(self) -> int:
                return len(self.password)

        return User, Given

    ours, theirs = (
        TypeAdapter(user).dump_python(given()) for user, given in (classes(EmbeddedDocument), classes(BaseModel))
    )
    assert ours == theirs == {"name": "A", "length": 1}


def test_linked_documents_are_shown_as_the_link_says() -> None:
    member = Member(name="Ada")
    assert Book(author=Link(member)).model_dump()["author"] == {"id": None, "name": "Ada"}
    holder = create_model("Holder", author=(Link[Writer], ...))(author=Link(member))
    assert holder.model_dump() == {"author": {"id": None, "name": "Ada"}}


def test_a_link_refuses_a_document_of_another_collection() -> None:
    with pytest.raises(odm.ValidationError, match="a Stranger, whose documents are in another collection"):
        Book(author=Stranger(name="Ada"))
    assert Book(author=Member(name="Ada")).author is not None


def test_serialize_as_any_in_an_annotation() -> None:
    user, given, _ = family(EmbeddedDocument)
    assert TypeAdapter(SerializeAsAny[user]).dump_python(given()) == {"name": "a", "password": "secret"}
