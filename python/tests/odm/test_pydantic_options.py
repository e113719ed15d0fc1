"""Options of pydantic with an effect on values: strict types, discriminators, attributes, changes of texts."""

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import beanie
import pydantic
import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    Strict,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    TypeAdapter,
    conint,
    constr,
)

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, ValidationError

BASES = [Document, AsyncDocument, EmbeddedDocument]


def made(base: Any, annotations: dict[str, Any], **members: Any) -> Any:
    return type(base)("Made", (base,), {"__annotations__": annotations, "__module__": __name__, **members})


# ---- strict ---------------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    *(5, "5", 5.0, 5.5, True, None, b"5", Decimal(5), "2024-01-01", dt.datetime(2024, 1, 1), dt.date(2024, 1, 1)),
    *("00000000-0000-0000-0000-000000000005", uuid.UUID(int=5), dt.time(1), dt.timedelta(1), [5]),
]
STRICT: list[Any] = [
    StrictInt,
    StrictStr,
    StrictFloat,
    pydantic.StrictBool,
    StrictInt | None,
    Annotated[int, Strict()],
    Annotated[int, pydantic.Field(strict=True, ge=1)],
    conint(strict=True, ge=6),
    constr(strict=True, max_length=3),
    list[StrictInt],
    dict[str, StrictInt],
    StrictInt | StrictStr,
    Annotated[uuid.UUID, Strict()],
]


def accepted(adapter: TypeAdapter[Any], value: Any) -> tuple[Any, Any]:
    results = []
    for validate, given in (
        (adapter.validate_python, {"x": value}),
        (adapter.validate_json, json.dumps({"x": value}, default=str)),
    ):
        try:
            results.append(validate(given).x)  # type: ignore[operator]
        except pydantic.ValidationError as error:
            results.append([(each["type"], each["loc"]) for each in error.errors()])
    return results[0], results[1]


@pytest.mark.parametrize("annotation", STRICT, ids=str)
def test_strict_types_convert_nothing_in_bodies(annotation: Any) -> None:
    ours = TypeAdapter(made(EmbeddedDocument, {"x": annotation}))
    theirs = TypeAdapter(pydantic.create_model("Made", x=(annotation, ...)))
    for value in VALUES:
        if value is None:
            continue  # Bodies of this package take null for a field that may be None only.
        assert accepted(ours, value) == accepted(theirs, value), value


@pytest.mark.parametrize("base", BASES)
def test_strict_fields(base: Any) -> None:
    model = made(base, {"x": int}, x=pydantic.Field(default=1, strict=True))
    assert TypeAdapter(model).validate_python({"x": 2}).x == model(x=2).x == 2
    for value in ("2", 2.0, True):
        with pytest.raises(pydantic.ValidationError):
            TypeAdapter(model).validate_python({"x": value})
        with pytest.raises(ValidationError):
            model(x=value)


class Colour(enum.Enum):
    RED = "red"


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (Annotated[list[int], Strict()], {}, r"strict=True is for str, .*got list\[int\]: write it for the items"),
    (Annotated[Colour, Strict()], {}, "strict=True is for str"),
    (Annotated[dt.datetime, Strict()], {}, "strict=True is for str"),
    (Annotated[Decimal | None, Strict()], {}, "strict=True is for str"),
    (Annotated[Any, Strict()], {}, "strict=True is for str"),
    (list[int], {"x": pydantic.Field(strict=True)}, "strict=True is for str"),
    (int, {"model_config": ConfigDict(strict=True)}, "strict=True is not supported: write StrictInt"),
    (
        str,
        {"x": pydantic.Field(coerce_numbers_to_str=True)},
        "coerce_numbers_to_str=True is not supported: write a Bef",
    ),
    (int | str, {"x": pydantic.Field(union_mode="left_to_right")}, "union_mode='left_to_right' is not supported"),
    (list[int], {"x": pydantic.Field(fail_fast=True)}, "fail_fast=True is not supported: remove it"),
    (Annotated[list[int], FailFast()], {}, "fail_fast=True is not supported"),
    (int, {"x": pydantic.Field(discriminator="kind")}, "discriminator='kind' is for a union of models, got int"),
    (int | str, {"x": pydantic.Field(discriminator="kind")}, "must be a union of models in which the field 'kind'"),
    (Annotated[int | str, Discriminator(type)], {}, "a discriminator that is a function is not supported"),
    (beanie.Link[beanie.Document], {}, "beanie.Link leads to documents of Beanie: import Link from data_bridge.odm"),
    (list[beanie.BackLink[beanie.Document]], {}, "import BackLink from data_bridge.odm"),
    (beanie.Link[beanie.Document] | None, {}, "import Link from data_bridge.odm"),
]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("annotation", "members", "message"), REFUSED)
def test_options_without_effect_are_refused(base: Any, annotation: Any, members: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"Made.*{message}"):
        made(base, {"x": annotation}, **members)


