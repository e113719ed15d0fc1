"""Following links: one query for each field of links, however many documents there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .containers import ListPlan
from .link import BackLink, Link, _restored
from .steps import Steps

IDS_AT_A_TIME = 100_000
"""Ids in one `$in`: a command is 16 MB at most."""


def fetch(model: Any, instances: list[Any], session: Any, elsewhere: Any = None) -> Steps[None]:
    """Read what the links of `instances` refer to, in the database of `init` or elsewhere."""
    fields = {
        id(field): field
        for cls in {model, *(type(each) for each in instances)}
        for field in getattr(getattr(cls, "__odm__", None), "fields", {}).values()
        if field.plan.links is not None
    }
    for field in fields.values():
        holders = [each for each in instances if field in type(each).__odm__.fields.values()]
        if field.plan.virtual:
            yield from _fetch_back(field, _target(field, elsewhere), holders, session)
        else:
            yield from _fetch_forward(field, _target(field, elsewhere), holders, session)


def _target(field: Any, elsewhere: Any) -> Any:
    target = field.plan.links.target
    return target if elsewhere is None else elsewhere.model(target)


def _fetch_forward(field: Any, target: Any, instances: list[Any], session: Any) -> Steps[None]:
    links = [link for each in instances for link in _links_in(getattr(each, field.name))]
    found = yield from _find(target, ["_id"], [_stored_id(target, link.id) for link in links], session)
    by_id = {_key(each.id): each for each in found}
    for link in links:
        link._resolved(by_id.get(_key(link.id)))


def _fetch_back(field: Any, target: Any, instances: list[Any], session: Any) -> Steps[None]:
    plan = field.plan.links
    original = target.__odm__.path(plan.original)
    if original._plan.links is None or original._plan.virtual:
        raise TypeError(f"{field.path!r}: {original!r} is no Link")
    # A link is a DBRef; other programs store the bare _id.
    keys = [f"{original._key}.$id", original._key]
    ids = [_stored_id(type(each), each.id) for each in instances]
    found = yield from _find(target, keys, ids, session)
    by_id: dict[Any, list[Any]] = {}
    for each in found:
        for link in _links_in(getattr(each, plan.original)):
            by_id.setdefault(_key(link.id), []).append(each)
    several = isinstance(field.plan, ListPlan)
    for instance in instances:
        back = [_restored(BackLink, target, each.id, each, True) for each in by_id.get(_key(instance.id), ())]
        instance._kept[field.name] = back if several else (back[0] if back else None)


def _find(model: Any, keys: list[str], ids: list[Any], session: Any) -> Steps[list[Any]]:
    wanted = list({_key(each): each for each in ids if each is not None}.values())
    found: list[Any] = []
    for start in range(0, len(wanted), IDS_AT_A_TIME):
        conditions = [{key: {"$in": wanted[start : start + IDS_AT_A_TIME]}} for key in keys]
        condition = conditions[0] if len(conditions) == 1 else {"$or": conditions}
        found += yield from model.find(condition, with_children=True, session=session)._list()
    return found


def _stored_id(model: Any, id: Any) -> Any:
    return None if id is None else model.__odm__.fields["id"].dump(id)


def _links_in(value: Any) -> Iterator[Link[Any]]:
    if isinstance(value, Link):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _links_in(each)


def _key(id: Any) -> Any:
    """`id` as a key of a dict, also where it is a document."""
    try:
        hash(id)
    except TypeError:
        return repr(id)
    return id
