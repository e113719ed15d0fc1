"""`iter_models`: every document before one that does not fit gives its object first."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pydantic
import pytest

import data_bridge
from data_bridge import ConversionError


class Model(pydantic.BaseModel):
    n: int


class Struct(msgspec.Struct):
    n: int


@dataclasses.dataclass
class Data:
    n: int


NUMBERS = 2_100


@pytest.fixture
def numbers(database: Any) -> Any:
    database["numbers"].insert_many([{"_id": n, "n": n} for n in range(NUMBERS)])
    return database["numbers"]


@pytest.mark.parametrize("model", [Model, Struct, Data])
@pytest.mark.parametrize("wrong", [[0], [1], [2], [5, 6], [1_023], [1_024], [2_000, 5], [2_099]])
def test_all_objects_before_an_error_come(
    client: data_bridge.MongoClient, numbers: Any, model: Any, wrong: list[int]
) -> None:
    numbers.update_many({"_id": {"$in": wrong}}, {"$set": {"n": "x"}})
    live = client[numbers.database.name]["numbers"].find(sort="_id").iter_models(model)
    found: list[int] = []
    with pytest.raises(ConversionError) as raised:  # noqa: PT012
        for each in live:
            found.append(each.n)
    assert found == [*range(min(wrong))]
    assert (raised.value.document, raised.value.id, raised.value.path) == (min(wrong), min(wrong), ("n",))
    assert raised.value.__cause__ is not None or model is Data
    assert list(live) == []


async def test_all_awaited_objects_before_an_error_come(mongodb_uri: str, numbers: Any) -> None:
    numbers.update_one({"_id": 2_000}, {"$set": {"n": "x"}})
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        live = client[numbers.database.name]["numbers"].find(sort="_id").iter_models(Model)
        found: list[int] = []
        with pytest.raises(ConversionError) as raised:  # noqa: PT012
            async for each in live:
                found.append(each.n)
        assert found == [*range(2_000)]
        assert raised.value.document == 2_000
        assert [each async for each in live] == []
