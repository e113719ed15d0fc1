"""Filters, sorts, projections and updates with keys of linked documents, which a link does not store.

test_linked_documents.py has the results of those that are looked up.
"""

from __future__ import annotations

from typing import Any

import pytest
from bson import DBRef

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, BackLink, Document, EmbeddedDocument, Expression, Field, Link
from data_bridge.odm import operators as op


class Writer(Document):
    name: str
    novels: list[BackLink[Novel]] = Field(default_factory=list, original_field="writer")

    class Settings:
        name = "writers"


class Credit(EmbeddedDocument):
    by: Link[Writer] | None = None
    share: int = 0


class Novel(Document):
    title: str = ""
    writer: Link[Writer] = Field(alias="w")
    readers: list[Link[Writer]] = []
    credit: Credit | None = None
    credits: list[Credit] = []
    prizes: dict[str, Link[Writer]] = {}
    either: Link[Writer] | Credit | None = None

    class Settings:
        name = "novels"
        is_root = True


class Sequel(Novel):
    before: Link[Novel] | None = None


class AsyncNovel(AsyncDocument):
    writer: Link[AsyncWriter]

    class Settings:
        name = "novels"


class AsyncWriter(AsyncDocument):
    name: str


class Named(EmbeddedDocument):
    name: str | None = None

    class Settings:
        projection = {"name": "$w.name"}


class Titled(EmbeddedDocument):
    title: str


class Credited(EmbeddedDocument):
    writer: Link[Writer] = Field(alias="w")


N: Any = Novel
LOOKED_UP = [
    {"w.name": "x"},
    {"readers.name": "x"},
    {"credit.by.name": "x"},
    {"credits.by.name": "x"},
    {"prizes.best.name": "x"},
    {"$or": [{"title": "none"}, {"$and": [{"w.name": "x"}]}]},
    {"w.name": "x", "title": "t"},
    {"$nor": [{"w.name": "y"}]},
    Expression({"w.name": "x"}),
    odm.trusted({"w.name": "x", "title": "t"}),
    (N.title == "t") & {"w.name": "x"},
    op.Or(N.title == "none", {"w.name": "x"}),
    N.writer.name == "x",
    N.credit.by.name == "x",
    N.prizes["best"].name == "x",
]
INTO = [
    {"readers.0.name": "x"},
    {"credits.0.by.name": "x"},
    {"readers": {"$elemMatch": {"name": "x"}}},
    {"readers": {"$not": {"$elemMatch": {"name": "x"}}}},
    {"readers": {"$all": [{"$elemMatch": {"name": "x"}}]}},
    {"credits": {"$elemMatch": {"by.name": "x"}}},
    {"$expr": {"$eq": ["$w.name", "x"]}},
    {"$expr": {"$eq": ["$$ROOT.w.name", "$title"]}},
    op.ElemMatch(N.readers, {"name": "x"}),
]


@pytest.fixture
def novel(ours: data_bridge.Database) -> Novel:
    odm.init(ours, [Writer, Novel])
    link: Any = Link(Writer(name="x").insert())
    return Novel(
        title="t",
        w=link,
        readers=[link],
        credit=Credit(by=link),
        credits=[Credit(by=link)],
        prizes={"best": link},
    ).insert()


@pytest.mark.parametrize("fetch_links", [False, True])
@pytest.mark.parametrize("condition", LOOKED_UP, ids=repr)
def test_a_condition_on_a_linked_document_is_looked_up(novel: Novel, condition: Any, fetch_links: bool) -> None:
    for query in (Novel.find(condition, fetch_links=fetch_links), Novel.find(fetch_links=fetch_links).find(condition)):
        assert query.to_list() == [novel]
        assert query.find({"w.name": "y"}).to_list() == []
    with pytest.raises(data_bridge.InvalidQuery, match="linked documents"):
        Novel.delete_many(condition)


@pytest.mark.parametrize("fetch_links", [False, True])
@pytest.mark.parametrize("condition", INTO, ids=repr)
def test_a_condition_that_no_lookup_gives_is_refused(novel: Novel, condition: Any, fetch_links: bool) -> None:
    refusal = r"is not stored: a Link\[Writer\] holds the _id|leads through a position in a list"
    with pytest.raises(data_bridge.InvalidQuery, match=refusal):
        Novel.find(condition, fetch_links=fetch_links)
    with pytest.raises(data_bridge.InvalidQuery, match=refusal):
        Novel.find(fetch_links=fetch_links).find(condition)
    with pytest.raises(data_bridge.InvalidQuery, match=refusal):
        Novel.delete_many(condition)


