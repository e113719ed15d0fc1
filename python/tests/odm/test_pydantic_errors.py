"""Errors of models in pydantic: their locations are those of pydantic's models of the same names."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
import pytest
from pydantic import BaseModel, TypeAdapter

from data_bridge.odm import EmbeddedDocument


class Place(BaseModel):
    city: str


class Ours:
    class Cat(EmbeddedDocument):
        kind: Literal["cat"] = "cat"
        k: int
        below: list[Ours.Cat] = []

        model_config = {"extra": "ignore"}

    class Dog(EmbeddedDocument):
        kind: Literal["dog"] = "dog"
        d: int

        model_config = {"extra": "ignore"}

    class Owner(EmbeddedDocument):
        pet: Ours.Cat | Ours.Dog | None = None
        pets: list[Ours.Cat | Ours.Dog] = []
        any: Ours.Cat | int | None = None
        many: list[Ours.Cat] | dict[str, Ours.Dog] | Place | int | None = None

        model_config = {"extra": "ignore"}

    class Body(BaseModel):
        pet: Ours.Cat | Ours.Dog
        more: list[Ours.Cat | None] = []


class Theirs:
    class Cat(BaseModel):
        kind: Literal["cat"] = "cat"
        k: int
        below: list[Theirs.Cat] = []

    class Dog(BaseModel):
        kind: Literal["dog"] = "dog"
        d: int

    class Owner(BaseModel):
        pet: Theirs.Cat | Theirs.Dog | None = None
        pets: list[Theirs.Cat | Theirs.Dog] = []
        any: Theirs.Cat | int | None = None
        many: list[Theirs.Cat] | dict[str, Theirs.Dog] | Place | int | None = None

    class Body(BaseModel):
        pet: Theirs.Cat | Theirs.Dog
        more: list[Theirs.Cat | None] = []


def union(side: Any) -> Any:
    return side.Cat | side.Dog


@pytest.mark.parametrize(
    ("choose", "value"),
    [
        (union, {"k": "x"}),
        (union, {}),
        (union, {"k": 1, "kind": "bird"}),
        (union, 5),
        (lambda side: side.Cat, {"k": 1, "below": [{"k": 1, "below": [{}]}]}),
        (lambda side: side.Cat | None, {}),
        (lambda side: side.Owner, {"pet": {"k": "x"}, "pets": [{"k": 1}, {}], "any": {}, "many": [{}]}),
        (lambda side: side.Owner, {"many": {"a": {}}}),
        (lambda side: side.Owner, {"pet": 1, "pets": 2, "any": "x", "many": "x"}),
        (lambda side: side.Body, {"pet": {}, "more": [{}, None, 3]}),
        (lambda side: side.Body, {"pet": {"k": 1, "below": [{}]}}),
        (lambda side: side.Owner | int, {"pet": 1}),
    ],
)
def test_locations_in_unions(choose: Any, value: Any) -> None:
    found = []
    for side in (Theirs, Ours):
        with pytest.raises(pydantic.ValidationError) as raised:
            TypeAdapter(choose(side)).validate_python(value)
        found.append(sorted(each["loc"] for each in raised.value.errors()))
        assert "of_instance" not in str(raised.value)
    assert found[0] == found[1]


def test_the_title_names_the_model() -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        TypeAdapter(Ours.Cat).validate_python({})
    assert "Cat" in raised.value.title


def test_values_and_json_schemas_of_unions() -> None:
    for side in (Theirs, Ours):
        body = side.Body.model_validate({"pet": {"d": 1}, "more": [{"k": 2}]})
        assert (type(body.pet), type(body.more[0])) == (side.Dog, side.Cat)
        schema = side.Body.model_json_schema()
        assert schema["properties"]["pet"]["anyOf"] == [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]
        assert TypeAdapter(side.Owner).json_schema()["title"] == "Owner"
