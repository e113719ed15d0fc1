"""Hypothesis strategies of BSON documents: every type, odd keys, what looks alike.

`bson.encode` cannot write some of the old types (undefined, symbol, dbPointer), regular expressions with odd options,
keys that occur twice: `raw_documents` writes these itself.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pymongo
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import strategies as st

EXACT_PYMONGO = pymongo.version_tuple >= (4, 20)
"""Earlier releases, the newest for Python 3.10 among them, refuse UUIDs of another length in every representation,
accept some malformed documents, and raise SystemError when they encode a binary of the subtype 255."""
INT64 = (-(2**63), 2**63 - 1)
INT32 = (-(2**31), 2**31 - 1)
# datetime.min and datetime.max in milliseconds, and a day more on either side, where time zones matter.
DATES = (-62_135_596_800_000, 253_402_300_799_999)
DAY = 86_400_000

ODD_KEYS = [
    "",
    "a",
    "A",
    "a.b",
    "a.0",
    "0",
    "1",
    "$x",
    "$ref",
    "$id",
    "$db",
    "$date",
    "items",
    "get",
    "_id",
    "ä",
    "𝄞",
    "[0]",
    "a b",
]
TEXTS = st.one_of(st.sampled_from(["", "x", "ä", "𝄞", "nul\0inside", "z" * 300]), st.text(max_size=12))
KEYS = st.one_of(
    st.sampled_from(ODD_KEYS), st.text(max_size=6).filter(lambda key: "\0" not in key), st.sampled_from("abcdefgh")
)
OBJECT_IDS = st.binary(min_size=12, max_size=12).map(ObjectId)
DOUBLES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), float("-inf"), 5e-324, 2.0**53, 2.0**53 + 2]),
    st.floats(),
)
MILLISECONDS = st.one_of(
    st.sampled_from(
        [0, -1, 1, 999, -999, *DATES, DATES[0] - 1, DATES[1] + 1, *INT64, DATES[0] + DAY // 2, DATES[1] - DAY // 2]
    ),
    st.integers(*INT64).filter(lambda millis: millis != INT64[0]),
    st.integers(*DATES),
    st.integers(-(10**13), 10**13),
)
PRICES = st.builds(
    lambda coefficient, exponent: Decimal128(Decimal(coefficient).scaleb(exponent)),
    st.one_of(st.integers(-99_999, 99_999), st.integers(-(10**17), 10**17)),
    st.integers(-4, 2),
)
"""Decimals that a column of numbers holds, in most cases."""


def _is_read(value: Decimal128) -> bool:
    """Return whether PyMongo reads a value as BSON says: before 4.20 it does not if there are more than 34 digits."""
    bits = int.from_bytes(value.bid, "little")
    return EXACT_PYMONGO or bits >> 125 & 3 == 3 or bits & ((1 << 113) - 1) < 10**34


DECIMALS = st.one_of(
    PRICES,
    st.sampled_from(
        [
            "NaN",
            "-NaN",
            "sNaN",
            "Infinity",
            "-Infinity",
            "0",
            "-0",
            "0E-6176",
            "1E+6111",
            "9.999999999999999999999999999999999E+6144",
            "1.10",
            "1.1",
            "-1.5E-10",
        ]
    ).map(Decimal128),
    # Also those no arithmetic gives: more than 34 digits, bits without a meaning.
    st.binary(min_size=16, max_size=16).map(Decimal128.from_bid).filter(_is_read),
)
HIGHEST_SUBTYPE = 0xFF if EXACT_PYMONGO else 0xFE
SUBTYPES = st.one_of(st.sampled_from([0, 1, 2, 5, 6, 7, 8, 9, 0x80, HIGHEST_SUBTYPE]), st.integers(0, HIGHEST_SUBTYPE))


@st.composite
def binaries(draw: st.DrawFn, broken_uuids: bool = EXACT_PYMONGO) -> Binary:
    subtype = draw(SUBTYPES)
    exact = subtype in (3, 4) and not broken_uuids
    made: Binary = Binary(draw(st.binary(min_size=16 if exact else 0, max_size=16 if exact else 20)), subtype)
    return made


def scalars(
    *, dates: st.SearchStrategy[int] = MILLISECONDS, broken_uuids: bool = EXACT_PYMONGO
) -> st.SearchStrategy[Any]:
    """Values without documents or lists in them, all of which `bson.encode` takes."""
    uuids = st.binary(min_size=16, max_size=16)
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(*INT32),
        st.integers(*INT64).map(Int64),
        st.sampled_from([*INT64, *INT32, 0, 2**53, 2**53 + 1]).map(Int64),
        DOUBLES,
        TEXTS,
        OBJECT_IDS,
        dates.map(DatetimeMS),
        binaries(broken_uuids),
        uuids.map(lambda data: Binary(data, 4)),
        uuids.map(lambda data: Binary(data, 3)),
        DECIMALS,
        st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        st.builds(
            Regex,
            TEXTS.map(lambda text: text.replace("\0", "")),
            st.integers(0, 127).map(lambda flags: flags & 0b1111110),
        ),
        TEXTS.map(Code),
        st.just(MinKey()),
        st.just(MaxKey()),
    )


def values(leaves: st.SearchStrategy[Any] | None = None, max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Values of all kinds, with documents, lists, DBRefs and scopes in them."""
    leaves = scalars() if leaves is None else leaves

    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        documents = st.dictionaries(KEYS, inner, max_size=5)
        return st.one_of(
            documents,
            st.lists(inner, max_size=5),
            st.lists(documents, max_size=3),
            # A DBRef, and what looks like one: no $id, $ref or $db of another type, other keys, another order.
            st.builds(DBRef, TEXTS, inner, st.none() | TEXTS),
            st.builds(lambda ref, rest: {**rest, "$ref": ref}, TEXTS, documents),
            st.builds(
                lambda ref, oid, rest: {"$id": oid, **rest, "$ref": ref},
                st.one_of(TEXTS, TEXTS.map(Code), inner),
                inner,
                documents,
            ),
            st.builds(lambda ref, oid, db: {"$ref": ref, "$id": oid, "$db": db}, TEXTS, inner, inner),
            st.builds(Code, TEXTS, documents),
        )

    return st.recursive(leaves, containers, max_leaves=max_leaves)


