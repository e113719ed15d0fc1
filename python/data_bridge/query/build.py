"""From the arguments of `aggregate` to a query: databases and collections have the same."""

from __future__ import annotations

from typing import Any, TypeVar

from .._core import InvalidQuery
from ..commands.options import collect
from .base import QueryBase
from .namespace import Namespace
from .plan import AggregatePlan, WritingPlan, writing_stage
from .table_options import REPRESENTATION, reading

Q = TypeVar("Q", bound=QueryBase)


def aggregate(
    kind: type[Q],
    namespace: Namespace,
    pipeline: Any,
    session: Any,
    schema: Any,
    on_conflict: str,
    timeout: Any,
    progress: Any,
    options: dict[str, Any],
) -> Q:
    """A query of class `kind`, a synchronous one of a pipeline that writes having run; consumes `options`."""
    read_preference, read_concern = options.pop("read_preference", None), options.pop("read_concern", None)
    if options.pop("resume", False):
        raise InvalidQuery("this read cannot resume: the rows of an aggregate have no order that is known")
    stored = {name: options.pop(name) for name in REPRESENTATION if name in options}
    replaced = namespace.settings.replace(None, read_preference, None, read_concern)
    ours = {name: options.pop(name) for name in list(options) if name in _AGGREGATE_OPTIONS}
    seconds = replaced.timeout if timeout is ... else timeout
    # Before there is a plan: one that writes warns when it never runs.
    choices = reading(schema, on_conflict, seconds, progress, **stored)
    plan_type = AggregatePlan if writing_stage(pipeline) is None else WritingPlan
    query = kind(plan_type(namespace._replace(settings=replaced), pipeline, collect(ours, options), session), choices)
    if plan_type is WritingPlan:
        query._write()
    return query


_AGGREGATE_OPTIONS = frozenset(
    ["allow_disk_use", "batch_size", "bypass_document_validation", "collation", "comment", "hint", "let", "max_time_ms"]
)
