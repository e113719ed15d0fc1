"""Views of queries, results, documents and reports in notebooks."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    CodecOptions,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.codec_options import DatetimeConversion
from strategies import framed, one_of_each

import data_bridge
from data_bridge import AsyncMongoClient, MongoClient, Report, read_bson
from data_bridge.query.value_text import short_text

SECRET_URI = "mongodb://user:secret@nowhere.invalid:1/?serverSelectionTimeoutMS=1"
EVIL = "<script>alert('x')</script>&\"<b>"
VOID = {"br", "hr", "img", "meta"}
OID = ObjectId("0123456789abcdef01234567")


class Checker(HTMLParser):
    """Collects the text of a fragment, and checks that its tags are balanced and known."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(fragment)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in ALLOWED, tag
        assert all(name == "class" for name, _ in attrs), attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.texts.append(data)


ALLOWED = {
    *("details", "div", "p", "pre", "span", "strong", "style", "summary", "table", "tbody", "td", "th", "thead", "tr"),
}


def texts(shown: Any) -> list[str]:
    """The texts of a view, which holds no tag that comes from data."""
    return Checker(shown._repr_html_()).texts


def documents(*values: dict[str, Any] | bytes, **options: Any) -> data_bridge.Query:
    return read_bson(b"".join(each if isinstance(each, bytes) else bson.encode(each) for each in values), **options)


# ---- queries ---------------------------------------------------------------------------------------------------------


def orders() -> Any:
    return MongoClient(SECRET_URI).shop.orders


def test_a_find_shows_its_request_and_runs_nothing() -> None:
    query = orders().find(
        {"_id": OID, "total": {"$gt": Decimal128("25.50")}, "at": {"$lt": dt.datetime(2024, 5, 1)}},
        {"items": 0},
        sort=[("placed", -1)],
        limit=5,
        batch_size=7,
        hint="placed_1",
        schema={"a": int, "c": {"name": str}},
        read_preference="secondary",
        resume=False,
    )
    assert texts(query)[:-1] == [
        "Query: find on shop.orders",
        *("filter", f'{{"_id": {OID}, "total": {{"$gt": 25.50}}, "at": {{"$lt": 2024-05-01 00:00:00}}}}'),
        *("projection", '{"items": 0}'),
        *("sort", '{"placed": -1}'),
        *("limit", "5"),
        *("batch_size", "7"),
        *("hint", "placed_1"),
        *("read_preference", '{"mode": "secondary"}'),
        *("schema", "a: Int64", 'c: Struct("name": Utf8)'),
    ]
    assert "Not run" in texts(query)[-1]
    assert query.report is None


def test_an_aggregate_shows_a_line_for_each_stage() -> None:
    query = orders().aggregate([{"$match": {"a": 1}}, {"$limit": 3}], allowDiskUse=True).skip(2)
    assert texts(query)[:-1] == [
        "Query: aggregate on shop.orders, 3 stages",
        *("pipeline", '{"$match": {"a": 1}}', '{"$limit": 3}', '{"$skip": 2}'),
        *("allow_disk_use", "true"),
    ]


def test_other_queries() -> None:
    assert texts(read_bson(b""))[0] == "Query: read_bson of bytes"
    query = AsyncMongoClient(SECRET_URI).shop.orders.find({"a": 1}, resume=True)
    assert texts(query)[:5] == ["AsyncQuery: find on shop.orders", "filter", '{"a": 1}', "resume", "true"]


def test_a_request_has_no_secret_and_escapes() -> None:
    query = orders().find({EVIL: EVIL}, hint=EVIL, comment=EVIL)
    assert "secret" not in query._repr_html_()
    assert EVIL in texts(query)
    assert any(EVIL in text for text in texts(MongoClient(SECRET_URI)["shop"][EVIL].find()))


def test_a_large_filter_has_a_short_view() -> None:
    query = orders().find({"_id": {"$in": [ObjectId() for _ in range(100_000)]}})
    assert len(query._repr_html_()) < 10_000
    many = orders().aggregate([{"$match": {"a": number}} for number in range(500)])
    assert len(many._repr_html_()) < 20_000


