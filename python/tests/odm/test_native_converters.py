"""The native converters compared with the converters in Python: equal values, and equal errors with their places."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import pickle
import uuid
from collections.abc import Callable
from typing import Any, Literal, Optional

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.dbref import DBRef
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import values

import data_bridge
from data_bridge.odm import Document, EmbeddedDocument, Field, Link, ValidationError
from data_bridge.odm.models import instance_state as state
from data_bridge.odm.models.model import Model

DAY = dt.datetime(2024, 5, 17)
UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
STANDARD: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Color(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd(enum.Enum):
    TEXT = "x"
    YES = True
    TWO = 2
    HALF = 0.5
    NOTHING = None


class ByBytes(enum.Enum):
    A = b"a"


class Size(EmbeddedDocument):
    w: float
    h: float = 1.0


class Line(EmbeddedDocument):
    sku: str
    count_: int = Field(1, alias="count")
    size: Size | None = None
    sizes: list[Size] = []


class Own(EmbeddedDocument):
    """With a constructor, a property, an attribute and a class method of its own."""

    __slots__ = ("seen",)
    n: int

    def __init__(self, n: int = 0, **values: Any) -> None:
        super().__init__(n=n + 1, **values)

    @property
    def double(self) -> int:
        return 2 * self.n


class Counted(EmbeddedDocument):
    """Made by `__new__`, which only Python calls."""

    n: int
    __slots__ = ("made",)

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__new__(cls, *arguments, **named)
        made.made = True
        return made


class Node(EmbeddedDocument):
    name: str
    nodes: list[Node] = []
    first: Node | None = None


class Shape(EmbeddedDocument):
    name: str

    class Settings:
        is_root = True


class Square(Shape):
    side: float


class Cube(Square):
    depth: float = 0.0


class Cat(EmbeddedDocument):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(EmbeddedDocument):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []


class Target(Document):
    class Settings:
        name = "targets"


class Everything(Document):
    text: str
    number: int
    real: float
    flag: bool
    key: ObjectId
    at: dt.datetime
    data: bytes
    uid: uuid.UUID
    money: decimal.Decimal
    day: dt.date
    big: Int64
    exact: Decimal128
    stamp: Timestamp
    binary: Binary
    pattern: Regex  # type: ignore[type-arg]
    any_: Any = Field(alias="any")
    level: Level
    color: Color
    odd: Odd
    by_bytes: ByBytes
    literal: Literal["a", 2, True, None]
    maybe: Optional[int]  # noqa: UP045
    maybe_uid: uuid.UUID | None
    either: int | str
    day_or_text: dt.date | str
    uid_or_data: uuid.UUID | bytes
    choice_or_int: Literal["low"] | int
    money_or_real: decimal.Decimal | float
    many_or_one: list[int] | int | None
    line: Line
    maybe_line: Line | None
    line_or_text: Line | str
    own: Own
    counted: Counted
    node: Node
    shape: Shape
    maybe_square: Square | None
    pet: Cat | Dog
    link: Link[Target]
    texts: list[str]
    reals: list[float]
    uids: set[uuid.UUID]
    days: frozenset[dt.date]
    moneys: tuple[decimal.Decimal, ...]
    colors: list[Color | None]
    lines: list[Line]
    maybe_lines: list[Line | None]
    pets: list[Cat | Dog]
    shapes: list[Shape]
    links: list[Link[Target]]
    grid: list[list[int]]
    line_grid: list[list[Line]]
    pair: tuple[int, Line]
    by_name: dict[str, Line]
    numbers: dict[str, float]
    lists_by_name: dict[str, list[Line]]
    anything: list[Any]
    with_default: list[Line] = Field(default_factory=lambda: [Line(sku="default")])
    defaults: dict[str, int] = {"a": 1}

    class Settings:
        name = "everything"


LINE = {"sku": "a", "count": 2, "size": {"w": 1.5, "h": 2.0}, "sizes": [{"w": 0.5}, {"w": 1.0, "unknown": None}]}
EXPECTED: dict[str, list[Any]] = {
    "text": ["", "abc"],
    "number": [1, Int64(1 << 40)],
    "real": [1.5, -0.0],
    "flag": [True, False],
    "key": [ObjectId(b"a" * 12)],
    "at": [DAY],
    "data": [b"", b"x"],
    "uid": [UUID],
    "money": [
        *(
            Decimal128(text)
            for text in ("1.10", "-0", "-0E-3", "1E+3", "0E+6111", "9.999999999999999999999999999999999E+6144")
        ),
        *(Decimal128(text) for text in ("1E-6176", "-12345678901234567890123456789012.34")),
        3,
        Int64(1 << 60),
    ],
    "day": [DAY, dt.datetime(1969, 12, 31), dt.datetime(4, 2, 29)],
    "big": [Int64(5)],
    "exact": [Decimal128("1.0")],
    "stamp": [Timestamp(1, 2)],
    "any": [None, 1, Int64(1), "x", {"a": [1, {"b": 2}]}, [1, [2]], DBRef("a", 1), Decimal128("1")],
    "level": [1, Int64(2)],
    "color": ["red", "blue"],
    "odd": ["x", True, 2, 0.5, None],
    "literal": ["a", 2, Int64(2), True, None],
    "maybe": [None, 1],
    "maybe_uid": [None, UUID],
    "either": [1, "x"],
    "day_or_text": [DAY, "x"],
    "choice_or_int": ["low", 3],
    "money_or_real": [Decimal128("1.1"), 1.5, 2],
    "many_or_one": [None, [], [1, 2], 3],
    "line": [LINE, {"sku": "b"}],
    "maybe_line": [None, LINE],
    "line_or_text": [LINE, "x"],
    "own": [{"n": 4}],
    "node": [{"name": "a", "nodes": [{"name": "b", "nodes": [{"name": "c"}]}], "first": {"name": "d"}}],
    "shape": [{"name": "s"}, {"name": "s", "_class_id": "Shape.Square", "side": 2.0}, {"_class_id": None, "name": "t"}],
    "maybe_square": [None, {"name": "s", "_class_id": "Shape.Square.Cube", "side": 2.0}],
    "texts": [[], ["a", "b"]],
    "reals": [[1.5, 2.0], [1, 2], [1, 2.5, Int64(3)]],
    "uids": [[], [UUID, UUID]],
    "days": [[DAY, dt.datetime(2024, 1, 1)]],
    "moneys": [[Decimal128("1.10"), 3]],
    "colors": [["red", None]],
    "lines": [[], [LINE, LINE], [LINE, {"sku": "z", "unknown": 1}]],
    "maybe_lines": [[None, LINE, None]],
    "shapes": [[{"name": "s"}, {"name": "q", "_class_id": "Shape.Square", "side": 1.0}]],
    "grid": [[[1], [], [2, 3]]],
    "line_grid": [[[LINE], [], [LINE, LINE]]],
    "pair": [[1, LINE]],
    "by_name": [{}, {"a": LINE, "b.c": LINE}],
    "numbers": [{"a": 1.5, "b": 2}],
    "lists_by_name": [{"a": [LINE], "b": []}],
    "anything": [[1, None, {"a": 1}, [2], Int64(3)]],
    "with_default": [[], [LINE]],
    "defaults": [{}, {"b": 2}],
}
"""Values, by key, that the native converters convert."""

OTHERS: list[Any] = [
    *(
        None,
        1,
        1.5,
        2.0,
        True,
        "x",
        b"x",
        {},
        {"sku": 1},
        {"sku": "a", "size": 3},
        [],
        [None],
        [[]],
        [1, "x"],
        [LINE, 3],
    ),
    *(UUID, DAY, dt.datetime(2024, 1, 1, 1), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("sNaN")),
    *(
        Binary(UUID.bytes, 3),
        Binary(b"short", 4),
        Binary(b"x", 5),
        Regex("a"),
        Code("x"),
        Code("x", {}),
        Timestamp(1, 1),
    ),
    *(ObjectId(b"b" * 12), DBRef("targets", ObjectId(b"c" * 12)), {"$ref": "targets", "$id": 1}, Int64(1 << 62)),
    *(1e300, float("nan"), float("inf"), 1e17, -2.0, {"a": 1, "b": "x"}, [{"sku": "a"}, {"count": 1}], {"kind": "cat"}),
    *(
        [{"kind": "dog", "tricks": ["sit"]}, {"kind": "cat"}],
        {"kind": "bird"},
        {"name": "x", "_class_id": "Shape.Gone"},
    ),
    *({"name": "x", "_class_id": ["list"]}, {"_class_id": "Shape.Square"}, [[1, LINE]], [1, {"sku": 2}], {"n": "x"}),
    {"n": 3},
]
"""Values that fit some of the fields, or none."""


def native(document: dict[str, Any], options: CodecOptions[Any] = STANDARD, model: Any = Everything) -> Any:
    """Return an instance over the second of three rows, so that nothing is at the first place by chance."""
    data = b"".join(
        bson.encode(each, codec_options=STANDARD) for each in ({"_id": 0, **document}, document, {"_id": 2, **document})
    )
    return model.from_arrow(data_bridge.read_bson(data, codec_options=options).read())[1]


def mixed(document: dict[str, Any], options: CodecOptions[Any] = STANDARD) -> Any:
    """Return the same where other rows have values of other types, so that the values are kept as BSON."""
    other = dict.fromkeys(document, Regex("other"))
    data = b"".join(bson.encode(each, codec_options=STANDARD) for each in (other, document, other))
    return Everything.from_arrow(data_bridge.read_bson(data, codec_options=options).read())[1]


def failure(error: ValidationError) -> tuple[Any, ...]:
    return "error", str(error), error.path, error.expected, error.found, repr(error.id)


def described(value: Any, of_fields: Callable[[Any], Any]) -> Any:
    """Return a value with its types; of instances all fields, which `of_fields` reads."""
    if isinstance(value, Model):
        own = getattr(value, "made", None)
        return type(value), own, of_fields(value), repr(state.place(value)), state.is_whole(value)
    if isinstance(value, Link):
        return type(value), value.model, value.id
    if isinstance(value, dict):
        return dict, [(key, described(each, of_fields)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [described(each, of_fields) for each in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted((described(each, of_fields) for each in value), key=repr)
    if isinstance(value, decimal.Decimal):
        return type(value), value.as_tuple()
    if isinstance(value, Regex):
        return type(value), value.pattern, value.flags
    return type(value), repr(value)


def by_slots(instance: Model) -> dict[str, Any]:
    """Return all fields of an instance, through the slots."""
    return {name: slot_value(instance, name) for name in type(instance).__odm__.fields}


def slot_value(instance: Model, name: str) -> Any:
    try:
        return described(getattr(instance, name), by_slots)
    except ValidationError as error:
        return failure(error)
    except InvalidBSON as error:  # a UUID whose length is not 16, say
        return "error", str(error)


def by_python(instance: Model) -> dict[str, Any]:
    """Return all fields of an instance, through the converters in Python only."""
    return {name: python_value(instance, name) for name in type(instance).__odm__.fields}


def python_value(instance: Model, name: str) -> Any:
    field, document = type(instance).__odm__.fields[name], instance._document()
    try:
        if document is None or field.key not in document:
            return described(field._missing(instance), by_slots)
        return described(field.load(document[field.key], (state.place(instance), field.key)), by_python)
    except ValidationError as error:
        return failure(error)
    except InvalidBSON as error:  # a UUID whose length is not 16, say
        return "error", str(error)


KEYS = {field.key: name for name, field in Everything.__odm__.fields.items()}
CASES = [(key, value) for key, some in EXPECTED.items() for value in some]


@pytest.mark.parametrize(("key", "value"), CASES)
def test_expected_values_are_converted_natively(key: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = native({"_id": 7, key: value})
    name = KEYS[key]
    expected = python_value(instance, name)
    converter = Everything.__odm__.fields[name].converter

    def load(*_: object) -> Any:
        raise AssertionError("the converter in Python was called")

    for each in all_converters(converter):
        monkeypatch.setattr(type(each), "load", load)
    found = slot_value(instance, name)
    monkeypatch.undo()
    assert found == expected
    assert found[0] != "error"
    if converter.keeps and type(value) in (list, dict):
        assert getattr(instance, name) is getattr(instance, name)


def all_converters(converter: Any) -> list[Any]:
    return [converter, *(each for part in converter.parts() for each in all_converters(part))]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("make", [native, mixed])
def test_values_of_all_types_are_those_of_the_python_converter(key: str, make: Callable[..., Any]) -> None:
    for value in [*OTHERS, *(each for some in EXPECTED.values() for each in some)]:
        instance = make({"_id": 7, key: value})
        assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key]), value


@pytest.mark.parametrize("key", KEYS)
def test_missing_values_and_nulls(key: str) -> None:
    for document in ({"_id": 7}, {"_id": 7, key: None}):
        instance = native(document)
        assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key])


CODECS = [
    CodecOptions(uuid_representation=UuidRepresentation.UNSPECIFIED),
    CodecOptions(uuid_representation=UuidRepresentation.PYTHON_LEGACY),
    CodecOptions(uuid_representation=UuidRepresentation.JAVA_LEGACY),
    CodecOptions(uuid_representation=UuidRepresentation.CSHARP_LEGACY, tz_aware=True),
    CodecOptions(tz_aware=True, tzinfo=dt.timezone(dt.timedelta(hours=-9))),
    CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS),
    CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_CLAMP),
    CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO),
]


@pytest.mark.parametrize("options", CODECS)
def test_codec_options(options: CodecOptions[Any]) -> None:
    binaries = [Binary(UUID.bytes, subtype) for subtype in (0, 3, 4, 5)]
    dates = [bson.DatetimeMS(days * 86_400_000) for days in (0, -719_162, 2_932_896, 2_932_897, 10**7, -(10**7))]
    for key in ("uid", "maybe_uid", "uid_or_data", "data", "binary", "at", "day", "day_or_text", "any"):
        for value in (*binaries, *dates, bson.DatetimeMS(1)):
            instance = native({"_id": 7, key: value}, options)
            assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key]), value
    for key, value in (("uids", binaries), ("days", dates[:3]), ("anything", [*binaries, *dates])):
        instance = native({"_id": 7, key: value}, options)
        assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(key=st.sampled_from(sorted(KEYS)), data=st.data())
def test_random_values(key: str, data: Any) -> None:
    given = EXPECTED.get(key, OTHERS)
    value = data.draw(
        st.sampled_from(given) | values(max_leaves=6) | st.lists(st.sampled_from([*OTHERS, *given]), max_size=3)
    )
    try:
        instance = native({"_id": 7, key: value})
    except (data_bridge.DecodeError, bson.errors.BSONError, OverflowError):
        return
    assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key])


def test_decimals_that_are_not_canonical() -> None:
    for high in (0x6C00000000000000, 0x3041ED09BEAD87C0 | 0x0001FFFFFFFFFFFF, 0xF800000000000001, 0x7C00000000000005):
        value = Decimal128((high, 0xFFFFFFFFFFFFFFFF))
        instance = native({"_id": 7, "money": value, "moneys": [value]})
        for name in ("money", "moneys"):
            assert repr(slot_value(instance, name)) == repr(python_value(instance, name))


def test_decimals_of_a_pymongo_that_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before 4.20 raise for a coefficient of more than 34 digits."""
    value = Decimal128((0xB041ED09BEAD87C0 | 0x0001FFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF))
    expected = value.to_decimal()

    def refused(self: Decimal128) -> Any:
        raise decimal.Inexact

    monkeypatch.setattr(Decimal128, "to_decimal", refused)
    found = native({"_id": 7, "money": value}).money
    assert (found.as_tuple(), found) == (expected.as_tuple(), 0)


