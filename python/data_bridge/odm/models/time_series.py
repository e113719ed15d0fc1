"""Time series: `Settings.timeseries` of a model."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..filters.expressions import key_of
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
        For a setting that is no TimeSeriesConfig and no mapping of its fields.
    AttributeError
        For an undeclared field.
    """
    if isinstance(config, Mapping):
        try:
            config = TimeSeriesConfig(**config)
        except TypeError as error:
            raise TypeError(f"{model.__name__}.Settings.timeseries: {error}") from None
    if not isinstance(config, TimeSeriesConfig):
        raise TypeError(
            f"{model.__name__}.Settings.timeseries must be a TimeSeriesConfig or a mapping, got {type(config).__name__}"
        )
    options = {
        "timeField": key_of(resolve(model, config.time_field)),
        "metaField": None if config.meta_field is None else key_of(resolve(model, config.meta_field)),
        "granularity": None if config.granularity is None else Granularity(config.granularity).value,
        "bucketMaxSpanSeconds": config.bucket_max_span_seconds,
        "bucketRoundingSeconds": config.bucket_rounding_seconds,
    }
    made: dict[str, Any] = {"timeseries": {name: value for name, value in options.items() if value is not None}}
    if config.expire_after_seconds is not None:
        made["expireAfterSeconds"] = config.expire_after_seconds
    return made