def test_options_that_state_the_default_are_accepted() -> None:
    model = made(
        EmbeddedDocument,
        {"x": Annotated[int, Strict(strict=False)], "y": int | str, "z": Annotated[list[int], FailFast(False)]},
        y=pydantic.Field(default=1, union_mode="smart"),
        model_config=ConfigDict(strict=False),
    )
    assert TypeAdapter(model).validate_python({"x": "5", "z": []}).x == 5


# ---- discriminators -------------------------------------------------------------------------------------------------


def pets(base: Any) -> tuple[Any, Any, Any]:
    """Return two models and one with unions of them."""

    class Cat(base):  # type: ignore[misc]
        kind: Literal["cat"] = "cat"
        lives: int = 9

    class Dog(base):  # type: ignore[misc]
        kind: Literal["dog", "puppy"] = "dog"

    class Owner(base):  # type: ignore[misc]
        pet: Cat | Dog | None = pydantic.Field(default=None, discriminator="kind")
        pets: list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]] = []
        other: Annotated[Cat | Dog, Discriminator("kind")] | None = None

    return Cat, Dog, Owner


BODIES: list[dict[str, Any]] = [
    {"pet": {"kind": "dog"}, "pets": [{"kind": "cat", "lives": 1}, {"kind": "puppy"}], "other": {"kind": "cat"}},
    {"pet": None},
    {"pet": {"kind": "bird"}},
    {"pet": {}},
    {"pet": {"kind": "cat", "lives": "many"}},
    {"pets": [{"kind": "dog"}, {"kind": "bird"}]},
    {"other": {"kind": "bird"}},
]


def test_discriminators_are_those_of_pydantic() -> None:
    (*_, ours), (*_, theirs) = pets(EmbeddedDocument), pets(BaseModel)
    own, oracle = TypeAdapter(ours), TypeAdapter(theirs)
    for body in BODIES:
        results = []
        for adapter in (own, oracle):
            try:
                results.append(adapter.dump_python(adapter.validate_python(body)))
            except pydantic.ValidationError as error:
                results.append([(each["type"], each["loc"]) for each in error.errors()])
        assert results[0] == results[1]
    for mode in ("validation", "serialization"):
        shown = [adapter.json_schema(mode=mode)["properties"] for adapter in (own, oracle)]
        for name in ("pet", "pets", "other"):
            assert shown[0][name] == shown[1][name]
    assert '"discriminator"' in json.dumps(own.json_schema())


def test_instances_pass_a_discriminator() -> None:
    cat, dog, owner = pets(EmbeddedDocument)

    class Puppy(dog):  # type: ignore[misc]
        kind: Literal["dog"] = "dog"

    one = TypeAdapter(owner).validate_python({"pet": dog(), "pets": [cat(lives=1)]})
    assert (one.pet, one.pets) == (dog(), [cat(lives=1)])
    assert owner(pet=cat()).pet == cat()
    with pytest.raises(ValidationError, match=r"pet: expected Cat \| Dog \| None"):
        owner(pet=5)


def test_a_discriminator_with_an_alias_is_shown_by_its_key() -> None:
    class Sail(EmbeddedDocument):
        kind: Literal["sail"] = odm.Field(default="sail", alias="k")

    class Motor(EmbeddedDocument):
        kind: Literal["motor"] = odm.Field(default="motor", alias="k")

    class Trip(EmbeddedDocument):
        by: Sail | Motor = pydantic.Field(discriminator="kind")

    adapter = TypeAdapter(Trip)
    assert adapter.json_schema()["properties"]["by"]["discriminator"]["propertyName"] == "k"
    for key in ("k", "kind"):
        assert adapter.validate_python({"by": {key: "motor"}}).by == Motor()
    assert adapter.validate_json(adapter.dump_json(Trip(by=Motor()), by_alias=True)) == Trip(by=Motor())


