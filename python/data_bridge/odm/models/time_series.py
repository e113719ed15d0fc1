"""Time series: `Settings.timeseries` of a model."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from bson.datetime_ms import DatetimeMS

from ..converters.converter import Converter
from ..converters.metadata import library_of
from ..errors import Mismatch
from ..filters.expressions import converter_at, key_of
from ..filters.lookup import resolve


class Granularity(str, enum.Enum):
    """The usual time between two documents with equal `meta_field`."""

    seconds = "seconds"
    minutes = "minutes"
    hours = "hours"


class TimeSeriesConfig(NamedTuple):
    """The options of a time series; fields by their names in the model.

    Attributes
    ----------
    time_field
        The field of the time of each document.
    meta_field
        The field that says what a document measures; it rarely changes.
    granularity
        "seconds", "minutes" or "hours".
    bucket_max_span_seconds, bucket_rounding_seconds
        Sizes of the server's buckets, in place of a granularity, since MongoDB 6.3.
    expire_after_seconds
        The server deletes older documents.
    """

    time_field: str
    meta_field: str | None = None
    granularity: Granularity | str | None = None
    bucket_max_span_seconds: int | None = None
    bucket_rounding_seconds: int | None = None
    expire_after_seconds: int | None = None


def time_series_options(model: Any, config: object) -> dict[str, Any]:
    """Return the options of the collection of a time series.

    Raises
    ------
    TypeError
        For a setting that is no TimeSeriesConfig, of this package or of Beanie, and no mapping of its fields, and for
        a `time_field` that has no times.
    AttributeError
        For an undeclared field.
    """
    if library_of(config) == "beanie":
        config = {name: each for name in _BEANIES if (each := vars(config).get(name)) is not None}
        # The older name of a field.
        config.setdefault("bucket_rounding_seconds", config.pop("bucket_rounding_second", None))
    if isinstance(config, Mapping):
        try:
            config = TimeSeriesConfig(**config)
        except TypeError as error:
            raise TypeError(f"{model.__name__}.Settings.timeseries: {error}") from None
    if not isinstance(config, TimeSeriesConfig):
        raise TypeError(
            f"{model.__name__}.Settings.timeseries must be a TimeSeriesConfig or a mapping, got {type(config).__name__}"
        )
    time = resolve(model, config.time_field)
    if not _takes_times(converter_at(time)):
        raise TypeError(
            f"{model.__name__}.Settings.timeseries: the time_field {config.time_field!r} is "
            f"{converter_at(time).name}, and the server takes documents with a time only: declare it as datetime"
        )
    options = {
        "timeField": key_of(time),
        "metaField": None if config.meta_field is None else key_of(resolve(model, config.meta_field)),
        "granularity": None if config.granularity is None else Granularity(config.granularity).value,
        "bucketMaxSpanSeconds": config.bucket_max_span_seconds,
        "bucketRoundingSeconds": config.bucket_rounding_seconds,
    }
    made: dict[str, Any] = {"timeseries": {name: value for name, value in options.items() if value is not None}}
    if config.expire_after_seconds is not None:
        made["expireAfterSeconds"] = config.expire_after_seconds
    return made


_BEANIES = (*TimeSeriesConfig._fields, "bucket_rounding_second")
_TIMES = tuple(
    day
    for year in (2000, 9000)
    for day in (dt.datetime(year, 1, 1), dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc), dt.date(year, 1, 1))
)
"""Times that fields of times take: of the past and the future, with a zone and without."""


def _takes_times(converter: Converter) -> bool:
    """Return whether a field stores times as BSON dates."""
    for time in _TIMES:
        try:
            if isinstance(converter.operand(time), (dt.datetime, DatetimeMS)):
                return True
        except (Mismatch, ValueError):
            continue
    return False
