"""The options of a find command, with the changes that chained methods of queries make to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._typing import Projection, Sort
from ..commands.options import find_options, pairs, projection_of, with_option


class FindCommand:
    """A find without its namespace and filter, immutable: checked options, by the driver's names.

    The plan of a find has one. A query over models has one as well, since its collection and filter are known later.
    """

    __slots__ = ("options",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    @classmethod
    def of(cls, projection: Projection | None, sort: Sort | None) -> FindCommand:
        """Return the command with these options; None leaves one out.

        Raises
        ------
        TypeError, InvalidQuery
            For a value that is not supported.
        """
        options: dict[str, Any] = {}
        if projection is not None:
            options["projection"] = projection_of(projection)
        if sort is not None and (order := pairs("sort", sort)):
            options["sort"] = order
        return cls(options) if options else ANY

    @property
    def projection(self) -> Mapping[str, Any] | None:
        """The keys that the server returns; None for all."""
        return self.options.get("projection")

    def with_keywords(self, keywords: Mapping[str, Any]) -> FindCommand:
        """Return the command with more options, by the names of the arguments of `find`. Raises as `find_options`."""
        options = find_options(keywords)
        return FindCommand({**self.options, **options}) if options else self

    def with_option(self, name: str, value: object) -> FindCommand:
        """Return the command with one option changed, or without it for the server's default."""
        return FindCommand(with_option(self.options, name, value))

    def sort(self, keys: Sort, direction: int | None = None) -> FindCommand:
        """Return the command with another order; no keys for none."""
        order = pairs("sort", keys, direction)
        return self._with("sort", order) if order else self._without("sort")

    def skip(self, count: int) -> FindCommand:
        """Return the command that leaves out the first `count` documents."""
        return self.with_option("skip", count)

    def limit(self, count: int) -> FindCommand:
        """Return the command for at most `count` documents; 0 for all."""
        return self.with_option("limit", count)

    def project(self, projection: Projection) -> FindCommand:
        """Return the command for these keys."""
        return self._with("projection", projection_of(projection))

    def whole(self) -> FindCommand:
        """Return the command for whole documents."""
        return self._without("projection")

    def narrowed(self, keys: Sequence[str]) -> FindCommand:
        """Return the command for these top-level keys and `_id`; itself where that could change a value."""
        own = self.options.get("projection") or {}
        # Other false values are not the same: null, "" and {} are values that `_id` gets.
        without_id = own == {"_id": 0}
        # Only whole keys: of an "a.b" the server drops scalars and items of lists. The user's own projection stays.
        if (own and not without_id) or self.options.get("returnKey") or any(not _can_project(key) for key in keys):
            return self
        projection = dict.fromkeys([*keys, _nowhere(keys)], 1)
        if without_id:
            projection["_id"] = 0
        return self._with("projection", projection)

    def first(self) -> FindCommand:
        """Return the command for one document."""
        # A negative limit requests one reply and no cursor.
        return self if self.options.get("limit") == -1 else self._with("limit", -1)

    def stages(self) -> list[dict[str, Any]]:
        """Return the stages of a pipeline that select the same documents, in the same order."""
        sort, skip, limit = (self.options.get(name) for name in ("sort", "skip", "limit"))
        stages = [{"$sort": sort}, {"$skip": skip}, {"$limit": limit and abs(limit)}]
        return [stage for stage in stages if any(stage.values())]

    def _with(self, name: str, value: object) -> FindCommand:
        return FindCommand({**self.options, name: value})

    def _without(self, name: str) -> FindCommand:
        return FindCommand({each: value for each, value in self.options.items() if each != name})


ANY = FindCommand({})
"""The command for all documents, in any order."""


def projected(projection: object) -> list[str] | None:
    """The top-level keys of documents with this projection; None for one that names keys to leave out."""
    if not isinstance(projection, Mapping):
        return None
    fields = {key: value for key, value in projection.items() if key != "_id"}
    is_flag = {key: isinstance(value, (bool, int, float)) for key, value in fields.items()}
    if not any(is_flag[key] and value for key, value in fields.items()):
        # Operators alone, such as $slice, leave the other keys in.
        return None
    keys = dict.fromkeys(key.partition(".")[0] for key, value in fields.items() if value or not is_flag[key])
    return [*keys] if projection.get("_id", 1) in (0, False) else ["_id", *keys]


def _nowhere(keys: Sequence[str]) -> str:
    """A key that no document has. Also keeps an index from covering the query, which gives null for a missing key."""
    name = "data_bridge_nowhere"
    while name in keys:
        name += "_"
    return name


def _can_project(key: str) -> bool:
    """Return whether the server reads `key` in a projection as that key."""
    return bool(key) and "." not in key and not key.startswith("$")
