"""Unions of embedded models: the class that was written is read, or the union is refused."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest
from bson import ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, Field, ValidationError


class Circle(EmbeddedDocument):
    kind: Literal["circle"] = "circle"
    size: float = 1.0


class Square(EmbeddedDocument):
    kind: Literal["square"] = "square"
    size: float = 1.0


class Shape(EmbeddedDocument):
    size: float = 1.0

    class Settings:
        is_root = True


class Round(Shape):
    pass


class Oval(Round):
    ratio: float = 2.0


class Point(EmbeddedDocument):
    x: int
    y: int = 0


class Name(EmbeddedDocument):
    x: str
    y: int = 0


class Cup(EmbeddedDocument):
    name: str
    volume: float | None = None


class Car(EmbeddedDocument):
    name: str
    doors: int = 4


class Leaf(EmbeddedDocument):
    value: int


class Node(EmbeddedDocument):
    left: Node | Leaf
    right: Node | Leaf | None = None


class Drawing(Document):
    tagged: Circle | Square | None = None
    several: list[Circle | Square] = []
    named: dict[str, Circle | Square] = {}
    shape: Shape | None = None
    shapes: list[Shape] = []
    either: Round | Oval | Point | None = None
    free: Round | dict[str, Any] | None = None
    typed: Point | Name | None = None
    fields: Cup | Car | int | None = None
    tree: Node | Leaf | None = None

    class Settings:
        name = "drawings"


D: Any = Drawing


@pytest.fixture
def drawings(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Drawing])
    return database["drawings"]


def classes(value: Any) -> Any:
    if isinstance(value, list):
        return [classes(each) for each in value]
    if isinstance(value, dict):
        return {key: classes(each) for key, each in value.items()}
    return type(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tagged", Circle(size=2)),
        ("tagged", Square(size=2)),
        ("several", [Square(), Circle(), Square()]),
        ("named", {"a": Square(), "b": Circle()}),
        ("shape", Shape()),
        ("shape", Oval(ratio=3)),
        ("shapes", [Shape(), Round(), Oval()]),
        ("either", Round()),
        ("either", Oval()),
        ("either", Point(x=1)),
        ("free", Oval()),
        ("free", {"size": 1.0}),
        ("typed", Point(x=1)),
        ("typed", Name(x="1")),
        ("fields", Cup(name="a")),
        ("fields", Car(name="a")),
        ("fields", 5),
        ("tree", Node(left=Node(left=Leaf(value=1), right=Leaf(value=2)))),
    ],
)
def test_what_was_written_is_read(drawings: Any, field: str, value: Any) -> None:
    made = Drawing(**{field: value}).insert()
    read = Drawing.get(made.id)
    assert read == made
    assert read is not None
    assert classes(getattr(read, field)) == classes(value)
    assert getattr(read, field) == value
    # Also from stored documents, such as a JSON body.
    again = Drawing(**{field: drawings.find_one()[field]})
    assert classes(getattr(again, field)) == classes(value)
    dumped = Drawing(**{field: made.model_dump()[field]})
    assert classes(getattr(dumped, field)) == classes(value)
    # Reading is no change.
    before = drawings.find_one()
    read.save()
    assert drawings.find_one() == before


@pytest.mark.parametrize(
    ("field", "stored"),
    [
        ("tagged", {"kind": "triangle", "size": 1.0}),
        ("tagged", {"size": 1.0}),
        ("several", [{"kind": "circle"}, {"size": 1.0}]),
        ("shape", {"size": 1.0, "_class_id": "Shape.Triangle"}),
        ("either", {"size": 1.0, "_class_id": "Shape"}),
        ("fields", {"name": "a"}),
        ("fields", {"name": "a", "volume": 1.0, "doors": 4}),
        ("typed", {"x": 1.5}),
        ("tree", {"value": 1, "left": {"value": 1}}),
    ],
)
def test_nothing_is_guessed(drawings: Any, field: str, stored: Any) -> None:
    drawings.insert_one({field: stored})
    read = Drawing.find_one()
    assert read is not None
    with pytest.raises(ValidationError) as caught:
        getattr(read, field)
    assert caught.value.path[0] == field
    assert caught.value.id == read.id
    with pytest.raises(ValidationError):
        Drawing.find().validate()
    with pytest.raises(ValidationError):
        Drawing(**{field: stored})
    assert read.save() == read
    assert drawings.find_one()[field] == stored


@pytest.mark.parametrize(
    ("field", "stored", "cls"),
    [
        ("fields", {"name": "a", "doors": 2, "unknown": 1}, Car),
        ("fields", {"name": "a", "volume": None}, Cup),
        ("typed", {"x": "a", "unknown": 1}, Name),
        ("shape", {"size": 1.0}, Shape),
        ("either", {"x": 1}, Point),
        ("tagged", {"kind": "square", "size": "wrong"}, Square),
    ],
)
def test_what_is_clear_is_read(drawings: Any, field: str, stored: Any, cls: type) -> None:
    drawings.insert_one({field: stored})
    read = Drawing.find_one()
    assert type(getattr(read, field)) is cls


def test_a_value_of_another_class_is_written_whole(drawings: Any) -> None:
    one = Drawing(shape=Oval(ratio=3), tagged=Circle()).insert()
    one.shape = Round(size=5)
    one.tagged = Square(size=6)
    one.save()
    stored = drawings.find_one()
    assert stored["shape"] == {"size": 5.0, "_class_id": "Shape.Round"}
    assert stored["tagged"] == {"kind": "square", "size": 6.0}
    one.shape = Oval(size=5)
    one.shape.ratio = 7.0
    one.save()
    assert Drawing.find_one() == one


def test_paths_go_through_unions_where_all_mean_the_same(drawings: Any) -> None:
    Drawing(tagged=Square(size=3)).insert()
    Drawing(tagged=Circle(size=4)).insert()
    assert Drawing.find(D.tagged.size > 3).count() == 1
    assert Drawing.find(D.fields.doors == 4).count() == 0
    with pytest.raises(AttributeError):
        _ = D.typed.x  # an int, or a str


def test_many_levels_take_no_time_that_doubles_with_each(drawings: Any) -> None:
    tree: dict[str, Any] = {"value": 1}
    for _ in range(60):
        tree = {"left": tree}
    drawings.insert_one({"tree": tree})
    read: Any = Drawing.find_one()
    below = read.tree
    while isinstance(below, Node):
        below = below.left
    assert below == Leaf(value=1)


def test_an_instance_of_a_class_below_is_not_stored_without_its_class() -> None:
    class Wheel(EmbeddedDocument):
        n: int = 1

    class BigWheel(Wheel):
        m: int = 2

    class Bike(Document):
        wheel: Wheel | None = None
        wheels: list[Wheel] = []

    with pytest.raises(ValidationError, match="is_root"):
        Bike(wheel=BigWheel())
    bike = Bike()
    bike.wheels.append(BigWheel())
    with pytest.raises(ValidationError, match="is_root"):
        bike._dump()


def test_a_class_id_that_is_given_must_be_the_one() -> None:
    assert Round(_class_id="Shape.Round") == Round()
    with pytest.raises(ValidationError):
        Round(_class_id="Shape.Round.Oval")


class Other(EmbeddedDocument):
    size: float = 1.0


class Same(EmbeddedDocument):
    size: float = 2.0


class More(EmbeddedDocument):
    size: int = 2
    more: str | None = None


class Tag(str, enum.Enum):
    OTHER = "circle"


class Tagged(EmbeddedDocument):
    kind: Tag = Tag.OTHER
    size: float = 1.0


class Renamed(EmbeddedDocument):
    n: float = Field(1.0, alias="size")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Other | Same, "one of the other; give each a field with its own value"),
        (Other | More, "one of the other"),
        (Other | Renamed, "one of the other"),
        (Circle | Tagged, "one of the other"),
        (list[Other | Same | None], "one of the other"),
        (Other | dict[str, int], "a dict may be a document of Other"),
        (Other | Any, "a dict may be a document of Other"),
        (list[Other] | list[Point], r"list\[Other\] and list\[Point\] cannot be distinguished"),
        (dict[str, Other] | dict[str, Point], "cannot be distinguished"),
    ],
)
def test_an_ambiguous_union_is_refused_where_the_class_is_made(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(Document)("Odd", (Document,), {"__annotations__": {"x": annotation}, "__module__": __name__})


def test_two_classes_of_one_name_cannot_be_told_apart() -> None:
    def made() -> Any:
        class Root(EmbeddedDocument):
            id: ObjectId | None = None

            class Settings:
                is_root = True

        return Root

    first, second = made(), made()
    with pytest.raises(TypeError, match="two classes have the name 'Root'"):
        type(Document)("Odd", (Document,), {"__annotations__": {"x": first | second}, "__module__": __name__})


def test_an_ambiguous_union_of_later_classes_is_refused_by_init(ours: data_bridge.Database) -> None:
    class Holder(EmbeddedDocument):
        x: Late | Later | None = None  # type: ignore[name-defined]

    class Owner(Document):
        holders: list[Holder] = []

    class Late(EmbeddedDocument):
        n: int

    class Later(EmbeddedDocument):
        n: int

    Holder.__odm__.fields["x"]._names = {**Holder.__odm__.fields["x"]._names, "Late": Late, "Later": Later}
    with pytest.raises(TypeError, match=r"Late \| Later"):
        odm.init(ours, [Owner])


def test_a_class_that_was_refused_leaves_no_trace() -> None:
    class Root(Document):
        class Settings:
            is_root = True

    with pytest.raises(TypeError):
        type(Root)("Below", (Root,), {"__annotations__": {"x": Other | Same}, "__module__": __name__})
    assert Root.__odm__.descendants() == [Root.__odm__]
