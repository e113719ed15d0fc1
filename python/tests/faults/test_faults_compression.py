"""Compressed messages, and replies that are larger than a message may be when they are inflated."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator

import pytest
from proxy import HEADER, OP_MSG, Link, Proxy
from servers import Admin

from data_bridge import ConnectionFailure, MongoClient

OP_COMPRESSED = 2012
MB = 1 << 20
ZEROS = 400 * MB
"""The size of a reply that is refused."""
COMPRESSORS = ("snappy", "zlib", "zstd")

# Prints the error of a read, by how many kilobytes the process grew, and what it reads afterwards.
CHILD = """
import json, sys
import data_bridge

def kilobytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

client = data_bridge.MongoClient(sys.argv[1])
client.admin.command("ping")
before = kilobytes()
try:
    client.compression.c.find().to_arrow()
except data_bridge.ConnectionFailure as error:
    print(json.dumps([str(error), kilobytes() - before, client.compression.c.count_documents({})]))
"""


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        admin.compression.c.insert_one({"_id": 1})
        yield admin
        admin.drop_database("compression")


def snappy_zeros(size: int) -> bytes:
    """A block: its size, one zero, and copies of 64 bytes."""
    head, left = bytearray(), size
    while left > 127:
        head.append(left & 127 | 128)
        left >>= 7
    copies, rest = divmod(size - 1, 64)
    return bytes([*head, left, 0, 0]) + b"\xfe\x01\x00" * copies + bytes([rest - 1 << 2 | 2, 1, 0])


def zlib_zeros(size: int) -> bytes:
    return zlib.compress(bytes(size), 1)


def zstd_zeros(size: int) -> bytes:
    """A frame that does not state its size: blocks of 128 KiB, each of one repeated byte."""
    blocks = size >> 17
    block = ((1 << 17) << 3 | 2).to_bytes(3, "little") + b"\0"
    last = bytes([block[0] | 1]) + block[1:]
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * (blocks - 1) + last


NUMBERED = list(enumerate((snappy_zeros, zlib_zeros, zstd_zeros), 1))


def compressed(number: int, data: bytes, stated: int) -> Callable[[Link, bytes], None]:
    """Replace a reply by a compressed one that states `stated` bytes."""

    def spoil(link: Link, reply: bytes) -> None:
        _, request, response_to, _ = HEADER.unpack_from(reply)
        payload = struct.pack("<iiB", OP_MSG, stated, number) + data
        link.send(HEADER.pack(HEADER.size + len(payload), request, response_to, OP_COMPRESSED) + payload)

    return spoil


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("stated", [ZEROS, 100])
@pytest.mark.parametrize(("number", "zeros"), NUMBERED)
def test_a_reply_that_is_too_large(proxy: Proxy, number: int, zeros: Callable[[int], bytes], stated: int) -> None:
    proxy.spoil("find", 1, compressed(number, zeros(ZEROS), stated))
    done = subprocess.run([sys.executable, "-c", CHILD, proxy.uri], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, grown, afterwards = json.loads(done.stdout)
    assert f"with {COMPRESSORS[number - 1]}: more than the 48000000 bytes of a message" in message
    assert grown << 10 < 200 * MB
    assert afterwards == 1


@pytest.mark.parametrize(("number", "zeros"), NUMBERED)
def test_a_reply_that_is_not_a_message(proxy: Proxy, number: int, zeros: Callable[[int], bytes]) -> None:
    """The codecs inflate what the test above sends, where it is less."""
    client = MongoClient(proxy.uri)
    for data, stated in ((zeros(MB), MB), (zeros(MB), MB + 1), (zeros(MB)[:-9], MB), (b"no data", 7), (b"", 0)):
        proxy.spoil("find", (1, 2), compressed(number, data, stated))
        with pytest.raises(ConnectionFailure) as caught:
            client.compression.c.find().to_arrow()
        assert "48000000" not in str(caught.value)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_compressed_messages(admin: Admin, faulty_uri: str, compressor: str) -> None:
    """Both ways, and the server has seen them."""

    def inflated() -> int:
        status = admin.admin.command("serverStatus")["network"]["compression"]
        return int(status[compressor]["decompressor"]["bytesOut"])

    documents = [{"_id": i, "text": f"text {i % 7} " * 60, "double": i / 7} for i in range(3_000)]
    before = inflated()
    with MongoClient(faulty_uri, compressors=compressor) as client:
        collection = client.compression[compressor]
        collection.insert_many(documents)
        assert inflated() - before > MB
        assert list(admin.compression[compressor].find()) == documents
        assert collection.find().to_dicts() == documents
        assert collection.find(batch_size=100).to_dicts() == documents