async def test_a_condition_that_no_lookup_gives_is_refused_for_an_async_document() -> None:
    for ask in (AsyncNovel.find, AsyncNovel.find_one):
        with pytest.raises(data_bridge.InvalidQuery, match=r"writer\.\$id"):
            ask({"$expr": {"$eq": ["$writer.name", "x"]}})
    with pytest.raises(data_bridge.InvalidQuery, match="linked documents"):
        await AsyncNovel.find({"writer.name": "x"}).delete()


@pytest.mark.parametrize(
    "key",
    ["w.$id", "w.id", "w._id", "readers.id", "readers.0._id", "credit.by.id", "credits.0.by.id", "prizes.best.id"],
)
def test_a_condition_on_the_id_of_a_link_finds_it(novel: Novel, key: str) -> None:
    writer = novel.writer.id
    for condition in (
        {key: writer},
        {"$and": [{"title": "t"}, {key: {"$in": [writer]}}]},
        Expression({key: writer}),
        odm.trusted({key: writer, "$where": "true"}),
    ):
        assert Novel.find(condition).to_list() == [novel]
        assert Novel.find(condition, fetch_links=True).to_list()[0].writer.name == "x"  # type: ignore[attr-defined]
    assert Novel.find({key: novel.id}).count() == 0
    given = {key: writer}
    Novel.find(given)
    assert given == {key: writer}


def test_conditions_that_are_stored_are_left_as_they_are(novel: Novel) -> None:
    writer = novel.writer.id
    for condition in (
        {"w": DBRef("writers", writer)},
        {"w.$ref": "writers"},
        {"readers": {"$elemMatch": {"$id": writer}}},
        {"$expr": {"$eq": ["$w.$id", writer]}},
        {"$expr": {"$ne": ["$title", {"$literal": "$w.name"}]}},
        {"credits.share": 0},
        {"undeclared.name": None},
        {"either.share": None},
    ):
        query = Novel.find(condition)
        assert query.get_filter_query() == {"$and": [condition, {"_class_id": {"$in": ["Novel", None]}}]}
        assert query.count() == 1
    assert Novel.find(op.ElemMatch(N.readers, {"id": writer})).count() == 1


def test_an_id_that_is_named_twice_is_refused(novel: Novel) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match="twice"):
        Novel.find({"w.id": 1, "w.$id": 2})


def test_a_raw_condition_on_a_back_link_is_refused(novel: Novel) -> None:
    for condition in ({"novels": []}, {"$nor": [{"novels": None}]}, {"novels": {"$elemMatch": {"title": "t"}}}):
        with pytest.raises(data_bridge.InvalidQuery, match=r"'novels' \(BackLink\[Novel\]\) is not stored"):
            Writer.find(condition)


@pytest.mark.parametrize("key", ["writer.name", "-writer.name", ("writer.name", -1), "readers.name", "credit.by.name"])
def test_an_order_by_a_linked_document_is_looked_up(novel: Novel, key: Any) -> None:
    assert Novel.find().sort(key).to_list() == Novel.find(sort=key).to_list() == [novel]
    for wrong in ("writer.nme", "-readers.nme"):
        with pytest.raises(AttributeError, match=r"\(.*Link\[Writer\].*\) declares no field 'nme'"):
            Novel.find().sort(wrong)


def test_the_id_of_a_link_can_be_sorted_by(novel: Novel) -> None:
    for key in (N.writer.id, "writer.id", "w._id", "-w.$id", "readers.id"):
        assert Novel.find(sort=key).to_list() == [novel]


@pytest.mark.parametrize(
    "view",
    [
        {"w.name": 1},
        {"w": {"name": 1}},
        {"n": "$w.name"},
        {"n": {"$concat": ["$title", "$w.name"]}},
        {"n": "$w.id"},
        {"readers": {"$elemMatch": {"name": "x"}}},
        Named,
    ],
)
def test_a_projection_of_a_linked_document_is_refused(novel: Novel, view: Any) -> None:
    for query in (Novel.find(), Novel.find(fetch_links=True)):
        with pytest.raises(data_bridge.InvalidQuery, match=r"\$id"):
            query.project(view)


