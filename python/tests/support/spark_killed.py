"""Data sources whose worker dies once, in the middle of a read or of a write. Workers of Spark import this module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import engine_sources
import pymongo

from data_bridge.engines.spark import DefaultSource, SparkReader, SparkWriter

MARK = "DATA_BRIDGE_KILL_MARK"
"""The environment variable with the path of the file that says that a worker has died."""


class KilledReader(SparkReader):
    """Dies behind the first batch of a partition."""

    def read(self, partition: Any) -> Iterator[Any]:
        """Yield batches of a partition."""
        for number, batch in enumerate(super().read(partition)):
            if number:
                engine_sources.die_once(os.environ[MARK])
            yield batch


class KilledWriter(SparkWriter):
    """Dies when some batches of a task are written."""

    def write(self, iterator: Iterator[Any]) -> Any:
        """Write the rows of a task."""

        def stored() -> int:
            with pymongo.MongoClient[Any](os.environ["MONGODB_URI"]) as client:
                place = client[self._options.get("database")][self._options.get("collection")]
                return place.count_documents({})

        def batches() -> Iterator[Any]:
            for number, batch in enumerate(iterator):
                if number == 8:
                    engine_sources.die_once(os.environ[MARK], stored)
                yield batch

        return super().write(batches())


class KilledSource(DefaultSource):
    """The data source with these."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "data_bridge_killed"

    def reader(self, schema: Any) -> SparkReader:
        """Return the reader."""
        made = super().reader(schema)
        made.__class__ = KilledReader
        return made

    def writer(self, schema: Any, overwrite: bool) -> SparkWriter:
        """Return the writer."""
        made = super().writer(schema, overwrite)
        made.__class__ = KilledWriter
        return made


class FailingSource(DefaultSource):
    """The data source whose writes fail behind the first batch."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "data_bridge_failing"

    def writer(self, schema: Any, overwrite: bool) -> SparkWriter:
        """Return the writer."""
        made = super().writer(schema, overwrite)
        made.__class__ = FailingWriter
        return made


class FailingWriter(SparkWriter):
    """Fails when some batches of a task are written."""

    def write(self, iterator: Iterator[Any]) -> Any:
        """Write a part of the rows of a task."""

        def batches() -> Iterator[Any]:
            for number, batch in enumerate(iterator):
                if number:
                    raise ValueError("this write fails")
                yield batch

        return super().write(batches())
