"""The plain form of BSON values, as docs/types.md defines it: text of ids and UUIDs, numbers, Extended JSON.

Written without the package; PyMongo writes the scalars of Extended JSON, and the digits of decimals.
"""

from __future__ import annotations

import decimal
import json
import struct
import uuid
from typing import Any

import bson
from bson import CodecOptions, json_util
from bson.binary import CSHARP_LEGACY, JAVA_LEGACY, PYTHON_LEGACY
from bson.codec_options import DatetimeConversion
from bson_values import (
    BINARY,
    CODE_WITH_SCOPE,
    DBPOINTER,
    DECIMAL128,
    DOCUMENT,
    INT32,
    INT64,
    LIST,
    REGEX,
    STRING,
    SYMBOL,
    UNDEFINED,
    Value,
    encode,
    text,
)

DECODED: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
LEGACY = (PYTHON_LEGACY, JAVA_LEGACY, CSHARP_LEGACY)
"""The UUID representations in which a binary of subtype 3 is a UUID."""

# ---- UUIDs -----------------------------------------------------------------------------------------------------------


def uuid_of(kind: int, data: Any, representation: int) -> uuid.UUID | None:
    """The UUID that a value is; None for other values."""
    if kind != BINARY or len(data) != 21:
        return None
    if data[4] == 4:
        return uuid.UUID(bytes=data[5:])
    if data[4] != 3 or representation not in LEGACY:
        return None
    if representation == CSHARP_LEGACY:
        return uuid.UUID(bytes_le=data[5:])
    low, high = data[5:13], data[13:]
    return uuid.UUID(bytes=low[::-1] + high[::-1] if representation == JAVA_LEGACY else data[5:])


# ---- decimals --------------------------------------------------------------------------------------------------------

EXACT = decimal.Context(prec=10_000, Emin=-10_000, Emax=10_000)
SHORT, LONG, SPARE, STREAM_SCALE = 18, 38, 3, 10


def decimal_of(kind: int, data: bytes) -> decimal.Decimal:
    """An integer or a decimal128; a coefficient of more than 34 digits counts as zero."""
    if kind == INT32:
        return decimal.Decimal(struct.unpack("<i", data)[0])
    if kind == INT64:
        return decimal.Decimal(struct.unpack("<q", data)[0])
    number = int.from_bytes(data, "little")
    sign, top = number >> 127, number >> 122 & 0b11111
    if top == 0b11111:
        return decimal.Decimal("NaN")
    if top == 0b11110:
        return decimal.Decimal("-Infinity" if sign else "Infinity")
    moved = top >> 3 == 0b11
    exponent = (number >> (111 if moved else 113) & 0x3FFF) - 6176
    coefficient = 0 if moved else number & (1 << 113) - 1
    digits = coefficient if coefficient < 10**34 else 0
    return decimal.Decimal((sign, tuple(map(int, str(digits))), exponent))


def decimal_text(kind: int, data: bytes) -> str:
    """Every digit, as PyMongo writes it."""
    return str(bson.Decimal128.from_bid(data)) if kind == DECIMAL128 else str(decimal_of(kind, data))


def precision(values: list[decimal.Decimal], frozen: bool) -> tuple[int, int] | None:
    """Precision and scale of the column that holds the values; None for text."""
    if not all(value.is_finite() for value in values):
        return None
    whole = written = significant = 0
    for value in values:
        if value:
            whole = max(whole, value.adjusted() + 1)
            written = max(written, -int(value.as_tuple().exponent))
            significant = max(significant, -int(EXACT.normalize(value).as_tuple().exponent))
    scale = next((scale for scale in (written, significant) if whole + scale <= LONG - SPARE), None)
    if scale is None:
        return None
    if frozen:
        roomy = max(scale, STREAM_SCALE)
        return LONG, roomy if whole + roomy <= LONG - SPARE else scale
    return (SHORT if whole + scale <= SHORT else LONG), scale


def fits(value: decimal.Decimal, digits: int, scale: int) -> bool:
    """Return whether the value is a multiple of 10^-scale in that many digits."""
    if not value.is_finite():
        return False
    scaled = EXACT.scaleb(value, scale)
    return scaled == scaled.to_integral_value(context=EXACT) and abs(scaled) < 10**digits


# ---- Extended JSON ---------------------------------------------------------------------------------------------------


def extended_json(value: Value) -> str:
    """Relaxed Extended JSON, as PyMongo's json_util writes it; also of the types that PyMongo has no class for."""
    kind, data = value
    if kind == DOCUMENT:
        pairs = (f"{json.dumps(key)}: {extended_json(inner)}" for key, inner in data.items())
        return "{" + ", ".join(pairs) + "}"
    if kind == LIST:
        return "[" + ", ".join(map(extended_json, data)) + "]"
    if kind == CODE_WITH_SCOPE:
        return f'{{"$code": {json.dumps(text(data[0]))}, "$scope": {extended_json((DOCUMENT, data[1]))}}}'
    if kind == UNDEFINED:
        return '{"$undefined": true}'
    if kind == SYMBOL:
        return f'{{"$symbol": {json.dumps(text(data))}}}'
    if kind == DBPOINTER:
        return f'{{"$dbPointer": {{"$ref": {json.dumps(text(data[:-12]))}, "$id": {{"$oid": "{data[-12:].hex()}"}}}}}}'
    if kind == STRING:
        return json.dumps(text(data))
    if kind == REGEX:
        # Options as they are stored: PyMongo drops those it does not know.
        pattern, options, _ = (json.dumps(part.decode()) for part in data.split(b"\0"))
        return f'{{"$regularExpression": {{"pattern": {pattern}, "options": {options}}}}}'
    decoded = bson.decode(encode({"": value}), DECODED)[""]
    return json_util.dumps(decoded, json_options=json_util.RELAXED_JSON_OPTIONS)