def test_discriminators_of_pydantics_models() -> None:
    cat, dog, _ = pets(BaseModel)
    model = made(EmbeddedDocument, {"pet": cat | dog}, pet=pydantic.Field(discriminator="kind"))
    adapter = TypeAdapter(model)
    assert adapter.json_schema()["properties"]["pet"]["discriminator"]["propertyName"] == "kind"
    assert adapter.validate_python({"pet": {"kind": "puppy"}}).pet == dog(kind="puppy")
    with pytest.raises(pydantic.ValidationError, match="does not match any of the expected tags"):
        adapter.validate_python({"pet": {"kind": "bird"}})


def test_discriminators_of_pydantics_models_over_ours() -> None:
    cat, dog, _ = pets(EmbeddedDocument)
    holder = pydantic.create_model("Holder", pet=(cat | dog, pydantic.Field(discriminator="kind")))
    assert holder(pet={"kind": "puppy"}).pet == dog(kind="puppy")
    assert holder.model_json_schema()["properties"]["pet"]["discriminator"]["propertyName"] == "kind"
    with pytest.raises(pydantic.ValidationError, match="does not match any of the expected tags"):
        holder(pet={"kind": "bird"})


def test_a_discriminator_that_does_not_tell_the_models_apart_is_refused() -> None:
    cat, dog, _ = pets(EmbeddedDocument)

    class Twin(EmbeddedDocument):
        kind: Literal["cat"] = "cat"
        size: int

    class Free(EmbeddedDocument):
        kind: str
        name: str

    for annotation, message in (
        (cat | Twin, "two models of Cat | Twin have one value of it"),
        (cat | Free, "must be a union of models"),
        (cat | None, "must be a union of models|is for a union of models"),
        (cat | dog | str, "must be a union of models"),
    ):
        with pytest.raises(TypeError, match=message):
            made(EmbeddedDocument, {"pet": annotation}, pet=pydantic.Field(discriminator="kind"))


def test_unions_with_a_discriminator_are_stored(ours: data_bridge.Database, database: Any) -> None:
    cat, dog, _ = pets(EmbeddedDocument)

    class Owner(Document):
        pet: cat | dog = pydantic.Field(discriminator="kind")  # type: ignore[valid-type]

    odm.init(ours, [Owner])
    owner: Any = Owner(pet=dog(kind="puppy")).insert()
    assert database["Owner"].find_one()["pet"] == {"kind": "puppy"}
    assert Owner.get(owner.id) == owner
    assert Owner.find({"pet.kind": "puppy"}).count() == 1


# ---- attributes -----------------------------------------------------------------------------------------------------


def readers(base: Any) -> tuple[Any, Any]:
    class Place(base):  # type: ignore[misc]
        model_config = ConfigDict(from_attributes=True)
        city: str

    class Reader(base):  # type: ignore[misc]
        model_config = ConfigDict(from_attributes=True)
        name: str
        place: Place | None = None
        places: list[Place] = []

    return Place, Reader


OBJECTS: list[Any] = [
    SimpleNamespace(name="a"),
    SimpleNamespace(name="a", place=SimpleNamespace(city="x"), places=[SimpleNamespace(city="y")], more=1),
    {"name": "a", "place": SimpleNamespace(city="x")},
    SimpleNamespace(name=5),
    SimpleNamespace(other=5),
    "text",
    5,
    [1],
    None,
]