# ---- documents -------------------------------------------------------------------------------------------------------


def test_a_document_shows_its_fields_and_what_is_nested() -> None:
    document = documents({"_id": OID, "n": {"x": 1, "l": ["a", {"y": None}]}, "e": [], "t": "text"}).to_list()[0]
    nested = '{"x": 1, "l": ["a", {"y": null}]}'
    assert texts(document) == [
        *("_id", str(OID)),
        *("n", nested, "x", "1", "l", '["a", {"y": null}]', "0", "a", "1", '{"y": null}', "y", "null"),
        *("e", "[]"),
        *("t", "text"),
    ]


def test_a_document_is_escaped() -> None:
    document = documents({EVIL: EVIL, "n": {EVIL: [EVIL]}, "m": Code(EVIL), "r": Regex(EVIL)}).to_list()[0]
    assert texts(document).count(EVIL) >= 5


def test_large_and_deep_documents_have_short_views() -> None:
    wide = documents({f"key {number}": {"l": list(range(1000))} for number in range(5000)}).to_list()[0]
    assert len(wide._repr_html_()) < 100_000
    assert "4,950 more" in texts(wide)
    deep: Any = 1
    for level in range(170):
        deep = {"d": deep} if level % 2 else [deep]
    assert len(documents({"d": deep}).to_list()[0]._repr_html_()) < 20_000
    long = documents({"t": "x" * 1_000_000, "b": bytes(1_000_000), "k" * 10_000: 1}).to_list()[0]
    assert len(long._repr_html_()) < 10_000
    assert "1,000,000 bytes: 0000" in long._repr_html_()


def test_a_value_that_the_codec_refuses_is_named() -> None:
    options: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME)
    document = {"a": 1, "t": DatetimeMS(2**60), "n": {"t": DatetimeMS(2**60)}}
    result = documents(document, codec_options=options).read()
    for shown in (result, result[0]):
        assert "InvalidBSON" in texts(shown)
        assert "1" in texts(shown)


# ---- results and reports ---------------------------------------------------------------------------------------------


def test_a_result_has_readable_types_and_values() -> None:
    when = dt.datetime(2024, 5, 1, 12, 30, 0, 250_000)
    row = {
        "_id": OID,
        "price": Decimal128("12.50"),
        "when": when,
        "user": Binary.from_uuid(uuid.UUID(int=1)),
        "tags": ["a", "b"],
        "ids": [OID],
        "place": {"city": "Oslo"},
        "n": Int64(5),
        "none": None,
        "m": 1,
    }
    result = documents(row, {"m": "x"}).read()
    shown = texts(result)
    assert shown[: shown.index("schema")] == [
        "Result: 2 documents",
        *("_id", "ObjectId", "price", "Decimal128", "when", "date", "user", "UUID", "tags", "list of string"),
        *("ids", "list of ObjectId", "place", "document", "n", "int64", "none", "null", "m", "mixed"),
        *(str(OID), "12.50", "2024-05-01 12:30:00.250", str(uuid.UUID(int=1)), '["a", "b"]'),
        *(f"[{OID}]", '{"city": "Oslo"}', "5", "null", "1"),
        "x",
    ]
    assert "place: Struct" in " ".join(shown)


def test_a_result_whose_table_is_refused_shows_the_reason() -> None:
    result = documents({f"key {number}": 1 for number in range(10_001)}).read()
    assert any(text.startswith("SchemaConflict: ") for text in texts(result))


def test_names_of_columns_cannot_pass_for_types() -> None:
    names = ["a: b\nc", "c", "\n", "", "a", EVIL]
    shown = texts(documents(dict.fromkeys(names, 1)).read())
    assert shown.count("int32") == len(names)


