"""Queries over BSON at hand: files, bytes, streams; no server."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .. import _core
from .._typing import Projection, Sort
from ..connection.codec import DEFAULT, native
from .query import Query
from .table_options import ReadOptions, TableKeywords, TableOptions

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from typing_extensions import Unpack

    from .._typing import Progress

_CHUNK = 1 << 20
_LENGTH = struct.Struct("<i")
_Open = Callable[[_core.Codec, bool], _core.Reader]


def read_bson(
    source: object,
    *,
    codec_options: CodecOptions[Any] | None = None,
    progress: Progress = None,
    **table_options: Unpack[TableKeywords],
) -> Query:
    """A query over BSON documents, one after the other: a mongodump file, PyMongo's raw batches, bytes.

    Parameters
    ----------
    source
        A path (str or PathLike); an object with the buffer protocol (bytes, memoryview, ...); a binary file, read from
        its position; or an iterable of such buffers, each of whole documents. A file that cannot seek and an
        iterator can be read once.
    codec_options
        Conversion of values to Python objects; `bson.codec_options.CodecOptions`.
    progress
        As for `Collection.find`.
    table_options
        schema, on_conflict, types, objectid, uuid, decimal, mixed, strings, flatten; as for `Collection.find`.

    Returns
    -------
    Query
        Without what needs a server: filters, sort, skip, limit, project, explain raise TypeError.

    Raises
    ------
    TypeError
        When `source` is none of these.
    ValueError
        For an option that is not supported.

    Examples
    --------
    >>> import bson, data_bridge
    >>> data_bridge.read_bson(bson.encode({"a": 1}) + bson.encode({"a": 2})).to_dicts()
    [{'a': 1}, {'a': 2}]
    """
    keywords: dict[str, Any] = {**table_options}
    codec = native(DEFAULT if codec_options is None else codec_options)
    options = ReadOptions.check(TableOptions.take(keywords), None, progress, codec)
    for name in keywords:
        raise TypeError(f"read_bson() has no argument {name!r}")
    name, opened = _open(source)
    return Query(_BytesPlan(name, opened, codec), options)


def _open(source: Any) -> tuple[str, _Open]:
    """Return the name of the source, and the function that starts a run of it."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        return path, lambda codec, eager: _core.read_file(path, codec=codec, eager=eager)
    try:
        memoryview(source).release()
    except TypeError:
        pass
    else:
        return "bytes", lambda codec, eager: _core.read_bytes(source, codec=codec, eager=eager)
    if callable(getattr(source, "read", None)):
        again = _file_again(source)
    elif isinstance(source, Iterable):
        again = _once(source) if isinstance(source, Iterator) else lambda: iter(source)
    else:
        raise TypeError(
            f"read_bson() takes a path, bytes, a binary file or an iterable of bytes, got {type(source).__name__}"
        )
    name = "file" if hasattr(source, "read") else "iterable"
    return name, lambda codec, eager: _core.read_iterable(again(), codec=codec, eager=eager)


def _once(iterator: Iterator[Any]) -> Callable[[], Iterator[Any]]:
    taken = False

    def take() -> Iterator[Any]:
        nonlocal taken
        if taken:
            raise RuntimeError("this source can be read only once, and was: use read() and keep the Result")
        taken = True
        return iterator

    return take


def _file_again(file: Any) -> Callable[[], Iterator[Any]]:
    try:
        start = file.tell() if file.seekable() else None
    except (AttributeError, OSError):
        start = None
    if start is None:
        return _once(_chunks(file))

    def rewound() -> Iterator[bytes]:
        file.seek(start)
        return _chunks(file)

    return rewound


def _chunks(file: Any) -> Iterator[bytes]:
    """The file in buffers of whole documents. What cannot be one goes on as it is, for the decoder to refuse."""
    rest = b""
    # Reading as much again as is left keeps the copying linear when a document is larger than a chunk.
    while data := file.read(max(_CHUNK, len(rest))):
        if not isinstance(data, bytes):
            raise TypeError(f"the file must be opened in binary mode; read() gave {type(data).__name__}")
        data = rest + data
        end = _whole_documents(data)
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _whole_documents(data: bytes) -> int:
    """Return the end of the last whole document; the end of the data for a length that no document can have."""
    position = 0
    while position + 4 <= len(data):
        length = _LENGTH.unpack_from(data, position)[0]
        if length < 5:
            return len(data)
        if position + length > len(data):
            break
        position += length
    return position


class _BytesPlan:
    """A run over bytes; nothing can be chained to it."""

    def __init__(self, name: str, opened: _Open, codec: _core.Codec) -> None:
        self._name = name
        self._open = opened
        self.codec = codec

    def start(self, timeout: float | None, *, eager: bool) -> _core.Reader:
        return self._open(self.codec, eager)

    def _refuse(self, method: str) -> NoReturn:
        raise TypeError(f"{method}() needs a server: read_bson() reads all documents as they are")

    def with_option(self, name: str, value: object) -> NoReturn:
        self._refuse(name)

    def sort(self, keys: Sort, direction: int | None) -> NoReturn:
        self._refuse("sort")

    def skip(self, count: int) -> NoReturn:
        self._refuse("skip")

    def limit(self, count: int) -> NoReturn:
        self._refuse("limit")

    def project(self, projection: Projection) -> NoReturn:
        self._refuse("project")

    def narrowed(self, keys: Sequence[str]) -> _BytesPlan:
        return self

    def columns(self) -> None:
        return None

    def first(self) -> None:
        return None

    def explain(self, verbosity: str, timeout: float | None) -> NoReturn:
        self._refuse("explain")

    def decoded(self, reply: bytes) -> NoReturn:
        self._refuse("explain")

    def request(self) -> dict[str, object]:
        return {}

    def __repr__(self) -> str:
        return f"read_bson of {self._name}"
