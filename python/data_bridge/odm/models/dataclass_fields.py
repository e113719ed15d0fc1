"""The fields of a model as those of a dataclass, for libraries that ask `dataclasses.is_dataclass`."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from .instance_state import MISSING


class DataclassFields:
    """The attribute `__dataclass_fields__` of models: made on the first access, without fields that are not dumped."""

    def __get__(self, instance: Any, owner: type[Any]) -> dict[str, dataclasses.Field[Any]]:
        info = owner.__odm__
        found: dict[str, dataclasses.Field[Any]] | None = info.__dict__.get("dataclass_fields")
        if found is None:
            fields = [each for each in info.fields.values() if not each.options.exclude and not each.converter.virtual]
            # A new class, as only `dataclasses` itself makes such fields.
            made = dataclasses.make_dataclass(
                owner.__name__, [(each.name, each.converter.annotation, _field(each)) for each in fields], kw_only=True
            )
            info.dataclass_fields = found = made.__dataclass_fields__  # type: ignore[attr-defined]
        return found


def _field(field: Any) -> Any:
    options = field.options
    if options.default_factory is not None:
        return dataclasses.field(default_factory=options.default_factory)
    if field.required:
        return dataclasses.field()
    default = None if options.default is MISSING else options.default
    try:
        hash(default)
    except TypeError:
        return dataclasses.field(default_factory=field.default)
    return dataclasses.field(default=default)


PARAMETERS = SimpleNamespace(
    init=True, repr=False, eq=True, order=False, unsafe_hash=False, frozen=False, match_args=False, kw_only=True,
    slots=False, weakref_slot=False,
)  # fmt: skip
"""The attribute `__dataclass_params__`, which `pprint` reads."""