def test_the_id_of_a_link_can_be_projected(novel: Novel) -> None:
    writer = novel.writer.id
    assert Novel.find().project(["writer.id"]).to_dicts() == [{"_id": novel.id, "w": {"$id": writer}}]
    assert Novel.find().project({"w.id": 1, "_id": 0}).to_dicts() == [{"w": {"$id": writer}}]
    assert Novel.find().project({"n": "$w.$id", "_id": 0}).to_dicts() == [{"n": writer}]
    assert Novel.find().project({"readers": {"$slice": 1}, "title": 1}).to_dicts()[0]["title"] == "t"


def test_an_update_of_a_linked_document_is_refused(novel: Novel) -> None:
    for update in ({"$set": {"w.name": "y"}}, {"$unset": {"w.id": ""}}, {"$inc": {"readers.0.count": 1}}):
        with pytest.raises(data_bridge.InvalidQuery, match=r"\$id"):
            Novel.find().update(update)
        with pytest.raises(data_bridge.InvalidQuery, match=r"\$id"):
            novel.update(update)
    assert novel == Novel.get(novel.id)
    Novel.find().update({"$set": {"w.$id": novel.id}})
    assert Novel.find(N.writer.id == novel.id).count() == 1


def test_a_class_made_later_brings_its_links(novel: Novel) -> None:
    class Plain(Document):
        size: int = 0

        class Settings:
            name = "plain"
            is_root = True

    assert Plain.find({"owner.name": "x"}).get_filter_query()

    class Owned(Plain):
        owner: Link[Writer]

    query = Plain.find({"owner.name": "x"}, with_children=True)
    with pytest.raises(data_bridge.InvalidQuery, match="linked documents"):
        query.delete()


@pytest.mark.parametrize("name", ["to_query", "read", "to_arrow", "to_polars", "to_pandas", "to_dicts", "stream"])
def test_tables_refuse_to_fetch_links(novel: Novel, name: str) -> None:
    with pytest.raises(data_bridge.InvalidQuery, match="fetch_links"):
        getattr(Novel.find(fetch_links=True), name)()


def test_what_gives_no_instances_refuses_to_fetch_links(novel: Novel) -> None:
    query = Novel.find(fetch_links=True)
    for ask in (
        lambda: query.aggregate([]),
        lambda: query.distinct("title"),
        lambda: query.min("title"),
        lambda: query.update(op.Set(N.title, "u")),
        lambda: query.delete(),
        lambda: query.project(["title"]),
        lambda: Novel.find().project({"title": 1}).fetch_links(),
        lambda: query.project(Titled),
        lambda: Novel.aggregate([], fetch_links=True),
    ):
        with pytest.raises(data_bridge.InvalidQuery, match="fetch_links"):
            ask()
    assert Novel.find(Novel.title == "t", fetch_links=True).count() == 1
    assert query.exists()
    (found,) = query.project(Credited).to_list()
    assert found.writer.document == Writer.find_one()


async def test_async_tables_refuse_to_fetch_links(mongodb_uri: str, database: Any) -> None:
    async with data_bridge.AsyncMongoClient(mongodb_uri) as client:
        await odm.init(client[database.name], [AsyncWriter, AsyncNovel])
        query = AsyncNovel.find(fetch_links=True)
        with pytest.raises(data_bridge.InvalidQuery, match="fetch_links"):
            await query.to_arrow()
        with pytest.raises(data_bridge.InvalidQuery, match="fetch_links"):
            query.aggregate([])
        with pytest.raises(data_bridge.InvalidQuery, match="fetch_links"):
            await query.delete()
        assert await query.count() == 0


