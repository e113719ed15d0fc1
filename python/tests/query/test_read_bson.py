"""Sources of read_bson that hold another format, or text that is not UTF-8."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from data_bridge import AsyncMongoClient, ConnectionFailure, DecodeError, MongoClient, read_bson

Mongo = Database[dict[str, Any]]

SMALL = b"".join(bson.encode({"_id": n, "text": "x" * n}) for n in range(50))
LARGE = b"".join(bson.encode({"_id": n, "noise": os.urandom(1000)}) for n in range(2_000))
"""Still larger than 559,903 bytes when it is compressed: the length that gzip's first bytes are as BSON."""


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), sink)
    return sink.getvalue()


def arrow(kind: Callable[..., Any]) -> bytes:
    sink, table = io.BytesIO(), pa.table({"a": [1]})
    with kind(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


FORMATS = {
    "gzip": (gzip.compress(SMALL), r"gzip.*gunzip.*gzip\.open"),
    "large gzip": (gzip.compress(LARGE, mtime=1_700_000_000), "gzip"),
    "gzip without a time": (gzip.compress(LARGE, mtime=0), "gzip"),
    "gzip with a name": (b"\x1f\x8b\x08\x08" + bytes(6) + b"x.bson\0" + bytes(99), "gzip"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x05" + bytes(40), "zstd -d"),
    "archive": (struct.pack("<I", 0x8199E26D) + bson.encode({"version": "0.1"}) + SMALL, "mongorestore --archive"),
    "xz": (lzma.compress(SMALL), r"lzma\.open"),
    "bzip2": (bz2.compress(SMALL), r"bz2\.open"),
    "JSON lines": (b'{"_id": 1}\n{"_id": 2}\n', "JSON"),
    "JSON list": (b'[\n {"_id": {"$oid": "0123456789ab0123456789ab"}}]', "JSON"),
    "Parquet": (parquet(), "from_arrow"),
    "Arrow file": (arrow(pa.ipc.new_file), "from_arrow"),
    "Arrow stream": (arrow(pa.ipc.new_stream), "from_arrow"),
}


def sources(data: bytes, path: Path) -> Iterator[Any]:
    path.write_bytes(data)
    yield from (path, str(path), data, bytearray(data), io.BytesIO(data), [data], iter([b"", data]))


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_is_named_with_the_way_to_its_documents(name: str, tmp_path: Path) -> None:
    data, words = FORMATS[name]
    for source in sources(data, tmp_path / "x.bson"):
        with pytest.raises(DecodeError, match=words) as caught:
            read_bson(source).read()
        assert caught.value.document == 0
    for run in (lambda query: list(query), lambda query: list(query.stream()), lambda query: query.to_arrow()):
        with pytest.raises(DecodeError, match=words):
            run(read_bson(data))


def test_compressed_files_are_read_when_they_are_opened(tmp_path: Path) -> None:
    wanted = bson.decode_all(SMALL)
    for name, opened in (("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)):
        path = tmp_path / f"x.bson.{name}"
        with opened(path, "wb") as file:
            file.write(SMALL)
        with opened(path) as file:
            query = read_bson(file)
            assert query.to_dicts() == wanted
            assert query.to_dicts() == wanted


@pytest.mark.parametrize("flags", [0x00, 0x01])
def test_a_document_whose_length_reads_like_gzip_is_a_document(flags: int, tmp_path: Path) -> None:
    length = int.from_bytes([0x1F, 0x8B, 0x08, flags], "little")
    document = bson.encode({"b": bytes(length - len(bson.encode({"b": b""})))})
    assert document.startswith(bytes([0x1F, 0x8B, 0x08, flags]))
    for source in sources(document + SMALL, tmp_path / "x.bson"):
        assert len(read_bson(source).read()) == 51
    # A fault after the first document is no other format.
    with pytest.raises(DecodeError, match="length") as caught:
        read_bson(SMALL + gzip.compress(SMALL)).read()
    assert "gzip" not in str(caught.value)
    assert caught.value.document == 50


@pytest.mark.parametrize("data", [b"\x05", b"\xff\xff", b"{", b"[1, 2]", b"\x04\0\0\0", SMALL[:-3], b"text, no format"])
def test_other_malformed_bytes_are_told_as_before(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^malformed BSON: (?!this is)"):
        read_bson(data).read()


INVALID = {
    "a value": bson.encode({"_id": 1, "a": "caf__"}).replace(b"__", b"\xe9!"),
    "a key": bson.encode({"_id": 1, "caf_": 1}).replace(b"_\0", b"\xe9\0", 2).replace(b"\x10_id", b"\x10_id"),
    "in a list": bson.encode({"_id": 1, "a": [{"b": "caf__"}]}).replace(b"__", b"\xe9!"),
    "a pattern": bson.encode({"_id": 1, "a": bson.Regex("caf_")}).replace(b"caf_", b"caf\xe9"),
    "code": bson.encode({"_id": 1, "a": bson.Code("caf_")}).replace(b"caf_", b"caf\xe9"),
}


@pytest.mark.parametrize("name", INVALID)
def test_text_that_is_not_utf8_names_the_option_that_reads_it(name: str) -> None:
    for run in (lambda query: query.read(), lambda query: list(query), lambda query: list(query.stream())):
        with pytest.raises(DecodeError, match=r'UTF-8.*unicode_decode_error_handler="replace" or "ignore"'):
            run(read_bson(INVALID[name]))
        for handler in ("replace", "ignore"):
            options = CodecOptions(unicode_decode_error_handler=handler)
            run(read_bson(INVALID[name], codec_options=options))
            assert read_bson(INVALID[name], codec_options=options).to_dicts() == [
                bson.decode(INVALID[name], options)  # type: ignore[arg-type]
            ]


def test_other_malformed_bson_does_not_name_the_option() -> None:
    with pytest.raises(DecodeError) as caught:
        read_bson(bson.encode({"a": True}).replace(b"\x01\0", b"\x02\0")).read()
    assert "unicode_decode_error_handler" not in str(caught.value)


async def test_text_that_is_not_utf8_of_a_server(client: MongoClient, database: Mongo, mongodb_uri: str) -> None:
    database.c.insert_one(RawBSONDocument(INVALID["a value"]))  # type: ignore[arg-type]
    ours = client[database.name].c
    words = "unicode_decode_error_handler"
    for run in (
        lambda: ours.find().read(),
        lambda: list(ours.find()),
        lambda: ours.find_one(),
    ):
        with pytest.raises(DecodeError, match=words):
            run()
    async with AsyncMongoClient(mongodb_uri) as awaited:
        with pytest.raises(DecodeError, match=words):
            await awaited[database.name].c.find_one()
    with MongoClient(mongodb_uri, unicode_decode_error_handler="replace") as lenient:
        assert lenient[database.name].c.find_one() == {"_id": 1, "a": "caf\N{REPLACEMENT CHARACTER}!"}
        assert lenient[database.name].c.aggregate([{"$group": {"_id": "$a"}}]).to_dicts() == [
            {"_id": "caf\N{REPLACEMENT CHARACTER}!"}
        ]
    # The driver decodes the reply of distinct by itself.
    with pytest.raises(ConnectionFailure, match=f"not UTF-8.*aggregate.*{words}") as caught:
        ours.distinct("a")
    assert "Kind:" not in str(caught.value)
