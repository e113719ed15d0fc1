"""The arguments of `model_dump`, `model_dump_json` and `model_validate`; pydantic's models are the oracle."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pydantic
import pytest
from pydantic import BaseModel, TypeAdapter, computed_field, field_serializer

from data_bridge.odm import (
    Document,
    EmbeddedDocument,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)


class Unknown:
    def __repr__(self) -> str:
        return "Unknown()"


class Inner(BaseModel):
    n: int | None = None
    s: Any = None

    @field_serializer("s")
    def shown(self, value: Any, info: pydantic.FieldSerializationInfo) -> Any:
        return [value, info.context, info.round_trip]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return (self.n or 0) * 2


class Members:
    @field_serializer("text")
    def shown(self, value: Any, info: Any) -> Any:
        return [value, info.context, info.round_trip]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return len(self.text)  # type: ignore[attr-defined]


class Ours(Members, EmbeddedDocument):
    text: str = Field(default="t", alias="T")
    any: Any = None
    inner: Inner | None = None


class Theirs(Members, BaseModel):
    text: str = pydantic.Field(default="t", alias="T")
    any: Any = None
    inner: Inner | None = None

    model_config = {"populate_by_name": True}


VALUES = {"text": "abc", "inner": Inner(n=1, s="x")}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"context": {"a": 1}},
        {"round_trip": True},
        {"exclude_computed_fields": True},
        {"warnings": False},
        {"warnings": "none"},
        {"serialize_as_any": True},
        {"exclude_none": True},
        {"exclude_unset": True, "by_alias": True},
        {"fallback": repr},
    ],
)
def test_dumps(arguments: dict[str, Any]) -> None:
    for value in (None, 5, "x") + ((Unknown(), [Unknown()], Path("a")) if "fallback" in arguments else ()):
        ours, theirs = Ours(**VALUES, any=value), Theirs(**VALUES, any=value)
        for mode in ("python", "json"):
            expected = theirs.model_dump(mode=mode, **arguments)
            assert ours.model_dump(mode=mode, **arguments) == expected
        assert ours.model_dump_json(**arguments) == theirs.model_dump_json(**arguments)


def test_the_adapter_passes_the_arguments_on() -> None:
    for arguments in ({"context": 5}, {"round_trip": True}, {"exclude_computed_fields": True}):
        ours, theirs = (TypeAdapter(each).dump_python(each(**VALUES), **arguments) for each in (Ours, Theirs))
        assert ours == theirs


def test_values_without_a_form_in_json() -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        Ours(any=Unknown()).model_dump_json()
    assert Ours(any=Unknown()).model_dump_json(include={"any"}, fallback=lambda _: {"a": 1}) == '{"any":{"a":1}}'


def test_the_arguments_are_pydantics() -> None:
    for name in ("model_dump", "model_dump_json", "model_validate"):
        ours, theirs = (set(inspect.signature(getattr(each, name)).parameters) for each in (Ours, Theirs))
        later = {"polymorphic_serialization", "extra"}
        assert theirs - ours <= later, name


class Named(Document):
    name: str = Field(alias="n")
    size: int = 0
    seen: list[Any] = []

    @field_validator("name")
    @classmethod
    def named(cls, value: str, info: ValidationInfo) -> str:
        return value + str((info.context or {}).get("suffix", ""))

    @model_validator()
    def whole(self, info: ValidationInfo) -> None:
        self.seen = [info.context]


class Loose(EmbeddedDocument):
    name: str = Field(default="", alias="n")

    model_config = {"extra": "ignore"}


def test_the_context_of_a_validation() -> None:
    made = Named.model_validate({"n": "a"}, context={"suffix": 1})
    assert (made.name, made.seen) == ("a1", [{"suffix": 1}])
    assert Named.model_validate({"n": "a"}).name == Named(n="a").name == "a"  # type: ignore[call-arg]
    assert TypeAdapter(Named).validate_python({"n": "a"}, context={"suffix": 1}).name == "a1"
    with pytest.raises(ValidationError):
        Named.model_validate({}, context={"suffix": 1})
    assert Named.model_validate({"n": "a"}).seen == [None]


def test_names_and_stored_keys_of_a_validation() -> None:
    for given in ({"n": "a"}, {"name": "a"}):
        assert Named.model_validate(given, by_alias=True, by_name=True).name == "a"
    assert Named.model_validate({"n": "a", "size": 1}, by_name=False).size == 1
    assert Named.model_validate({"name": "a", "size": 1}, by_alias=False).size == 1
    for wrong, arguments in (({"name": "a"}, {"by_name": False}), ({"n": "a"}, {"by_alias": False})):
        with pytest.raises(ValidationError, match="a declared field"):
            Named.model_validate(wrong, **arguments)
        assert Loose.model_validate(wrong, **arguments).name == ""
    with pytest.raises(ValueError, match="no keys"):
        Named.model_validate({}, by_alias=False, by_name=False)
    assert Named.model_validate({"n": "a"}, strict=False, from_attributes=None).name == "a"
    with pytest.raises(TypeError, match=r"TypeAdapter\(Named\)"):
        Named.model_validate({"n": "a"}, strict=True)