def test_uuids_are_those_of_the_constructor() -> None:
    found = native({"_id": 7, "uid": UUID}).uid
    assert (type(found), found, hash(found), str(found)) == (uuid.UUID, UUID, hash(UUID), str(UUID))
    assert (found.is_safe, found.version, found.bytes) == (UUID.is_safe, UUID.version, UUID.bytes)
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == UUID
    with pytest.raises(TypeError):
        found.int = 1


def test_the_context_of_decimals_does_not_matter() -> None:
    with decimal.localcontext(decimal.Context(prec=3, Emax=5, Emin=-5, traps=[decimal.Inexact, decimal.Rounded])):
        instance = native({"_id": 7, "money": Decimal128("1.234567E-100")})
        assert instance.money.as_tuple() == decimal.Decimal("1.234567E-100").as_tuple()


def test_errors_name_the_document_and_the_path() -> None:
    lines = [{"sku": "a", "sizes": [{"w": 1.0}, {"w": "wide"}]}, {"sku": 5}]
    instance = native(
        {"_id": 7, "lines": lines, "lists_by_name": {"x": [{"sku": "a"}, {"sku": 6}]}, "line_grid": [[], lines]}
    )
    for read, path in [
        (lambda: instance.lines[0].sizes[1].w, ("lines", 0, "sizes", 1, "w")),
        (lambda: instance.lines[1].sku, ("lines", 1, "sku")),
        (lambda: instance.lists_by_name["x"][1].sku, ("lists_by_name", "x", 1, "sku")),
        (lambda: instance.line_grid[1][0].sizes[1].w, ("line_grid", 1, 0, "sizes", 1, "w")),
    ]:
        with pytest.raises(ValidationError) as caught:
            read()
        assert (caught.value.path, caught.value.id) == (path, 7)


