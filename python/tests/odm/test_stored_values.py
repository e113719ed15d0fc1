"""Fields of `bson` types that PyMongo reads as other types: models read the written values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

import pytest
from bson import Binary, DatetimeMS
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, Document, EmbeddedDocument, Field, ValidationError
from data_bridge.odm.models import diff

UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
BINARIES = [
    Binary(b"x", 0),
    Binary(b"", 0),
    Binary(b"x" * 16, 0),
    Binary(b"x", 5),
    Binary(b"x", 128),
    Binary(UUID.bytes, 3),
    Binary(UUID.bytes, 4),
]


class Part(EmbeddedDocument):
    data: Binary
    more: list[Binary] = []


class Blob(Document):
    data: Binary
    maybe: Binary | None = None
    several: list[Binary] = []
    named: dict[str, Binary] = {}
    nested: list[dict[str, Binary]] = []
    pair: tuple[str, Binary] | None = None
    either: str | Binary = ""
    listed: Binary | list[Binary] = Field(default_factory=list)
    part: Part | None = None
    parts: list[Part] = []
    plain: bytes = b""
    plains: list[bytes] = []

    class Settings:
        name = "blobs"


class AsyncBlob(AsyncDocument):
    data: Binary
    several: list[Binary] = []

    class Settings:
        name = "blobs"


class Moment(Document):
    at: DatetimeMS
    several: list[DatetimeMS] = []
    named: dict[str, DatetimeMS | None] = {}
    either: str | DatetimeMS = ""

    class Settings:
        name = "moments"


class ByData(Document):
    id: Binary

    class Settings:
        name = "by_data"


B: Any = Blob


def blob(data: Binary) -> Blob:
    return Blob(
        data=data,
        maybe=data,
        several=[data, data],
        named={"k": data},
        nested=[{"k": data}],
        pair=("x", data),
        either=data,
        listed=[data],
        part=Part(data=data, more=[data]),
        parts=[Part(data=data)],
        plain=data,
        plains=[data],
    )


def values(found: Any) -> list[Any]:
    return [
        *(found.data, found.maybe, *found.several, found.named["k"], found.nested[0]["k"], found.pair[1], found.either),
        *(found.listed[0], found.part.data, found.part.more[0], found.parts[0].data),
    ]


@pytest.fixture(
    params=[None, UuidRepresentation.PYTHON_LEGACY, UuidRepresentation.JAVA_LEGACY, UuidRepresentation.CSHARP_LEGACY]
)
def stored(request: Any, ours: data_bridge.Database, database: Any) -> Any:
    """PyMongo's collection, which reads no UUIDs; the database of the models has the parameter's representation."""
    options: CodecOptions[Any] = CodecOptions()
    if request.param is not None:
        options = options.with_options(uuid_representation=request.param)
    odm.init(ours.with_options(codec_options=options), [Blob, ByData])
    return database["blobs"]


@pytest.mark.parametrize("data", BINARIES, ids=repr)
def test_a_binary_reads_back_as_it_was_written(stored: Any, data: Binary) -> None:
    blob(data).insert()
    assert Binary(stored.find_one()["data"], data.subtype) == data
    for found in (Blob.find_one(), Blob.find().to_list()[0], next(iter(Blob.find())), Blob.find().validate()[0]):
        assert found is not None
        assert values(found) == [data] * len(values(found))
        assert {type(each) for each in values(found)} == {Binary}
        assert bytes(found.plain) == bytes(found.plains[0]) == bytes(data)
        assert getattr(found.plain, "subtype", 0) == getattr(found.plains[0], "subtype", 0) == data.subtype
    query = Blob.find(B.data == data, B.several == data, B.part.data == data)
    assert query.count() == 1
    assert query.distinct(B.data) == query.distinct(B.several) == [data]
    assert query.min(B.data) == data


@pytest.mark.parametrize("data", BINARIES, ids=repr)
def test_a_binary_that_was_read_is_no_change(stored: Any, data: Binary) -> None:
    blob(data).insert()
    before = stored.find_one()
    found = Blob.find_one()
    assert found is not None
    _ = found.several, found.named, found.nested, found.pair, found.listed, found.parts, found.plains
    assert found.data == data
    assert diff.difference(found) == ({}, {})
    found.several.append(data)
    found.save()
    stored.update_one({}, {"$pop": {"several": 1}})
    assert stored.find_one() == before
    found.reload().replace()
    assert stored.find_one() == before


@pytest.mark.parametrize("data", BINARIES, ids=repr)
def test_a_binary_is_an_id(stored: Any, data: Binary) -> None:
    made = ByData(id=data).insert()
    found = ByData.get(data)
    assert found == made
    assert type(found.id) is Binary  # type: ignore[union-attr]


def test_bytes_are_taken_for_a_binary(stored: Any) -> None:
    made = Blob(data=b"x", several=[b"y"]).insert()  # type: ignore[arg-type, list-item]
    assert (made.data, made.several) == (Binary(b"x"), [Binary(b"y")])
    assert Blob.find(B.data == b"x").to_list() == [made]
    for wrong in ("x", 5, UUID):
        with pytest.raises(ValidationError, match="expected Binary"):
            Blob(data=wrong)


def test_what_is_no_binary_does_not_fit(stored: Any) -> None:
    stored.insert_one({"data": "text", "several": [1]})
    found = Blob.find_one()
    for name in ("data", "several"):
        with pytest.raises(ValidationError, match="expected Binary"):
            getattr(found, name)


async def test_a_binary_of_an_async_document_reads_back(mongodb_uri: str, database: Any) -> None:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncBlob])
        for data in BINARIES:
            await AsyncBlob(data=data, several=[data]).insert()
        found = await AsyncBlob.find().sort("_id").to_list()
        assert [each.data for each in found] == BINARIES
        assert [each.several for each in found] == [[each] for each in BINARIES]


def test_a_binary_of_another_database_and_of_a_table_reads_back(
    ours: data_bridge.Database, client: data_bridge.MongoClient
) -> None:
    odm.init(ours, [Blob])
    there: Any = Blob.on(client[f"{ours.name}_there"])
    try:
        for data in BINARIES:
            there(data=data, several=[data]).insert()
        found = there.find().sort("_id").to_list()
        assert [each.data for each in found] == [each.several[0] for each in found] == BINARIES
        rows = Blob.from_arrow(there.find().sort("_id").to_arrow(shapes=True))
        assert [each.data for each in rows] == [each.several[0] for each in rows] == BINARIES
    finally:
        client.drop_database(f"{ours.name}_there")


def test_bytes_of_a_class_of_another_library_are_no_uuid(stored: Any) -> None:
    @dataclasses.dataclass
    class Plain:
        data: bytes

    Blob(data=Binary(UUID.bytes, 3)).insert()
    query = Blob.find().to_query()
    if type(query.to_dicts()[0]["data"]) is uuid.UUID:
        # A UUID does not determine the stored order of its bytes.
        with pytest.raises(data_bridge.ConversionError):
            query.to_models(Plain)
    else:
        assert query.to_models(Plain)[0].data == Binary(UUID.bytes, 3)


@pytest.mark.parametrize("at", [0, 5, -(10**14), 1 << 60, 253402300799999])
def test_a_datetime_ms_reads_back_as_it_was_written(ours: data_bridge.Database, at: int) -> None:
    odm.init(ours, [Moment])
    value = DatetimeMS(at)
    Moment(at=value, several=[value], named={"k": value, "n": None}, either=value).insert()
    auto: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    for codec in (auto, auto.with_options(tz_aware=True, tzinfo=dt.timezone(dt.timedelta(hours=2)))):
        odm.init(ours.with_options(codec_options=codec), [Moment])
        found = Moment.find_one()
        assert found is not None
        assert (found.at, found.several, found.named, found.either) == (value, [value], {"k": value, "n": None}, value)
        assert {type(each) for each in (found.at, found.several[0], found.either)} == {DatetimeMS}
        assert diff.difference(found) == ({}, {})
        assert Moment.find(Moment.at == value).distinct("at") == [value]