@pytest.mark.parametrize("value", OBJECTS, ids=str)
def test_attributes_are_read_as_by_pydantic(value: Any) -> None:
    (_, ours), (_, theirs) = readers(EmbeddedDocument), readers(BaseModel)
    results = []
    for validate in (
        theirs.model_validate,
        ours.model_validate,
        TypeAdapter(ours).validate_python,
    ):
        try:
            results.append(validate(value).model_dump())
        except ValueError:
            results.append("refused")
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("base", BASES)
def test_attributes_are_read_where_the_model_says_so(base: Any) -> None:
    model = made(base, {"name": str}, model_config=ConfigDict(from_attributes=True))
    below = type(base)("Below", (model,), {"__module__": __name__})
    plain = made(base, {"name": str}, model_config=ConfigDict(from_attributes=False))
    one = SimpleNamespace(name="a")
    assert model.model_validate(one) == model(name="a")
    assert below.model_validate(one) == below(name="a")
    with pytest.raises(ValidationError, match="expected a mapping"):
        plain.model_validate(one)


def test_attributes_in_responses() -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    _, reader = readers(EmbeddedDocument)
    app = fastapi.FastAPI()
    row = SimpleNamespace(name="a", place=SimpleNamespace(city="x"), secret="s")
    app.get("/", response_model=reader)(lambda: row)
    assert TestClient(app).get("/").json() == {"name": "a", "place": {"city": "x"}, "places": []}


# ---- texts ----------------------------------------------------------------------------------------------------------

Upper = StringConstraints(to_upper=True)
TEXTS: list[Any] = [
    Annotated[str, StringConstraints(pattern="^a", to_upper=True)],
    Annotated[str, StringConstraints(pattern="^A", to_lower=True)],
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, to_upper=True, pattern="^a")],
    Annotated[str, StringConstraints(to_lower=True, to_upper=True)],
    constr(pattern="^a", to_upper=True),
    Annotated[str, Upper, pydantic.Field(pattern="^a")],
    Annotated[str, pydantic.Field(pattern="^a"), Upper],
    Annotated[str, StringConstraints(min_length=3), StringConstraints(strip_whitespace=True)],
    Annotated[str, AfterValidator(str.upper), pydantic.Field(pattern="^a")],
    Annotated[str, AfterValidator(str.strip), pydantic.Field(min_length=3)],
    Annotated[str, Upper, AfterValidator(lambda value: value), pydantic.Field(pattern="^a")],
    Annotated[str, pydantic.Field(pattern="^a"), AfterValidator(str.lower), Upper],
    Annotated[str | None, Upper],
]


@pytest.mark.parametrize("annotation", TEXTS, ids=range(len(TEXTS)))
def test_texts_are_changed_in_the_order_of_pydantic(annotation: Any) -> None:
    model = made(EmbeddedDocument, {"x": annotation})
    ours, theirs = TypeAdapter(model), TypeAdapter(annotation)
    for value in (
        "abc",
        "Abc",
        " abc ",
        " a ",
        "a",
        "",
        "ABC",
        *([None] if annotation.__origin__ == (str | None) else []),
    ):
        results: list[Any] = []
        for validate in (
            lambda: theirs.validate_python(value),  # noqa: B023
            lambda: model(x=value).x,  # noqa: B023
            lambda: ours.validate_python({"x": value}).x,  # noqa: B023
        ):
            try:
                results.append(validate())
            except ValueError:
                results.append(ValueError)
        assert results[0] == results[1] == results[2], value


def test_constraints_of_the_default_are_in_that_order_too() -> None:
    model = made(EmbeddedDocument, {"x": Annotated[str, Upper]}, x=odm.Field(pattern="^a"))
    assert model(x="abc").x == "ABC"
    assert TypeAdapter(model).validate_python({"x": "abc"}).x == "ABC"


def test_constraints_of_a_part_of_a_union_are_kept() -> None:
    model = made(EmbeddedDocument, {"x": Annotated[int | float, pydantic.Field(ge=0)] | None, "y": int | str}, x=None)
    assert model(x=1, y="a").x == 1
    assert model(x=None, y=1).x is None
    with pytest.raises(ValidationError, match=r"expected a value >= 0|expected int \| float"):
        model(x=-1, y=1)
    with pytest.raises(pydantic.ValidationError):
        TypeAdapter(model).validate_python({"x": -1, "y": 1})
    cat, dog, owner = pets(EmbeddedDocument)
    with pytest.raises(TypeError, match="a part of a union of models has constraints"):
        made(EmbeddedDocument, {"x": Annotated[cat | dog, pydantic.Field(discriminator="kind")] | owner})