def test_values_of_every_type_have_a_view() -> None:
    encoded = [framed([(kind, name, value)]) for name, (kind, value) in one_of_each().items()]
    encoded.append(framed([(kind, name, value) for name, (kind, value) in one_of_each().items()]))
    result = documents(*encoded).read()
    texts(result)
    texts(result.report)
    for document in result:
        texts(document)


def test_a_report_is_escaped_and_has_its_numbers() -> None:
    result = documents({"_id": EVIL, EVIL: 1}, {"_id": 2, EVIL: "x"}).read()
    result.to_arrow()
    shown = texts(result.report)
    assert shown[0].startswith("2 rows, ")
    assert shown[-5:] == [f"[{EVIL!r}]", "mixed", "int32 + string", "1", "2"]
    assert EVIL in " ".join(texts(Report({"rows": 0}, ValueError(EVIL))))


def test_views_have_no_colours_of_their_own() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", Report({})._repr_html_(), re.DOTALL)
    for name, value in re.findall(r"([a-z-]*(?:color|background|border)[a-z-]*):([^;}]*)", style):
        assert re.fullmatch(r" ?(none|0|inherit|\d+px|collapse|1px solid rgba\(128, 128, 128, 0\.3\)) ?", value), name
    assert all(each.startswith(".data-bridge") for each in re.findall(r"^\.[\w-]+|(?<=, )\.[\w-]+", style))


# ---- texts of values -------------------------------------------------------------------------------------------------

VALUES: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (Int64(5), "5"),
    (1.5, "1.5"),
    (float("nan"), "nan"),
    ('a"b', 'a"b'),
    (['a"b\n', 1], '["a\\"b\\n", 1]'),
    (OID, str(OID)),
    (Decimal128("1.50"), "1.50"),
    (dt.datetime(2024, 1, 2), "2024-01-02 00:00:00"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 6000, dt.timezone.utc), "2024-01-02 03:04:05.006+00:00"),
    (DatetimeMS(2**60), "1,152,921,504,606,846,976 ms since 1970"),
    (b"ab", "2 bytes: 6162"),
    (Binary(b"ab", 128), "2 bytes of subtype 128: 6162"),
    (bytes(20), f"20 bytes: {'00' * 16}\N{HORIZONTAL ELLIPSIS}"),
    (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    (Binary.from_uuid(uuid.UUID(int=1)), str(uuid.UUID(int=1))),
    (Regex("a+", "im"), "/a+/"),
    (Code("f()"), "f()"),
    (Code("f()", {"x": 1}), 'f() {"x": 1}'),
    (Timestamp(3, 4), "Timestamp(3, 4)"),
    ([MinKey(), MaxKey()], "[MinKey, MaxKey]"),
    (DBRef("c", OID, "d"), f"DBRef(d.c, {OID})"),
    ({"a": {"b": [1, {}]}}, '{"a": {"b": [1, {}]}}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=lambda value: type(value).__name__)
def test_texts_of_values(value: Any, text: str) -> None:
    assert short_text(value, 100) == text
    for width in (1, 5, 20):
        short = short_text(value, width)
        assert len(short) <= width
        assert short == text or short[-1] == "\N{HORIZONTAL ELLIPSIS}"


def test_a_short_text_reads_no_more_than_it_shows() -> None:
    class Counted(list[Any]):
        read = 0

        def __iter__(self) -> Any:
            for item in super().__iter__():
                self.read += 1
                yield item

    items = Counted(range(10_000))
    short_text(items, 50)
    assert items.read < 50
    nested: Any = []
    nested.append(nested)
    assert len(short_text(nested, 10_000)) < 100


@pytest.mark.parametrize("make", [lambda: orders().find(), lambda: read_bson(b""), lambda: read_bson(b"").read()])
def test_the_view_is_found_as_notebooks_look_for_it(make: Callable[[], Any]) -> None:
    shown = make()
    assert callable(getattr(shown, "_repr_html_", None))
    assert getattr(shown, "_repr_mimebundle_", None) is None
    assert getattr(shown, "_ipython_display_", None) is None