def test_classes_with_a_constructor_of_their_own_behave_as_before() -> None:
    instance = native({"_id": 7, "own": {"n": 4}, "counted": {"n": 1}})
    assert (instance.own.n, instance.own.double) == (4, 8)  # `__init__` is not called for stored values
    instance.own.seen = ["x"]
    assert instance.own.seen == ["x"]
    assert instance.counted.made is True  # `__new__` is


def test_a_class_that_joins_a_tree_later() -> None:
    class Plane(EmbeddedDocument):
        name: str

        class Settings:
            is_root = True

    class Sky(Document):
        planes: list[Plane] = []
        one: Plane

    def read() -> Any:
        jet = {"name": "j", "_class_id": "Plane.Jet", "speed": 3.0}
        return native({"_id": 7, "planes": [{"name": "p"}, jet], "one": jet}, model=Sky)

    assert slot_value(read(), "planes") == python_value(read(), "planes")
    with pytest.raises(ValidationError, match="Plane or a class below it"):
        _ = read().one

    class Jet(Plane):
        speed: float

    assert [type(each) for each in read().planes] == [Plane, Jet]
    assert isinstance(read().one, Jet)


def test_extra_fields_of_embedded_models_are_kept() -> None:
    instance = native({"_id": 7, "lines": [{"sku": "a", "unknown": {"x": 1}}]})
    (line,) = instance.lines
    line.sku = "b"
    assert line["unknown"] == {"x": 1}
    assert line._dump() == {"sku": "b", "unknown": {"x": 1}}


def test_undefined_and_symbols() -> None:
    undefined, symbol = b"\x06", b"\x0e"
    for key in KEYS:
        for kind, body in ((undefined, b""), (symbol, b"\x02\0\0\0x\0")):
            for data in (
                kind + key.encode() + b"\0" + body,
                b"\x04" + key.encode() + b"\0" + (len(body) + 8).to_bytes(4, "little") + kind + b"0\0" + body + b"\0",
            ):
                document = (len(data) + 5).to_bytes(4, "little") + data + b"\0"
                assert RawBSONDocument(document)
                (instance,) = Everything.from_arrow(data_bridge.read_bson(document, codec_options=STANDARD).read())
                assert slot_value(instance, KEYS[key]) == python_value(instance, KEYS[key])