def documents(leaves: st.SearchStrategy[Any] | None = None, max_leaves: int = 12) -> st.SearchStrategy[dict[str, Any]]:
    """Documents for `bson.encode`."""
    return st.dictionaries(KEYS, values(leaves, max_leaves), max_size=8)


@st.composite
def results(draw: st.DrawFn, leaves: st.SearchStrategy[Any] | None = None, max_size: int = 12) -> list[dict[str, Any]]:
    """Documents with much in common, as in one collection: few keys, columns of one type that now and then hold
    another, keys that come and go."""
    names = draw(st.lists(KEYS, min_size=1, max_size=5, unique=True))
    usual = {name: draw(values(leaves, 4)) for name in names}
    made = []
    for _ in range(draw(st.integers(0, max_size))):
        change = draw(st.sampled_from(["same", "same", "drop", "null", "other", "order", "add"]))
        document = dict(usual)
        name = draw(st.sampled_from(names))
        if change == "drop":
            del document[name]
        elif change == "null":
            document[name] = None
        elif change == "other":
            document[name] = draw(values(leaves, 4))
        elif change == "order":
            document = {key: document[key] for key in draw(st.permutations(names))}
        elif change == "add":
            document[draw(KEYS)] = draw(values(leaves, 4))
        made.append(document)
    return made


# ---- written byte by byte: what bson.encode cannot write -------------------------------------------------------------


def cstring(text: str) -> bytes:
    return text.encode().replace(b"\0", b"") + b"\0"


def string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<i", len(data)) + data


def framed(elements: list[tuple[int, str, bytes]]) -> bytes:
    body = b"".join(bytes([kind]) + cstring(key) + value for kind, key, value in elements) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def raw_scalars() -> st.SearchStrategy[tuple[int, bytes]]:
    """(type byte, bytes)"""
    ids = st.binary(min_size=12, max_size=12)
    return st.one_of(
        st.sampled_from([(0x06, b""), (0x0A, b""), (0x7F, b""), (0xFF, b"")]),
        TEXTS.map(lambda text: (0x0E, string(text))),
        TEXTS.map(lambda text: (0x02, string(text))),
        st.builds(lambda text, oid: (0x0C, string(text) + oid), TEXTS, ids),
        st.builds(
            lambda text, options: (0x0B, cstring(text) + cstring(options)), TEXTS, st.text("ilmsuxgä", max_size=8)
        ),
        st.binary(max_size=20).map(lambda data: (0x05, struct.pack("<iBi", len(data) + 4, 2, len(data)) + data)),
        st.integers(*INT32).map(lambda value: (0x10, struct.pack("<i", value))),
        st.booleans().map(lambda value: (0x08, bytes([value]))),
    )


