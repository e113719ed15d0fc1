"""The measured collections. Deterministic; loaded once per server, and again after a change."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bson import Int64, ObjectId, encode
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

DATABASE = "data_bridge_bench"
MADE = 1  # raised when a shape changes, so that it is loaded again
START = datetime(2024, 1, 1)
# Number of different documents per shape; the others repeat them with their own `_id`.
TEMPLATES = 5_000
WORDS = [
    "arrow",
    "batch",
    "chunk",
    "cursor",
    "decode",
    "field",
    "index",
    "list",
    "null",
    "path",
    "query",
    "read",
    "row",
    "schema",
    "value",
    "wire",
    "zone",
]


class Shape(NamedTuple):
    """A collection: its number of documents at scale 1, its document, and the key of the job "one field"."""

    documents: int
    make: Callable[[random.Random, int], dict[str, Any]]
    one_key: str


def flat(rng: random.Random, index: int) -> dict[str, Any]:
    return {
        "a": index,
        "b": Int64(rng.getrandbits(40)),
        "x": rng.random(),
        "name": f"{' '.join(rng.sample(WORDS, 6))} {rng.randrange(10_000)}",
        "ok": rng.random() < 0.5,
        "at": START + timedelta(seconds=index),
    }


def nested(rng: random.Random, index: int) -> dict[str, Any]:
    def line(position: int) -> dict[str, Any]:
        return {
            "sku": f"{rng.randrange(36**5):06x}",
            "quantity": rng.randrange(1, 9),
            "price": round(rng.uniform(1, 200), 2),
            "size": {"w": rng.random(), "h": rng.random(), "unit": "cm"},
            "tags": rng.sample(WORDS, 2),
            "position": position,
        }

    return {
        "number": index,
        "customer": {
            "name": " ".join(rng.sample(WORDS, 2)),
            "address": {
                "city": rng.choice(WORDS),
                "zip": f"{rng.randrange(100_000):05d}",
                "geo": [rng.random(), rng.random()],
            },
        },
        "lines": [line(position) for position in range(rng.randrange(3, 6))],
        "placed": START + timedelta(seconds=index),
        "total": round(rng.uniform(1, 900), 2),
        "notes": [" ".join(rng.sample(WORDS, 6)) for _ in range(3)],
    }


def wide(rng: random.Random, index: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for column in range(12):
        document |= {
            f"int_{column}": index + column,
            f"double_{column}": rng.random(),
            f"text_{column}": rng.choice(WORDS),
            f"flag_{column}": rng.random() < 0.5,
        }
    document |= {f"when_{column}": START + timedelta(hours=rng.randrange(9_000)) for column in range(6)}
    return document | {f"long_{column}": Int64(rng.getrandbits(50)) for column in range(5)}


def tweets(rng: random.Random, index: int) -> dict[str, Any]:
    """Return a document with optional keys, nulls, empty lists, and documents in lists in documents."""
    words = rng.sample(WORDS, 8)
    tweet: dict[str, Any] = {
        "created_at": START + timedelta(seconds=index),
        "id": Int64(10**18 + index),
        "text": " ".join(words + words[:5]),
        "source": f'<a href="https://example.com/{words[0]}">{words[1]}</a>',
        "truncated": False,
        "in_reply_to_status_id": Int64(rng.getrandbits(59)) if rng.random() < 0.3 else None,
        "user": {
            "id": Int64(rng.getrandbits(40)),
            "name": " ".join(words[:2]).title(),
            "screen_name": f"{words[2]}{rng.randrange(1000)}",
            "location": words[3] if rng.random() < 0.6 else None,
            "url": None,
            "description": " ".join(words[2:] + words) if rng.random() < 0.9 else None,
            "profile_image_url": f"https://images.example.com/profile/{rng.getrandbits(64):016x}/{words[5]}_normal.png",
            "followers_count": rng.randrange(10**6),
            "friends_count": rng.randrange(5_000),
            "verified": rng.random() < 0.05,
            "created_at": START - timedelta(days=rng.randrange(3_000)),
            "lang": rng.choice(["en", "no", "pt", "ja"]),
        },
        "geo": None,
        "entities": {
            "hashtags": [
                {"text": word, "indices": [at, at + len(word)]} for at, word in enumerate(words[: rng.randrange(4)])
            ],
            "urls": [
                {"url": "https://example.com/x", "expanded_url": f"https://example.com/{word}", "indices": [1, 24]}
                for word in words[: rng.randrange(2)]
            ],
            "user_mentions": [
                {"screen_name": word, "id": Int64(rng.getrandbits(40)), "indices": [0, 9]}
                for word in words[: rng.randrange(3)]
            ],
        },
        "retweet_count": rng.randrange(500),
        "favorite_count": rng.randrange(900),
        "lang": "en",
    }
    if rng.random() < 0.1:
        tweet["coordinates"] = {"type": "Point", "coordinates": [rng.uniform(-180, 180), rng.uniform(-90, 90)]}
    if rng.random() < 0.2:
        tweet["place"] = {
            "full_name": words[4],
            "country_code": "NO",
            "bounding_box": {"coordinates": [[[1.5, 2.5], [3.5, 4.5]]]},
        }
    if rng.random() < 0.25:
        tweet["possibly_sensitive"] = rng.random() < 0.1
    return tweet


def text(rng: random.Random, index: int) -> dict[str, Any]:
    """Return a document with a body of about 2 kB; one in four is not ASCII."""
    words = rng.choices(WORDS if rng.random() < 0.75 else [*WORDS, "größe", "日本語"], k=330)
    return {"number": index, "title": " ".join(words[:6]), "body": " ".join(words)}


def conflicts(rng: random.Random, index: int) -> dict[str, Any]:
    """Return a document whose keys have several types across documents."""
    return {
        "code": rng.choice([index, str(index), Int64(index)]),
        "amount": rng.choice([index, index / 8, None]),
        "owner": rng.choice([{"name": rng.choice(WORDS)}, rng.choice(WORDS)]),
        "tags": rng.choice([rng.sample(WORDS, 3), rng.choice(WORDS), []]),
        "at": rng.choice([START + timedelta(seconds=index), "2024-01-01"]),
        "plain": rng.random(),
    }


def sparse(rng: random.Random, index: int) -> dict[str, Any]:
    """Return a document with twelve of 500 keys, rarely the same twelve."""
    return {f"key_{key:03d}": rng.random() for key in rng.sample(range(500), 12)} | {"number": index}


def small(rng: random.Random, index: int) -> dict[str, Any]:
    """Return the small flat model of the ODM benchmark specification: six fields."""
    name = " ".join(rng.sample(WORDS, 2))
    return {
        "number": index,
        "name": name,
        "mail": f"{name.replace(' ', '.')}@example.com",
        "active": rng.random() < 0.5,
        "score": rng.random(),
        "joined": START + timedelta(seconds=index),
    }


def large(rng: random.Random, index: int) -> dict[str, Any]:
    """Return the large nested model of the ODM benchmark specification: about 8 kB, three levels."""

    def section() -> dict[str, Any]:
        return {
            "heading": " ".join(rng.sample(WORDS, 4)),
            "body": " ".join(rng.choices(WORDS, k=70)),
            "author": {"name": rng.choice(WORDS), "mail": f"{rng.choice(WORDS)}@example.com"},
            "ratings": [rng.random() for _ in range(5)],
            "labels": rng.sample(WORDS, 3),
        }

    return {
        "number": index,
        "title": " ".join(rng.sample(WORDS, 6)),
        "profile": {
            "name": " ".join(rng.sample(WORDS, 2)),
            "visits": rng.randrange(1_000),
            "address": {"city": rng.choice(WORDS), "street": f"{rng.choice(WORDS)} {rng.randrange(90)}"},
        },
        "sections": [section() for _ in range(12)],
        "published": START + timedelta(seconds=index),
    }


SHAPES = {
    "flat": Shape(200_000, flat, "x"),
    "nested": Shape(100_000, nested, "total"),
    "wide": Shape(50_000, wide, "double_3"),
    "tweets": Shape(100_000, tweets, "retweet_count"),
    "text": Shape(50_000, text, "title"),
    "conflicts": Shape(100_000, conflicts, "plain"),
    "sparse": Shape(100_000, sparse, "number"),
}

MODELS = {
    "small": Shape(10_000, small, "score"),
    "large": Shape(10_000, large, "title"),
}
"""Shapes only for the tasks of object mappers."""
ALL = SHAPES | MODELS


def fields(name: str) -> dict[str, Any]:
    """Return the keys of a shape of equal documents: nested documents as dicts, lists as [item]."""

    def tree(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tree(each) for key, each in value.items()}
        return [tree(value[0])] if isinstance(value, list) else None

    found: dict[str, Any] = tree(ALL[name].make(random.Random(name), 0))
    return found


def identifier(index: int) -> ObjectId:
    """Return the `_id` of a shape's document."""
    return ObjectId(b"dbrg" + index.to_bytes(8, "big"))


