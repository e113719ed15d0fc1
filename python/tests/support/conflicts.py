"""Documents whose types conflict, from a seed: small collections of few keys, where each path has a few types it likes
and now and then any other, at every level. Fast, so that there may be very many.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal

from bson import Decimal128
from strategies import EXACT_PYMONGO, INT32, INT64, ODD_KEYS, cstring, document_of, framed, string

Value = tuple[int, bytes]
Make = Callable[[], Value]

TEXTS = ["", "x", "ä", "𝄞", "nul\0inside", "a longer text that is no prefix of another"]
LONGS = [0, -1, 2**31 - 1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1024, *INT64]
DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0**31, 2.0**53, 2.0**63, -(2.0**63), 1e300, 5e-324]
DOUBLES += [float("nan"), float("inf"), float("-inf")]


class Conflicts:
    """Collections of documents, the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def collection(self, count: int | None = None) -> list[bytes]:
        """So many documents, or a few to some hundred."""
        source = self._random
        document = self._documents(3)
        made = [
            document()
            for _ in range(source.choice([source.randint(1, 20), source.randint(1, 200)]) if count is None else count)
        ]
        # The first ones alike, so that what a stream's first documents show is less than what comes.
        if source.random() < 0.5:
            made.sort(key=len)
        return made

    def _any(self) -> Value:
        return self._maker(2)()

    def _scalar(self) -> Make:
        source = self._random

        def texts(kind: int) -> Make:
            return lambda: (kind, string(source.choice(TEXTS)))

        def binaries(*subtypes: int) -> Make:
            def made() -> Value:
                subtype = source.choice(subtypes)
                sound = subtype == 4 and (source.random() < 0.9 or not EXACT_PYMONGO)
                data = source.randbytes(16 if sound else source.randrange(9))
                inner = struct.pack("<i", len(data)) if subtype == 2 else b""
                return 0x05, struct.pack("<iB", len(data) + len(inner), subtype) + inner + data

            return made

        def scoped() -> Value:
            data = string(source.choice(TEXTS)) + self._framed([("s", self._int())])
            return 0x0F, struct.pack("<i", len(data) + 4) + data

        long = lambda: (0x12, struct.pack("<q", source.choice([*LONGS, source.randint(*INT64), 7])))  # noqa: E731
        double = lambda: (0x01, struct.pack("<d", source.choice([*DOUBLES, source.gauss(0, 1e9), 7.0])))  # noqa: E731

        def decimals(*exponents: int) -> Make:
            def made() -> Value:
                coefficient = source.choice([0, 5, 150, source.randint(-(10**6), 10**6), source.randint(0, 10**17)])
                return 0x13, Decimal128(Decimal(coefficient).scaleb(source.choice(exponents))).bid

            return made

        makers: list[Make] = [
            *[self._int, long, double] * 3,
            *[decimals(-2), decimals(0, -2, -5), decimals(-2, 3, -19)] * 2,
            *[texts(0x02), binaries(0), binaries(4)] * 2,
            texts(0x0D),
            texts(0x0E),
            binaries(0, 2, 4, 5, 0x80),
            scoped,
            lambda: (0x06, b""),
            lambda: (0x07, source.randbytes(12)),
            lambda: (0x08, source.choice([b"\0", b"\1"])),
            lambda: (0x09, struct.pack("<q", source.choice([0, -1, 1_700_000_000_000, *LONGS]))),
            lambda: (0x0A, b""),
            lambda: (0x0B, cstring(source.choice(TEXTS)) + source.choice([b"\0", b"im\0", b"q\0"])),
            lambda: (0x0C, string(source.choice(TEXTS)) + source.randbytes(12)),
            lambda: (0x11, source.randbytes(8)),
            lambda: (0x13, source.randbytes(16)),
            lambda: (0x7F, b""),
            lambda: (0xFF, b""),
        ]
        return source.choice(makers)

    def _int(self) -> Value:
        return 0x10, struct.pack("<i", self._random.choice([0, 1, -1, 200, self._random.randint(*INT32)]))

    def _maker(self, levels: int) -> Make:
        """Makes values of one type, documents and lists of up to so many levels."""
        kind = self._random.random()
        if not levels or kind < 0.5:
            return self._scalar()
        if kind < 0.78:
            document = self._documents(levels - 1)
            return lambda: (0x03, document())
        item = self._several(levels - 1)
        return lambda: (0x04, self._listed([item() for _ in range(self._random.choice([0, 1, 1, 2, 3, 5]))]))

    def _several(self, levels: int) -> Make:
        """Makes values of one type mostly, or of a few."""
        source = self._random
        makers = [self._maker(levels) for _ in range(source.choice([1, 1, 1, 2, 3]))]
        weights = [source.choice([1, 3, 30]) for _ in makers]
        odd = source.choice([0, 0, 0, 0, 0.01, 0.1])

        def made() -> Value:
            luck = source.random()
            if luck < odd:
                return self._any()
            return (0x0A, b"") if luck > 0.95 else source.choices(makers, weights)[0]()

        return made

    def _documents(self, levels: int) -> Callable[[], bytes]:
        source = self._random
        keys = source.sample([*ODD_KEYS, *"bcdefgh"], source.randint(0 if levels < 3 else 1, 6))
        makers = [(key, self._several(levels)) for key in keys]
        missing = source.choice([0, 0.1, 0.5])
        disorder, twice, new = (source.choice([0, 0, 0, rate]) for rate in (0.2, 0.03, 0.05))

        def made() -> bytes:
            found = [(key, make()) for key, make in makers if source.random() >= missing]
            if source.random() < disorder:
                source.shuffle(found)
            if source.random() < new:
                found.append((source.choice(ODD_KEYS), self._any()))
            if found and source.random() < twice:
                found.append((source.choice(found)[0], self._any()))
            return self._framed(found)

        return made

    def _framed(self, found: list[tuple[str, Value]]) -> bytes:
        return framed([(kind, key, data) for key, (kind, data) in found])

    def _listed(self, items: list[Value]) -> bytes:
        odd = self._random.random() < 0.02
        return self._framed([("" if odd else str(at), item) for at, item in enumerate(items)])


def padded(made: list[bytes], size: int) -> list[bytes]:
    """The same documents with a last key more, so that there are many pieces of them."""
    padding = framed([(0x05, "padding", struct.pack("<iB", size, 0) + bytes(size))])[4:-1]
    return [document_of(data[4:-1], padding) for data in made]


def collections(seed: int, documents: int) -> Iterator[tuple[int, list[bytes]]]:
    """(seed, collection) until there are so many documents."""
    while documents > 0:
        made = Conflicts(seed).collection(3000 if seed % 100 == 99 else None)
        yield seed, made
        documents -= len(made)
        seed += 1
