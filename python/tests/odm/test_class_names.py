"""Names of classes in the documents of a tree: other keys and names than the default ones, as Beanie writes them."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from pymongo.database import Database

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, EmbeddedDocument, ValidationError


class Vehicle(Document):
    color: str

    class Settings:
        name = "vehicles"
        is_root = True
        class_id = "type"


class Car(Vehicle):
    doors: int = 4

    class Settings:
        class_id_value = "car"


class Bus(Car):
    seats: int = 40


STORED = [{"type": "Vehicle", "color": "a"}, {"type": "car", "color": "b", "doors": 2}, {"color": "d"}]


@pytest.fixture
def vehicles(ours: data_bridge.Database, database: Database[dict[str, Any]]) -> Any:
    odm.init(ours, [Vehicle, Car, Bus])
    return database["vehicles"]


def test_classes_are_read_by_their_names(vehicles: Any) -> None:
    vehicles.insert_many([*map(dict, STORED), {"type": "car.Bus", "color": "c", "doors": 2, "seats": 9}])
    read = Vehicle.find().with_children().sort("color").to_list()
    assert [type(each) for each in read] == [Vehicle, Car, Bus, Vehicle]
    assert [each.color for each in Vehicle.find().sort("color")] == ["a", "d"]
    assert [each.doors for each in Car.find()] == [2]
    assert Car.find().with_children().count() == 2
    assert read[1]["type"] == "car"
    assert Vehicle.find().with_children().to_arrow()["type"].to_pylist().count("car") == 1


def test_classes_are_written_with_their_names(vehicles: Any) -> None:
    for made in (Vehicle(color="a"), Car(color="b"), Bus(color="c")):
        made.insert()
        made.color += "!"
        made.save()
        made.replace()
    assert [(each["type"], each["color"]) for each in vehicles.find().sort("color")] == [
        ("Vehicle", "a!"), ("car", "b!"), ("car.Bus", "c!")
    ]  # fmt: skip
    assert not vehicles.count_documents({"_class_id": {"$exists": True}})
    assert Car(color="x", type="car") == Car(color="x")
    with pytest.raises(ValidationError, match="type: expected 'car'"):
        Car(color="x", type="bus")
    assert pydantic.TypeAdapter(Car).validate_python({"type": "car", "color": "x"}) == Car(color="x")


def test_settings_that_would_lose_a_value() -> None:
    with pytest.raises(TypeError, match=r"Bike.type: the key 'type' has the name of the class; .* document\['type'\]"):
        type(Document)("Bike", (Vehicle,), {"__annotations__": {"type": str}, "__module__": __name__})
    other = type("Settings", (), {"class_id": "kind"})
    with pytest.raises(TypeError, match="the key is that of the tree, 'type'"):
        type(Document)("Bike", (Vehicle,), {"Settings": other, "__module__": __name__})
    with pytest.raises(TypeError, match="embedded models have the key '_class_id'"):
        type(Document)("Part", (EmbeddedDocument,), {"Settings": other, "__module__": __name__})
