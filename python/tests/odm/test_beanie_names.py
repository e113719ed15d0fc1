"""Names and settings of Beanie: writes and their options, views, time series, bulks of several models."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pydantic
import pytest
from bson import ObjectId
from pymongo import ReadPreference
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

import data_bridge
from data_bridge import odm
from data_bridge.odm import (
    AsyncBulkWriter,
    AsyncDocument,
    AsyncView,
    BackLink,
    BulkWriter,
    Document,
    DocumentNotFound,
    EmbeddedDocument,
    Event,
    Field,
    Granularity,
    Link,
    RevisionConflict,
    TimeSeriesConfig,
    View,
    after_event,
    before_event,
    geo,
)
from data_bridge.odm import operators as op


class Sample(Document):
    name: str = ""
    n: int = 0
    tags: list[str] = []

    class Settings:
        name = "samples"


class AsyncSample(AsyncDocument):
    name: str = ""
    n: int = 0

    class Settings:
        name = "samples"


@pytest.fixture
def samples(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Sample])
    return database["samples"]


S: Any = Sample


# ---- names of the tutorial -------------------------------------------------------------------------------------------


def test_names_of_the_tutorial(samples: Any) -> None:
    sample = Sample(name="a", n=1).create()
    assert samples.count_documents({}) == 1
    assert sample.set({S.name: "b"}).name == "b"
    assert sample.inc({S.n: 2}).n == 3
    assert sample.set({"name": "c"}).name == "c"
    assert Sample.find(S.n == 3).set({S.name: "d"}).modified_count == 1
    assert Sample.find(S.n == 3).inc({S.n: 1}).modified_count == 1
    found = Sample.find_one(S.n == 4)
    assert found is not None
    assert found.update(op.Set({S.name: "e"})).name == "e"
    for n in range(5):
        Sample(n=100 + n).create()
    assert [each.n for each in Sample.find(S.n >= 100).sort("n").to_list(2)] == [100, 101]
    assert len(Sample.find(S.n >= 100).limit(3).to_list(10)) == 3
    assert Sample.find().to_list(0) == []


async def test_find_one_of_an_async_model_is_a_query_too(mongodb_uri: str, samples: Any) -> None:
    a: Any = AsyncSample
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[samples.database.name], [AsyncSample])
        await AsyncSample(name="a", n=1).create()
        await AsyncSample(name="b", n=1).create()
        found = await AsyncSample.find_one(a.name == "b")
        assert found is not None
        assert found.n == 1
        assert await AsyncSample.find_one(a.name == "none") is None
        assert (await AsyncSample.find_one(a.n == 1).update(op.Set({a.n: 5}))).modified_count == 1
        assert (await AsyncSample.find_one(a.n == 1).set({a.n: 6})).modified_count == 1
        assert (await AsyncSample.find_one(a.n == 6).inc({a.n: 1})).modified_count == 1
        assert await AsyncSample.find_one(a.n > 1).count() == 2
        assert await AsyncSample.find_one(a.n > 1).exists() is True
        assert await AsyncSample.find_one(a.n > 100).exists() is False
        assert (
            await AsyncSample.find_one(a.n == 7).upsert(op.Inc({a.n: 1}), on_insert=AsyncSample())
        ).modified_count == 1
        assert (await AsyncSample.find_one(a.n == 8).to_model(Plain)) == Plain(id=str(found.id), name="b", n=8)
        assert await AsyncSample.find_one(a.n == 99).to_model(Plain) is None
        assert (await AsyncSample.find_one(a.n == 8).delete()).deleted_count == 1
        assert [each.n for each in await AsyncSample.find().to_list(1)] == [5]


# ---- to_models -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Plain:
    id: str
    name: str
    n: int


class Shown(pydantic.BaseModel):
    id: str = pydantic.Field(alias="_id")
    name: str
    refs: list[str] = []
    maybe: str | None = None


def test_an_object_id_becomes_text_where_str_is_requested(samples: Any, ours: data_bridge.Database) -> None:
    ids = [ObjectId() for _ in range(4)]
    samples.insert_many([{"name": "a", "n": 1, "refs": ids[:2], "maybe": ids[3]} for _ in range(3)])
    stored = samples.find_one()
    for query in (Sample.find(), ours["samples"].find()):
        assert query.to_models(Plain)[0] == Plain(str(stored["_id"]), "a", 1)  # type: ignore[attr-defined]
        (first, *_) = query.to_models(Shown)  # type: ignore[attr-defined]
        assert first.refs == [str(each) for each in ids[:2]]
        assert first.maybe == str(ids[3])
    samples.insert_one({"_id": "text", "name": "b", "n": 2})
    assert ours["samples"].find(sort=[("n", -1)]).to_models(Shown)[0].id == "text"
    samples.insert_one({"name": 5, "n": 2})
    with pytest.raises(data_bridge.ConversionError, match="name"):
        ours["samples"].find().to_models(Shown)


def test_find_one_gives_an_object_of_another_class(samples: Any, ours: data_bridge.Database) -> None:
    sample = Sample(name="a", n=1).insert()
    for found in (Sample.find_one(), ours["samples"].find_one()):
        assert found is not None
        assert found.to_model(Plain) == Plain(str(sample.id), "a", 1)
        assert found.to_model(Shown).id == str(sample.id)
    found = Sample.find_one()
    assert found is not None
    found.name = "changed"
    assert found.to_model(Plain).name == "changed"


def test_objects_come_as_the_documents_do(samples: Any, ours: data_bridge.Database) -> None:
    samples.insert_many([{"_id": n, "name": str(n), "n": n} for n in range(5_000)] + [{"_id": 5_000, "name": "x"}])
    whole = Sample.find(S.n >= 0).sort("_id").to_models(Row)
    assert list(Sample.find(S.n >= 0).sort("_id").iter_models(Row)) == whole
    assert len(whole) == 5_000
    live = ours["samples"].find(sort=[("_id", 1)], batch_size=100).iter_models(Row)
    assert next(live) == whole[0]
    with pytest.raises(data_bridge.ConversionError) as caught:  # noqa: PT012
        for position, each in enumerate(live, 1):
            assert each == whole[position]
    assert (caught.value.document, caught.value.id) == (5_000, 5_000)
    assert next(live, None) is None
    with pytest.raises(TypeError, match="to_models"):
        ours["samples"].find().iter_models(int)


@dataclasses.dataclass
class Row:
    id: int
    name: str
    n: int


async def test_objects_of_an_async_query_come_as_the_documents_do(mongodb_uri: str, samples: Any) -> None:
    samples.insert_many([{"_id": n, "name": str(n), "n": n} for n in range(3_000)] + [{"_id": 3_000, "name": "x"}])
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[samples.database.name], [AsyncSample])
        found = [each.n async for each in AsyncSample.find({"n": {"$gte": 0}}).sort("id").iter_models(Row)]
        assert found == [*range(3_000)]
        numbers = []
        with pytest.raises(data_bridge.ConversionError) as caught:  # noqa: PT012
            async for each in client[samples.database.name]["samples"].find(sort=[("_id", 1)]).iter_models(Row):
                numbers.append(each.n)
        assert caught.value.document == 3_000
        assert numbers == found[: len(numbers)]
        document = await client[samples.database.name]["samples"].find_one({"_id": 7})
        assert document is not None
        assert document.to_model(Row) == Row(7, "7", 7)


# ---- options of writes -----------------------------------------------------------------------------------------------


class Hooked(Document):
    n: int = 0
    trace: list[str] = []

    class Settings:
        use_revision = True

    @before_event(Event.INSERT, Event.SAVE, Event.UPDATE, Event.DELETE)
    def before(self) -> None:
        self.trace.append("b")

    @after_event(Event.INSERT, Event.SAVE, Event.UPDATE)
    def count_up(self) -> None:
        LOG.append("after")


LOG: list[str] = []


def test_actions_can_be_skipped(ours: data_bridge.Database) -> None:
    odm.init(ours, [Hooked])
    LOG.clear()
    assert Hooked().insert(skip_actions=["before"]).trace == []
    assert LOG == ["after"]
    hooked = Hooked().insert(skip_actions=["after"])
    assert hooked.trace == ["b"]
    assert LOG == ["after"]
    hooked.n = 1
    hooked.save(skip_actions=["before", "after"])
    assert hooked.trace == ["b"]
    hooked.update(op.Inc({"n": 1}), skip_actions=["count_up"])
    assert hooked.trace == ["b", "b"]
    assert LOG == ["after"]
    with pytest.raises(TypeError, match="no hook 'nothing'"):
        hooked.save(skip_actions=["nothing"])
    with pytest.raises(TypeError, match="list of names"):
        hooked.save(skip_actions="before")
    hooked.delete(skip_actions=["before"])


@pytest.mark.parametrize(
    "write",
    [
        lambda each, **options: each.save(**options),
        lambda each, **options: each.replace(**options),
    ],
)
def test_a_revision_can_be_ignored(ours: data_bridge.Database, write: Any) -> None:
    odm.init(ours, [Hooked])
    hooked = Hooked().insert()
    other = Hooked.get(hooked.id)
    assert other is not None
    other.n = 5
    other.save()
    hooked.n = 7
    with pytest.raises(RevisionConflict):
        write(hooked)
    write(hooked, ignore_revision=True)
    read = Hooked.get(hooked.id)
    assert read is not None
    assert read.n == 7
    assert read.revision_id == hooked.revision_id
    with pytest.raises(RevisionConflict):
        other.update(op.Inc({"n": 1}))
    assert other.update(op.Inc({"n": 1}), ignore_revision=True).n == 8
    hooked.delete()
    with pytest.raises(DocumentNotFound):
        other.update(op.Inc({"n": 1}), ignore_revision=True)


# ---- settings --------------------------------------------------------------------------------------------------------


class Inner(EmbeddedDocument):
    a: int | None = None
    b: int | None = None

    class Settings:
        keep_nulls = False


class Sparse(Document):
    name: str | None = None
    n: int | None = 5
    inner: Inner | None = None
    items: list[int | None] = []

    class Settings:
        name = "sparse"
        keep_nulls = False
        use_revision = True


class Named(Document):
    name: str | None = None
    inner: Outer | None = None


class Outer(EmbeddedDocument):
    a: int | None = None
    below: list[Outer] = []
    by_key: dict[str, Outer | None] = {}
    plain: Plain | None = None
    maybe: MaybePydantic | int | None = None
    x: Any = None


class MaybePydantic(pydantic.BaseModel):
    a: int | None = None
    b: int = 1


class Nulless(Named):
    outers: list[Outer] = []

    class Settings:
        name = "nulless"
        keep_nulls = False


def test_nulls_of_embedded_values_are_left_out_too(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Nulless, Named])
    outer = Outer(below=[Outer()], by_key={"k": Outer(a=1), "n": None}, maybe=MaybePydantic(), x={"k": None})
    nulless = Nulless(inner=outer, outers=[Outer(), Outer(a=2)]).insert()
    stored = database["nulless"].find_one()
    empty: dict[str, Any] = {"below": [], "by_key": {}}
    inner = {"below": [empty], "by_key": {"k": {"a": 1, **empty}, "n": None}, "maybe": {"b": 1}, "x": {"k": None}}
    assert stored == {"_id": nulless.id, "inner": inner, "outers": [empty, {"a": 2, **empty}]}
    assert nulless == Nulless.get(nulless.id)
    assert nulless.inner is not None
    nulless.inner.a = 5
    nulless.outers[1].a = None
    nulless.save()
    stored = database["nulless"].find_one()
    assert stored["inner"]["a"] == 5
    assert stored["outers"] == [empty, empty]
    assert nulless == Nulless.get(nulless.id)
    named = Named(inner=Outer()).insert()
    assert database["Named"].find_one() == {
        "_id": named.id, "name": None, "inner": {**empty, "a": None, "plain": None, "maybe": None, "x": None}
    }  # fmt: skip
    assert Nulless.find(Named.name == None).count() == 1  # noqa: E711


def test_nulls_are_left_out_on_request(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Sparse])
    sparse = Sparse(inner=Inner(a=1), items=[None, 1]).insert()
    stored = database["sparse"].find_one()
    assert stored.keys() == {"_id", "n", "inner", "items", "revision_id"}
    assert stored["inner"] == {"a": 1}
    assert stored["items"] == [None, 1]
    assert sparse == Sparse.get(sparse.id)
    assert sparse.inner is not None
    sparse.name, sparse.n, sparse.inner.a, sparse.inner.b = "x", None, None, 2
    sparse.save()
    stored = database["sparse"].find_one()
    assert stored["name"] == "x"
    assert "n" not in stored
    assert stored["inner"] == {"b": 2}
    # A missing key reads as the default.
    assert sparse == Sparse.get(sparse.id)
    assert sparse.n == 5
    sparse.name = None
    sparse.replace()
    assert "name" not in database["sparse"].find_one()
    assert sparse == Sparse.get(sparse.id)
    sparse.name = None
    before = database["sparse"].find_one()
    sparse.save()
    assert database["sparse"].find_one() == before


class Measured(Document):
    ts: dt.datetime = Field(alias="t")
    meta: str
    value: float = 0.0

    class Settings:
        name = "measured"
        timeseries = TimeSeriesConfig(
            time_field="ts", meta_field="meta", granularity=Granularity.minutes, expire_after_seconds=86_400_000
        )


def test_a_time_series_is_created(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Measured])
    odm.init(ours, [Measured])
    (options,) = [each for each in database.list_collections() if each["name"] == "measured"]
    assert options["type"] == "timeseries"
    assert options["options"]["expireAfterSeconds"] == 86_400_000
    series = options["options"]["timeseries"]
    assert (series["timeField"], series["metaField"], series["granularity"]) == ("t", "meta", "minutes")
    now = dt.datetime.now(dt.timezone.utc)
    measured = Measured(ts=now, meta="a", value=1.5).insert()
    assert Measured.find_one(Measured.meta == "a") == measured

    class Other(Document):
        ts: dt.datetime

        class Settings:
            name = "measured"
            timeseries = {"time_field": "ts"}

    with pytest.raises(data_bridge.InvalidQuery, match="'measured' exists with other options"):
        odm.init(ours, [Other])

    class Wrong(Document):
        ts: dt.datetime

        class Settings:
            timeseries = {"time_field": "nothing"}

    with pytest.raises(AttributeError, match="nothing"):
        odm.init(ours, [Wrong])


def test_a_time_series_has_beanies_settings_and_times(ours: data_bridge.Database, database: Any) -> None:
    config = pytest.importorskip("beanie").TimeSeriesConfig

    class Theirs(Document):
        ts: dt.datetime = Field(alias="t")
        meta: str

        class Settings:
            timeseries = config(time_field="ts", meta_field="meta", granularity="hours", expire_after_seconds=100_000)

    odm.init(ours, [Theirs])
    (options,) = [each["options"] for each in database.list_collections() if each["name"] == "Theirs"]
    assert options["expireAfterSeconds"] == 100_000
    series = options["timeseries"]
    assert (series["timeField"], series["metaField"], series["granularity"]) == ("t", "meta", "hours")

    for kind, fits in (
        (dt.datetime, True),
        (dt.datetime | None, True),
        (dt.date, True),
        (Any, True),
        (pydantic.AwareDatetime, True),
        (pydantic.PastDatetime, True),
        (pydantic.FutureDatetime, True),
        (str, False),
        (int, False),
        (ObjectId, False),
        (list[str], False),
    ):
        settings = type("Settings", (), {"timeseries": {"time_field": "ts"}, "name": "other"})
        names = {"__annotations__": {"ts": kind}, "__module__": __name__, "Settings": settings}
        model: Any = type(Document)("Other", (Document,), names)
        if fits:
            odm.init(ours, [model])
        else:
            with pytest.raises(TypeError, match="time_field 'ts' is"):
                odm.init(ours, [model])


class Concerned(Document):
    n: int = 0

    class Settings:
        read_preference = ReadPreference.SECONDARY_PREFERRED
        read_concern = ReadConcern("majority")
        write_concern = WriteConcern(w="majority", j=True)


def test_settings_have_concerns(ours: data_bridge.Database) -> None:
    odm.init(ours, [Concerned])
    collection = Concerned.__odm__.collection
    assert collection.read_concern == ReadConcern("majority")
    assert collection.write_concern == WriteConcern(w="majority", j=True)
    assert collection.read_preference.mode == ReadPreference.SECONDARY_PREFERRED.mode
    assert Concerned.get(Concerned().insert().id) is not None


class Indexed(Document):
    seen: dt.datetime | None = Field(default=None, expire_after_seconds=3600)
    email: str | None = Field(default=None, unique=True, sparse=True)
    place: geo.Point | None = Field(default=None, index="2dsphere")
    area: geo.Polygon | None = None


def test_fields_have_ttl_sparse_and_geo_indexes(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Indexed])
    indexes = database["Indexed"].index_information()
    assert indexes["seen_1"]["expireAfterSeconds"] == 3600
    assert indexes["email_1"]["unique"]
    assert indexes["email_1"]["sparse"]
    assert indexes["place_2dsphere"]["key"] == [("place", "2dsphere")]

    i: Any = Indexed
    oslo = Indexed(email="a", place=geo.Point.at(10.75, 59.91)).insert()
    Indexed(email="b", place=geo.Point(coordinates=[5.32, 60.39, 12.0])).insert()
    ring = [[10, 59], [11, 59], [11, 60], [10, 60], [10, 59]]
    area = geo.Polygon(coordinates=[ring])
    oslo.area = area
    oslo.save()
    assert Indexed.find_one(i.email == "a") == oslo
    assert database["Indexed"].find_one({"email": "a"})["place"] == {"type": "Point", "coordinates": [10.75, 59.91]}
    assert [each.email for each in Indexed.find(op.Near(i.place, 5, 60))] == ["b", "a"]
    assert [each.email for each in Indexed.find(op.Near(i.place, 5, 60, max_distance=100_000))] == ["b"]
    assert [each.email for each in Indexed.find(op.Box(i.place, [10, 59], [11, 60]))] == ["a"]
    assert [each.email for each in Indexed.find(op.GeoWithin(i.place, "Polygon", [ring]))] == ["a"]
    with pytest.raises(odm.ValidationError, match="type"):
        geo.Point(type="Polygon", coordinates=[1, 2])  # type: ignore[arg-type]


# ---- views -----------------------------------------------------------------------------------------------------------


class Bike(Document):
    kind: str
    size: int
    new: bool = False
    maker: Link[Maker] | None = None


class Maker(Document):
    name: str


class Metrics(View):
    kind: str = Field(alias="_id")
    number: int
    new: int

    class Settings:
        source = Bike
        pipeline = [
            {"$group": {"_id": "$kind", "number": {"$sum": 1}, "new": {"$sum": {"$cond": ["$new", 1, 0]}}}},
        ]


class BikeView(View):
    kind: str
    maker: Link[Maker] | None = None

    class Settings:
        source = "Bike"
        pipeline = [{"$project": {"kind": 1, "maker": 1}}]


def test_a_view_is_read_like_a_collection(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Bike, Maker, Metrics, BikeView])
    odm.init(ours, [Metrics])
    maker = Maker(name="M").insert()
    for kind, new in (("Mountain", True), ("Mountain", True), ("Road", True), ("Road", True), ("Road", False)):
        Bike(kind=kind, size=50, new=new, maker=maker).insert()
    m: Any = Metrics
    (row,) = Metrics.find(m.kind == "Road").to_list()
    assert (row.kind, row.number, row.new) == ("Road", 3, 2)
    assert Metrics.find().count() == 2
    assert Metrics.find().sum(m.new) == 4
    assert Metrics.get("Mountain") == Metrics.find_one(m.number == 2)
    assert Metrics.find().sort(-m.number).to_arrow()["number"].to_pylist() == [3, 2]
    (total,) = Metrics.aggregate([{"$group": {"_id": None, "new": {"$sum": "$new"}}}]).to_dicts()
    assert total["new"] == 4
    b: Any = BikeView
    (first, *_) = BikeView.find(b.maker.name == "M", fetch_links=True).to_list()
    assert first.maker.name == "M"  # type: ignore[union-attr]
    other = BikeView.find_one()
    assert other is not None
    other.fetch_all_links()
    assert other.maker.name == "M"  # type: ignore[union-attr]
    for name in ("insert", "save", "replace", "update", "delete", "set", "inc", "create"):
        assert not hasattr(Metrics, name), name
    with pytest.raises(data_bridge.OperationFailure, match="view"):
        Metrics.find().update({"$set": {"n": 1}})


def test_another_pipeline_of_a_view_needs_consent(ours: data_bridge.Database, database: Any) -> None:
    class Names(View):
        n: int

        class Settings:
            name = "names"
            source = "samples"
            pipeline = [{"$project": {"n": {"$strLenCP": "$name"}}}]

    class Changed(View):
        n: int

        class Settings:
            name = "names"
            source = "samples"
            pipeline = [{"$project": {"n": 1}}]

    odm.init(ours, [Sample, Names])
    Sample(name="abc", n=1).insert()
    with pytest.raises(data_bridge.InvalidQuery, match="recreate_views=True"):
        odm.init(ours, [Changed])
    assert Names.find_one().n == 3  # type: ignore[union-attr]
    odm.init(ours, [Changed], recreate_views=True)
    assert Changed.find_one().n == 1  # type: ignore[union-attr]

    class Kept(View):
        n: int

        class Settings:
            name = "samples"
            source = "names"
            pipeline: list[Any] = []

    with pytest.raises(data_bridge.InvalidQuery, match="exists"):
        odm.init(ours, [Kept], recreate_views=True)
    assert database["samples"].count_documents({}) == 1

    class NoSource(View):
        n: int

    class NoView(Document):
        n: int

        class Settings:
            source = "samples"

    for wrong in (NoSource, NoView):
        with pytest.raises(TypeError, match="source"):
            odm.init(ours, [wrong])


async def test_an_async_view_is_read(mongodb_uri: str, samples: Any) -> None:
    class Names(AsyncView):
        n: int

        class Settings:
            source = AsyncSample
            pipeline = [{"$project": {"n": 1}}]

    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[samples.database.name], [AsyncSample, Names])
        await AsyncSample(n=4).insert()
        found = await Names.find_one()
        assert found is not None
        assert found.n == 4
        assert await Names.find().count() == 1


# ---- bulks of several models -----------------------------------------------------------------------------------------


class Order(Document):
    n: int = 0

    class Settings:
        name = "orders"
        use_revision = True


def test_a_bulk_writes_several_models(samples: Any, ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Order])
    kept = [Sample(n=n).insert() for n in range(3)]
    orders = [Order(n=n).insert() for n in range(3)]
    for ordered in (True, False):
        with BulkWriter(ordered=ordered) as bulk:
            for sample, order in zip(kept, orders, strict=True):
                sample.n += 10
                order.n += 10
                bulk.save(sample)
                bulk.save(order)
            bulk.insert(Sample(n=100))
            bulk.update_many(Order.find(Order.n > 11), op.Inc({Order.n: 100}))
        assert bulk.result is not None
        assert bulk.result.inserted_count == 1
        assert bulk.result.modified_count == 7
        assert sorted(each["n"] for each in database["samples"].find({"n": {"$lt": 100}})) == [each.n for each in kept]
        for order in orders:
            order.reload()
            order.n %= 100
            order.save()
            order.n = order.n % 10
            order.save()
        for sample in kept:
            sample.n %= 10
            sample.save()
    Sample.find(S.n == 100).delete()
    orders[0].n = 50
    Order.find(Order.id == orders[0].id).update(op.Set({Order.n: 1}))
    kept[0].n = 51
    with pytest.raises(RevisionConflict, match="1 Order document was not found"), BulkWriter() as bulk:  # noqa: PT012
        bulk.save(kept[0])
        bulk.save(orders[0])
    with pytest.raises(data_bridge.BulkWriteError) as caught, BulkWriter(ordered=False) as bulk:  # noqa: PT012
        bulk.insert(Order(n=5))
        bulk.insert(Sample(id=kept[1].id))
        bulk.insert(Order(n=6))
        bulk.insert(Sample(id=kept[2].id))
    assert [each["index"] for each in caught.value.details["writeErrors"]] == [1, 3]
    assert Order.find(Order.n > 4).count() == 2
    with pytest.raises(TypeError, match="BulkWriter takes documents"), BulkWriter() as bulk:
        bulk.insert(AsyncSample())  # type: ignore[arg-type]


async def test_an_async_bulk_writes_several_models(mongodb_uri: str, samples: Any) -> None:
    class AsyncOrder(AsyncDocument):
        n: int = 0

    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[samples.database.name], [AsyncSample, AsyncOrder])
        async with AsyncBulkWriter() as bulk:
            bulk.insert(AsyncSample(n=1))
            bulk.insert(AsyncOrder(n=2))
        assert await AsyncSample.find().count() == 1
        assert await AsyncOrder.find().count() == 1


# ---- reserved names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["create", "set", "inc", "fetch_link", "fetch_all_links", "to_model"])
def test_new_names_cannot_be_fields(name: str) -> None:
    with pytest.raises(TypeError, match=f"write {name}_: ... = Field\\(alias='{name}'\\)"):
        type(Document)("Bad", (Document,), {"__annotations__": {name: int}, "__module__": __name__})
    made: Any = type(Document)(
        "Good",
        (Document,),
        {"__annotations__": {f"{name}_": int}, f"{name}_": Field(alias=name), "__module__": __name__},
    )
    assert made(**{name: 1})[name] == 1


# ---- forms of Beanie's declarations ----------------------------------------------------------------------------------


class Writer(Document):
    name: str
    books: list[BackLink[Novel]] = pydantic.Field(
        default_factory=list, json_schema_extra={"original_field": "writer", "note": "n"}
    )
    seen: list[str] = []

    class Settings:
        name = "writers"

    @before_event([Event.INSERT, Event.REPLACE])
    def mark(self) -> None:
        self.seen.append("x")


class Novel(Document):
    writer: Link[Writer]

    class Settings:
        name = "novels"


def test_back_links_and_hooks_in_beanies_forms(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Writer, Novel])
    made = Writer(name="Ada").insert()
    assert made.replace().seen == ["x", "x"]
    novel = Novel(writer=Link(made)).insert()
    (read,) = Writer.find(fetch_links=True).to_list()
    assert [each.id for each in read.books] == [novel.id]
    with pytest.raises(TypeError, match="takes at least one event"):
        after_event([])


# ---- what docs/migrating.md names as refused, and the forms to write instead ----------------------------------------


class Listed(Document):
    n: int = 0
    items: list[Item] = []

    class Settings:
        name = "listed"


class Item(EmbeddedDocument):
    name: str = ""


class NOnly(EmbeddedDocument):
    n: int


class ShownNumber(pydantic.BaseModel):
    n: int


L: Any = Listed
ODM: Any = odm


@pytest.mark.parametrize(
    "call",
    [
        lambda: L.find(projection_model=NOnly),
        lambda: L.find().project(ShownNumber),
        lambda: L.find(lazy_parse=True),
        lambda: L.find(ignore_cache=True),
        lambda: L.delete_all(with_children=True),
        lambda: L.find().update(op.Set({L.n: 1}), upsert=True),
        lambda: L.find().upsert(op.Set({L.n: 1}), on_insert=Listed(), response_type="NEW_DOCUMENT"),
        lambda: L.find().update(op.Set({L.n: 1}), session=None),
        lambda: L.find().delete(session=None),
        lambda: L.find().delete(bulk_writer=None),
        lambda: op.In("n", [1]),
        lambda: op.ElemMatch(L.items, name="x"),  # type: ignore[call-arg]
        lambda: op.Unset({L.n: 5}),
        lambda: op.CurrentDate({L.n: "timestamp"}),
        lambda: odm.init(None, ["tests.models.User"]),  # type: ignore[call-overload]
        lambda: ODM.init(None, [Listed], allow_index_dropping=True),
        lambda: Listed().insert(skip_actions=[odm.Event.INSERT]),
        *(
            lambda name=name: getattr(L, name)
            for name in (
                *("all", "find_many", "sum", "avg", "min", "max", "get_pymongo_collection", "get_collection_name"),
                *(
                    "link_from_id",
                    "replace_many",
                    "inspect_collection",
                    "sync",
                    "is_changed",
                    "get_changes",
                    "rollback",
                ),
                *("get_saved_state", "to_ref", "save_changes"),
            )
        ),
        *(
            lambda name=name: getattr(op, name)
            for name in ("GT", "GTE", "LT", "LTE", "NE", "NearSphere", "Bit", "Where")
        ),
        *(lambda name=name: getattr(odm, name) for name in ("UnionDoc", "DocumentWithSoftDelete", "Before", "After")),
    ],
)
def test_refused_forms(ours: data_bridge.Database, call: Any) -> None:
    odm.init(ours, [Listed])
    with pytest.raises((TypeError, AttributeError)):
        call()
    assert Listed.count() == 0


@pytest.mark.parametrize(
    "setting",
    [
        *("use_state_management", "validate_on_save", "use_cache", "lazy_parsing", "union_doc", "merge_indexes"),
        *("bson_encoders", "action_conflict_resolution"),
    ],
)
def test_refused_settings(setting: str) -> None:
    with pytest.raises(TypeError, match=f"Settings.{setting} is no setting"):
        type(Document)("M", (Document,), {"Settings": type("Settings", (), {setting: True}), "__module__": __name__})


def test_the_forms_to_write_instead(ours: data_bridge.Database) -> None:
    odm.init(ours, [Listed])
    made = Listed.insert_many([Listed(n=n, items=[Item(name=str(n))]) for n in range(3)])
    assert len([each.id for each in made]) == 3
    assert ours["listed"].find_one({"n": 1})["_id"] == made[1].id  # type: ignore[index]
    assert Listed.find().sum(L.n) == 3
    assert [each.n for each in Listed.find().sort("n").project(NOnly)] == [0, 1, 2]
    assert Listed.find().sort("n").to_models(ShownNumber)[1] == ShownNumber(n=1)
    after = Listed.find(L.n == 9).find_one_and_update(op.Set({L.n: 9}), upsert=True, return_document=True)
    assert after is not None
    assert after.n == 9
    assert Listed.find(op.ElemMatch(L.items, Item.name == "2")).count() == 1
    assert len(Listed.find().validate()) == 4
    Listed.find(L.n == 2).update({"$bit": {L.n: {"or": 4}}})
    assert Listed.find({"$jsonSchema": {"properties": {"n": {"minimum": 6}}}}).sort("n").to_list()[0].n == 6
    assert len(Listed.find(odm.trusted({"$where": "this.n == 6"})).to_list()) == 1
    made[0].n = 50
    with BulkWriter() as bulk:
        bulk.replace(made[0])
        bulk.delete(made[1])
    made[0].update({"$set": {"undeclared": 1}})
    assert made[0]["undeclared"] == 1
    assert Listed.find(with_children=True).delete().deleted_count == 3
    assert Link(Listed, made[0].id) == Link(made[0])
    assert Link(made[0]).to_ref().id == made[0].id