def templates(name: str, count: int) -> list[bytearray]:
    """Return encoded documents of a shape; bytes 9 to 21 are their `_id`."""
    rng = random.Random(name)
    empty = {"_id": ObjectId(b"\0" * 12)}
    return [bytearray(encode(empty | ALL[name].make(rng, index))) for index in range(min(count, TEMPLATES))]


def load(client: MongoClient[Any], name: str, scale: float) -> tuple[int, int]:
    """Load a shape if it is missing; return (documents, their bytes)."""
    shape, collection = ALL[name], client[DATABASE][name]
    count = max(1, round(shape.documents * scale))
    mark = {"_id": name, "count": count, "made": MADE}
    marks = client[DATABASE]["made_by_bench"]
    if marks.find_one(name) != mark or collection.estimated_document_count() != count:
        collection.drop()
        encoded = templates(name, count)
        for start in range(0, count, 10_000):
            batch = []
            for index in range(start, min(start + 10_000, count)):
                document = encoded[index % len(encoded)]
                document[9:21] = identifier(index).binary
                batch.append(RawBSONDocument(bytes(document)))
            collection.insert_many(batch, ordered=False)
        marks.replace_one({"_id": name}, mark, upsert=True)
    statistics = client[DATABASE].command("collStats", name)
    return count, int(statistics["size"])


if __name__ == "__main__":  # python shapes.py DIRECTORY: a file of each shape, for the benchmarks without a server
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for each in SHAPES:
        (directory / f"{each}.bson").write_bytes(b"".join(templates(each, TEMPLATES)))
