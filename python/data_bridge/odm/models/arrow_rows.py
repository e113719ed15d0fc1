"""Instances over the rows of Arrow data."""

from __future__ import annotations

from typing import Any

from ...query.result import Result, from_arrow
from .registration import codec_options_of


def instances(model: Any, data: object) -> list[Any]:
    """Return an instance of `model` for each row of `data`."""
    # A result still has its documents, so no table is needed.
    result = data if isinstance(data, Result) else from_arrow(data, codec_options=codec_options_of(model))
    # Never whole: a table has no undeclared keys of its documents.
    maker = model.__odm__.maker(False, model.__odm__.in_tree)
    made: list[Any] = result._data.instances(maker)
    return made