def raw_values(max_leaves: int = 10) -> st.SearchStrategy[tuple[int, bytes]]:
    def containers(inner: st.SearchStrategy[tuple[int, bytes]]) -> st.SearchStrategy[tuple[int, bytes]]:
        elements = st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: framed([(kind, key, data) for key, (kind, data) in pairs])
        )
        scopes = st.builds(lambda code, scope: string(code) + scope, TEXTS, elements)
        return st.one_of(
            elements.map(lambda data: (0x03, data)),
            # The keys of a list may be anything.
            elements.map(lambda data: (0x04, data)),
            scopes.map(lambda data: (0x0F, struct.pack("<i", len(data) + 4) + data)),
        )

    return st.recursive(raw_scalars(), containers, max_leaves=max_leaves)


def raw_documents() -> st.SearchStrategy[bytes]:
    """BSON of old types, odd options, keys that occur twice, lists with odd keys."""
    return st.lists(st.tuples(KEYS, raw_values()), max_size=6).map(
        lambda pairs: framed([(kind, key, data) for key, (kind, data) in pairs])
    )


TIME_ZONES = st.sampled_from(
    [
        dt.timezone.utc,
        dt.timezone(dt.timedelta(hours=14)),
        dt.timezone(-dt.timedelta(hours=11, minutes=30)),
    ]
)
UUIDS = st.binary(min_size=16, max_size=16).map(lambda data: uuid.UUID(bytes=data))


# ---- edited as bytes -------------------------------------------------------------------------------------------------


def elements(document: bytes) -> bytes:
    """A document without its frame."""
    return document[4:-1]


def document_of(*parts: bytes) -> bytes:
    """A document of these elements."""
    body = b"".join(parts)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def one_of_each() -> dict[str, tuple[int, bytes]]:
    """A small value of each type, by a name for it: (type byte, bytes)."""
    object_id, number = bytes(range(1, 13)), struct.pack("<i", 1)
    scoped = string("f") + framed([(0x10, "x", number)])
    return {
        "double": (0x01, struct.pack("<d", 1.5)),
        "string": (0x02, string("aä")),
        "document": (0x03, framed([(0x10, "x", number), (0x02, "y", string("q"))])),
        "dbref": (0x03, framed([(0x02, "$ref", string("c")), (0x10, "$id", number), (0x02, "$db", string("d"))])),
        "list": (0x04, framed([(0x10, "0", number), (0x08, "1", b"\1")])),
        "binary": (0x05, b"\2\0\0\0\0ab"),
        "old binary": (0x05, b"\6\0\0\0\2\2\0\0\0ab"),
        "uuid": (0x05, b"\x10\0\0\0\4" + bytes(range(16))),
        "user binary": (0x05, b"\2\0\0\0\x80ab"),
        "undefined": (0x06, b""),
        "object id": (0x07, object_id),
        "bool": (0x08, b"\0"),
        "date": (0x09, struct.pack("<q", 1_700_000_000_000)),
        "null": (0x0A, b""),
        "regex": (0x0B, b"a+\0im\0"),
        "dbpointer": (0x0C, string("db.c") + object_id),
        "code": (0x0D, string("f()")),
        "symbol": (0x0E, string("sy")),
        "code with scope": (0x0F, struct.pack("<i", len(scoped) + 4) + scoped),
        "int32": (0x10, number),
        "timestamp": (0x11, struct.pack("<II", 3, 4)),
        "int64": (0x12, struct.pack("<q", 77)),
        "decimal128": (0x13, Decimal128("1.25").bid),
        "maxkey": (0x7F, b""),
        "minkey": (0xFF, b""),
    }


# ---- many, from a seed -----------------------------------------------------------------------------------------------


