"""Types of the keyword arguments that calls pass on to a query."""

from __future__ import annotations

from .._typing import ReadConcern, ReadPreference
from ..commands.options import AggregateKeywords, FindKeywords
from .table_options import TableKeywords


class FindOptions(FindKeywords, TableKeywords, total=False):
    """Keyword arguments of `find` for the server's command and for tables."""


class AggregateOptions(AggregateKeywords, TableKeywords, total=False):
    """Keyword arguments of `aggregate` for the server's command and for tables."""

    parallel: int
    ordered: bool
    read_preference: ReadPreference | None
    read_concern: ReadConcern | None
