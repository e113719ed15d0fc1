"""Replies that a proxy spoils, and the error that a read of them ends with."""

from __future__ import annotations

import struct
from typing import Any

import proxy as wire
from proxy import Spoil, near, number

from data_bridge import ConnectionFailure, DataBridgeError, DecodeError, ServerTimeout

LOST: dict[str, tuple[Spoil, type[DataBridgeError]]] = {
    "drop": (wire.drop, ServerTimeout),
    "hang": (wire.hang, ServerTimeout),
    "truncate and hang": (wire.truncate_and_hang, ServerTimeout),
    "close": (wire.close, ConnectionFailure),
    "reset": (wire.reset, ConnectionFailure),
    "truncate": (wire.truncate, ConnectionFailure),
}
"""Replies that do not come."""

LIES: dict[str, tuple[Any, type[DataBridgeError]]] = {
    # Of the message: a reply that never gets whole, one that is cut, and ones that make no sense.
    "message longer": (lambda data: number(0, len(data) + 10)(data), ServerTimeout),
    "message shorter": (lambda data: number(0, len(data) - 10)(data), ConnectionFailure),
    "message of nothing": (number(0, 0), ConnectionFailure),
    "message of 2 GiB": (number(0, 2**31 - 1), DataBridgeError),
    "message negative": (number(0, -1), DataBridgeError),
    "another opcode": (number(12, 1), ConnectionFailure),
    "reply longer": (lambda data: number(21, len(data))(data), ConnectionFailure),
    "reply shorter": (number(21, 30), ConnectionFailure),
    "reply of nothing": (number(21, 0), ConnectionFailure),
    # Of a value in it: the place is known.
    "string longer": (near(b"text\0", 5, struct.pack("<i", 2**31 - 1)), DecodeError),
    "string shorter": (near(b"text\0", 5, struct.pack("<i", 5)), DecodeError),
    "string of nothing": (near(b"text\0", 5, struct.pack("<i", 0)), DecodeError),
    "string negative": (near(b"text\0", 5, struct.pack("<i", -1)), DecodeError),
    "unknown type": (near(b"\x02text\0", 0, b"\x7e"), DecodeError),
    "invalid UTF-8": (near(b"text\0", 12, b"\xff\xfe"), DecodeError),
    "invalid UTF-8 in a key": (near(b"text\0", 1, b"\xff"), DecodeError),
    "nested longer": (near(b"\x03d\0", 3, struct.pack("<i", 2**30)), DecodeError),
}
"""Changes of a reply to documents with a string `text` and a document `d`."""
