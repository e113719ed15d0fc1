"""The base of the queries of both sides: chained methods, which send nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from .query_spec import QuerySpec

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

FETCHED_AT_A_TIME = 1000
"""Instances of a live iteration whose links are fetched by one query."""


class ModelQueryBase(Generic[T]):
    """A query for instances of a model, which has not run: immutable, may be run any number of times.

    Chained methods return a new query. The filter is checked when the query is made, so that a mistake is raised before
    anything is sent.
    """

    __slots__ = ("_spec",)

    def __init__(self, spec: QuerySpec) -> None:
        self._spec = spec

    # ---- chained ----------------------------------------------------------------------------------------------------

    def find(self, *filters: object, **options: Any) -> Self:
        """Add conditions, all of which must match; `options` as for `Document.find`."""
        return type(self)(self._spec.found(filters, options))

    def sort(self, *keys: object) -> Self:
        """Sort by `-User.age`, `User.age`, "-age", ("age", -1), or a list of these."""
        return type(self)(self._spec.sorted(keys))

    def skip(self, count: int) -> Self:
        """Skip the first `count` documents."""
        return type(self)(self._spec.changed(command=self._spec.command.skip(count)))

    def limit(self, count: int) -> Self:
        """Read at most `count` documents; 0 means all."""
        return type(self)(self._spec.changed(command=self._spec.command.limit(count)))

    def with_children(self, with_children: bool = True) -> Self:
        """Include documents of derived classes, each as an instance of its class."""
        return type(self)(self._spec.changed(with_children=with_children))

    def fetch_links(
        self,
        fetch_links: bool = True,
        *,
        nesting_depth: int | None = None,
        nesting_depths_per_field: Mapping[str, int] | None = None,
    ) -> Self:
        """Fetch linked documents too, with one more query for each field of links, for any number of documents.

        Parameters
        ----------
        nesting_depth
            The levels to fetch: 2 also fetches the documents that the linked documents link to. By default that of
            `Settings.max_nesting_depth`.
        nesting_depths_per_field
            Other levels below fields of the model, by their names.

        These queries have the query's session, timeout, max_time_ms, comment, read preference and read concern. Links
        are fetched for instances: tables, plain Documents and `aggregate` raise InvalidQuery.
        """
        given = {"nesting_depth": nesting_depth, "nesting_depths_per_field": nesting_depths_per_field}
        given = {name: value for name, value in given.items() if value is not None}
        return type(self)(self._spec.found((), {"fetch_links": fetch_links, **given}))

    def get_filter_query(self) -> Mapping[str, Any]:
        """Return the filter as it is sent."""
        return self._spec.filter

    def __repr__(self) -> str:
        return f"{self._spec.model.__name__}.find({dict(self._spec.filter)!r})"

    def _repr_html_(self) -> str:
        """Return the request for notebooks; never runs it."""
        shown: str = self._spec.document_query._repr_html_()
        return shown

    def __bool__(self) -> NoReturn:
        raise TypeError("a query has no truth value: use exists(), count(), or to_list()")


def spec_of(query: ModelQueryBase[Any]) -> QuerySpec:
    """Return the specification of a query."""
    return query._spec