def collection(seed: int, count: int) -> list[bytes]:
    """So many documents of about 1 kB, the same ones for a seed.

    There are columns of every type, keys that come and go, and from the middle on now and then a value of another type
    or a new key, so that parts of the result differ in their types.
    """
    source = random.Random(seed)
    letters = "abcdefghij ä𝄞"

    def text(longest: int = 60) -> str:
        return "".join(source.choices(letters, k=source.randrange(longest)))

    def number() -> tuple[int, bytes]:
        return (0x10, struct.pack("<i", source.randint(*INT32)))

    def long() -> tuple[int, bytes]:
        return (0x12, struct.pack("<q", source.choice([source.randint(*INT64), source.randrange(1000)])))

    def double() -> tuple[int, bytes]:
        return (0x01, struct.pack("<d", source.choice([source.gauss(0, 1e6), float("nan"), -0.0, 3.0, float("inf")])))

    def binary(*subtypes: int) -> Callable[[], tuple[int, bytes]]:
        def made() -> tuple[int, bytes]:
            subtype = source.choice(subtypes)
            data = source.randbytes(16 if subtype in (3, 4) else source.randrange(40))
            inner = struct.pack("<i", len(data)) if subtype == 2 else b""
            return (0x05, struct.pack("<iB", len(data) + len(inner), subtype) + inner + data)

        return made

    def listed(items: Callable[[], tuple[int, bytes]], most: int = 6) -> Callable[[], tuple[int, bytes]]:
        def made() -> tuple[int, bytes]:
            found = [items() if source.random() < 0.95 else (0x0A, b"") for _ in range(source.randrange(most))]
            return (0x04, framed([(kind, str(at), data) for at, (kind, data) in enumerate(found)]))

        return made

    def nested(fields: dict[str, Callable[[], tuple[int, bytes]]]) -> Callable[[], tuple[int, bytes]]:
        return lambda: (0x03, framed([_swap(key, make()) for key, make in fields.items() if source.random() < 0.9]))

    def fixed(kind: int, size: int) -> Callable[[], tuple[int, bytes]]:
        return lambda: (kind, source.randbytes(size))

    def price() -> tuple[int, bytes]:
        exponent = source.choice([-2, -2, -2, -3, 0])
        return (0x13, Decimal128(Decimal(source.randint(-(10**7), 10**7)).scaleb(exponent)).bid)

    def texts(kind: int) -> Callable[[], tuple[int, bytes]]:
        return lambda: (kind, string(text()))

    def scoped() -> tuple[int, bytes]:
        data = string(text()) + framed([(0x10, "x", number()[1])])
        return (0x0F, struct.pack("<i", len(data) + 4) + data)

    inner: dict[str, Callable[[], tuple[int, bytes]]] = {"city": texts(0x02), "zip": number, "at": fixed(0x09, 8)}
    usual: dict[str, Callable[[], tuple[int, bytes]]] = {
        "int": number,
        "long": long,
        "double": double,
        "float or int": lambda: source.choice([double, number])(),
        "int or long": lambda: source.choice([number, long])(),
        "text": texts(0x02),
        "": texts(0x02),
        "flag": lambda: (0x08, source.choice([b"\0", b"\1"])),
        "id": fixed(0x07, 12),
        "date": lambda: (0x09, struct.pack("<q", source.choice([source.randint(*DATES), source.randint(*INT64)]))),
        "uuid": binary(4),
        "bytes": binary(0),
        "any bytes": binary(0, 2, 3, 4, 0x80),
        "decimal": fixed(0x13, 16),
        "price": price,
        "price or int": lambda: source.choice([price, number])(),
        "time": fixed(0x11, 8),
        "code": texts(0x0D),
        "symbol": texts(0x0E),
        "scoped": scoped,
        "regex": lambda: (0x0B, cstring(text(9)) + cstring(source.choice(["", "i", "imsx"]))),
        "pointer": lambda: (0x0C, string(text()) + source.randbytes(12)),
        "undefined": lambda: (0x06, b""),
        "min": lambda: (0xFF, b""),
        "max": lambda: (0x7F, b""),
        "null": lambda: (0x0A, b""),
        "address": nested(inner),
        "empty": lambda: (0x03, b"\5\0\0\0\0"),
        "list": listed(number),
        "lists": listed(listed(double)),
        "items": listed(nested(inner)),
        "mixed list": listed(lambda: source.choice([number, texts(0x02), double])()),
        "reference": nested({"$ref": texts(0x02), "$id": fixed(0x07, 12), "$db": texts(0x02)}),
    }
    made = []
    for row in range(count):
        names = list(usual)
        if source.random() < 0.1:
            source.shuffle(names)
        found = [
            (usual[name] if source.random() < 0.97 else usual["null"], name) for name in names if source.random() < 0.9
        ]
        if row > count // 2 and source.random() < 0.02:
            found.append((usual[source.choice(names)], source.choice([*names[::3], f"new {row % 7}"])))
        made.append(framed([_swap(name, make()) for make, name in found]))
    return made


def _swap(key: str, value: tuple[int, bytes]) -> tuple[int, str, bytes]:
    return value[0], key, value[1]