LOOKUP = {"$lookup": {"from": "writers", "localField": "w.$id", "foreignField": "_id", "as": "w"}}
WITHOUT_LOOKUP: list[list[dict[Any, Any]]] = [
    [{"$match": N.writer.name == "Ada"}],
    [{"$match": {N.writer.name: "Ada"}}],
    [{"$match": {"w.name": "Ada"}}],
    [{"$match": {"$or": [{"readers.name": "Ada"}, {"title": "t"}]}}],
    [{"$match": {"$expr": {"$eq": ["$w.name", "Ada"]}}}],
    [{"$limit": 5}, {"$unwind": "$readers"}, {"$match": {"readers.name": "Ada"}}],
    [{"$set": {"n": 1}}, {"$match": {N.credit.by.name: "Ada"}}],
    [{"$sort": {N.writer.name: 1}}],
    [{"$sort": {"w.name": -1}}],
    [{"$group": {"_id": "$w.name"}}],
    [{"$project": {"name": "$w.name"}}],
    [{"$project": {"w.name": 1}}],
    [{"$sortByCount": "$w.name"}],
    [{"$addFields": {"name": {"$toUpper": "$w.name"}}}],
    [{"$lookup": {**LOOKUP["$lookup"], "localField": "w.name"}}],
]


@pytest.mark.parametrize("stages", WITHOUT_LOOKUP)
def test_pipelines_name_no_linked_documents_before_a_lookup(ours: data_bridge.Database, stages: Any) -> None:
    odm.init(ours, [Writer, Novel])
    for call in (Novel.aggregate, Novel.find(N.title == "t").aggregate):
        with pytest.raises(data_bridge.InvalidQuery, match=r"is not stored.*\$lookup before the stage"):
            call(stages)
    with pytest.raises(data_bridge.InvalidQuery, match=r"BackLink\[Novel\].*\$lookup before the stage"):
        Writer.aggregate([{"$match": {"novels.title": "t"}}])


async def test_awaited_pipelines_name_no_linked_documents(mongodb_uri: str, database: Any) -> None:
    client = data_bridge.AsyncMongoClient(mongodb_uri)
    await odm.init(client[database.name], [AsyncNovel, AsyncWriter])
    path: Any = AsyncNovel
    for call in (AsyncNovel.aggregate, AsyncNovel.find().aggregate):
        with pytest.raises(data_bridge.InvalidQuery, match=r"\$lookup before the stage"):
            call([{"$match": path.writer.name == "Ada"}])
    await client.close()


@pytest.mark.parametrize(
    "stages",
    [
        [LOOKUP, {"$match": {N.writer.name: "Ada"}}],
        [LOOKUP, {"$match": N.writer.name == "Ada"}, {"$sort": {"w.name": 1}}],
        [{"$match": {"title": "t"}}, LOOKUP, {"$unwind": "$w"}, {"$match": {"w.name": "Ada"}}],
        [{"$match": {"w": {"$exists": True}}}, {"$match": {"w.$ref": "writers"}}],
        [{"$match": {N.writer.id: "ada"}}],
        [{"$match": {"w.id": "ada"}}],
        [{"$match": {"w._id": "ada"}}, {"$sort": {"w.$id": 1}}],
        [{"$set": {"w": {"name": "Ada"}}}, {"$match": {"w.name": "Ada"}}],
        [{"$group": {"_id": "$w.$id", "w": {"$first": {"name": "Ada"}}}}, {"$match": {"w.name": "Ada"}}],
        [{"$project": {"w": {"name": {"$literal": "$w.name"}}}}, {"$match": {"w.name": {"$exists": True}}}],
    ],
)
def test_pipelines_with_links(ours: data_bridge.Database, database: Any, stages: Any) -> None:
    odm.init(ours, [Writer, Novel])
    database["writers"].insert_one({"_id": "ada", "name": "Ada"})
    database["novels"].insert_one({"title": "t", "w": DBRef("writers", "ada"), "_class_id": "Novel"})
    assert len(Novel.aggregate(stages).to_dicts()) == 1


def test_views_and_updates_by_pipelines_with_links(ours: data_bridge.Database) -> None:
    class Names(odm.View):
        name: str

        class Settings:
            source = Novel
            pipeline = [{"$project": {"name": "$w.name"}}]

    with pytest.raises(data_bridge.InvalidQuery, match=r"\$lookup before the stage"):
        odm.init(ours, [Writer, Novel, Names])
    with pytest.raises(data_bridge.InvalidQuery, match="is not stored"):
        Novel.find().update([{"$set": {"title": "$w.name"}}])
