"""Plans of unions, and which unions of models can be told apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, reduce
from itertools import combinations
from operator import or_
from typing import Any

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.int64 import Int64

from ..._core import Document
from ..errors import Mismatch
from .choice_converter import ChoicePlan
from .containers import DictPlan, EmbeddedPlan, ListPlan, TuplePlan
from .conversions import DatePlan, DecimalPlan, UuidPlan
from .converter import CLASS_KEY, NULL, AnyPlan, NonePlan, Plan, ScalarPlan, models_of


class UnionPlan(Plan):
    """A | B, Optional[T]: the first member that fits exactly, else the first that fits at all.

    Of several embedded models it is the one whose class the document names, or whose tag it bears, or the only one
    whose fields are those of the document; where more than one would do, none is taken.
    """

    def __init__(self, members: list[Plan]) -> None:
        self.members: list[Plan] = []
        for each in members:
            self.members += each.members if isinstance(each, UnionPlan) else [each]
        members = self.members
        self.name = " | ".join(each.name for each in members)
        self.keeps = any(each.keeps for each in members)
        self.deep = any(each.deep for each in members)
        self.nullable = any(each.nullable for each in members)
        others = [each for each in members if not isinstance(each, NonePlan)]
        self._alone = others[0] if len(others) == 1 else None
        self.embedded = [each for each in others if isinstance(each, EmbeddedPlan)]
        self._others = [each for each in members if not isinstance(each, EmbeddedPlan)]
        if self._alone is not None:
            self.direct = self._alone.direct | (NULL if self.nullable else 0)
            self.model, self.item, self.keyed = self._alone.model, self._alone.item, self._alone.keyed
            self.virtual = self._alone.virtual
            self.free, self.links, self.attribute = self._alone.free, self._alone.links, self._alone.attribute  # type: ignore[method-assign]
        elif any(each.virtual for each in members):
            raise TypeError("a BackLink stands alone or in a list: nothing is stored for it")
        elif all(isinstance(each, (NonePlan, ScalarPlan)) or each.keeps for each in members):
            self.direct = reduce(or_, (each.direct for each in members))

    def for_field(self, field: Any) -> Plan:
        return UnionPlan([each.for_field(field) for each in self.members])

    def attribute(self, name: str) -> tuple[str, Any] | None:
        """As of one model, where all that declare the name mean the same by it."""
        found = [each for plan in self.embedded if (each := plan.attribute(name)) is not None]
        meant = {(key, source.plan.name) for key, source in found}
        return found[0] if len(meant) == 1 else None

    def below(self, step: int | str) -> Plan | None:
        return None if self._alone is None else self._alone.below(step)

    def parts(self) -> list[Plan]:
        return self.members

    def models(self) -> list[Any] | None:
        return models_of(self.members)

    # ---- conversions ------------------------------------------------------------------------------------------------

    def load(self, stored: Any, place: Any) -> Any:
        if stored is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.load(stored, place)
        if self.embedded and isinstance(stored, Document):
            return self._load_document(stored, place)
        return self._first(stored, lambda plan: plan.load(stored, place))

    def _load_document(self, stored: Document, place: Any) -> Any:
        models = self._models(stored.get(CLASS_KEY))
        if len(models) == 1 and (models[0].in_tree or models == self.embedded):
            return models[0].load(stored, place)
        tag = self._tag
        if tag is not None and tag[0] in stored:
            for choice, plan in tag[1]:
                if _fits(choice, stored[tag[0]]):
                    return plan.load(stored, place)
        fitting = [each for each in (plan.load(stored, place) for plan in models) if each._fits()]
        if fitting:
            return self._best(stored, fitting, lambda each: set(each._unknown()))
        return self._first(stored, lambda plan: plan.load(stored, place), self._others)

    def _models(self, class_id: Any) -> list[EmbeddedPlan]:
        """The models that a document with this name of a class, or None, may be of."""
        plain = [each for each in self.embedded if not each.in_tree]
        if class_id is None:
            # Documents from before there was a tree are read as of one, where nothing else could be meant.
            any_dict = any(isinstance(each, (DictPlan, AnyPlan)) for each in self.members)
            return plain or ([] if any_dict else self.embedded)
        return next(([each] for each in self.embedded if each.in_tree and each.knows(class_id)), plain)

    def _best(self, value: Any, fitting: list[Any], unknown: Callable[[Any], set[str]]) -> Any:
        """Of instances that fit, the one with the fewest keys that its class does not declare."""
        first, *rest = sorted(((unknown(each), each) for each in fitting), key=lambda pair: len(pair[0]))
        if all(first[0] < other for other, _ in rest):
            return first[1]
        names = " and ".join(type(each).__name__ for each in fitting)
        raise Mismatch(f"one of {self.name}", value, found=f"a document that may be {names}")

    @cached_property
    def _tag(self) -> tuple[str, list[tuple[Plan, EmbeddedPlan]]] | None:
        """The key of a field that is a Literal or Enum in all models, with no value in two of them; who has which."""
        models = [plan for plan in self.embedded if not plan.in_tree]
        for key in models[0].model.__odm__.by_key if models else ():
            fields = [plan.model.__odm__.by_key.get(key) for plan in models]
            choices = [field.plan for field in fields if field is not None and isinstance(field.plan, ChoicePlan)]
            if len(choices) == len(models) and all(_apart(*pair) for pair in combinations(choices, 2)):
                return key, list(zip(choices, models, strict=True))
        return None

    def accept(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.accept(value)
        if self.embedded and isinstance(value, Mapping):
            return self._of_mapping(value)
        return self._first(value, lambda plan: plan.accept(value))

    def _of_mapping(self, value: Mapping[str, Any]) -> Any:
        fitting = []
        for plan in self._models(value.get(CLASS_KEY)):
            try:
                fitting.append(plan.accept(value))
            except (Mismatch, ValueError):
                continue
        made = {type(each): each for each in fitting}
        if made:
            return self._best(value, list(made.values()), lambda _: set())
        return self._first(value, lambda plan: plan.accept(value), self._others)

    def dump(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.dump(value)
        if self.embedded and isinstance(value, Mapping):
            value = self._of_mapping(value)
        return self._first(value, lambda plan: plan.dump(value))

    def operand(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if self._alone is not None:
            return self._alone.operand(value)
        return self._first(value, lambda plan: plan.operand(value))

    def _first(self, value: Any, convert: Any, members: Iterable[Plan] | None = None) -> Any:
        members = list(self.members if members is None else members)
        for plan in sorted(members, key=lambda plan: not plan.exact(value)):
            try:
                return convert(plan)
            except (Mismatch, ValueError):
                continue
        raise self.fail(value)

    def exact(self, value: Any) -> bool:
        return any(each.exact(value) for each in self.members)

    # ---- what can be told apart -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse a union of models of which one's documents could be another's.

        Raises
        ------
        TypeError
            For such a union, with what to do about it.
        """
        for kinds in ((ListPlan, TuplePlan), (DictPlan,)):
            several = [each for each in self.members if isinstance(each, kinds) and _embeds(each)]
            if len(several) > 1:
                names = " and ".join(each.name for each in several)
                raise TypeError(f"{names} cannot be told apart where they are stored: write list[A | B]")
        plain = [each for each in self.embedded if not each.in_tree]
        if plain and any(isinstance(each, (DictPlan, AnyPlan)) for each in self.members):
            raise TypeError(f"{self.name}: a dict may be a document of {plain[0].name}; {_ADVICE}")
        classes: dict[str, Any] = {}
        for info in (each for plan in self.embedded if plan.in_tree for each in plan.model.__odm__.descendants()):
            if classes.setdefault(info.class_id, info.cls) is not info.cls:
                raise TypeError(f"{self.name}: two classes have the name {info.class_id!r} in documents")
        for one, other in combinations(plain, 2):
            if _covers(one, other) or _covers(other, one):
                raise TypeError(f"{one.name} | {other.name}: a document of one may be one of the other; {_ADVICE}")


_ADVICE = (
    "give them a field that tells, `kind: Literal['circle'] = 'circle'` and another value in each, "
    "or Settings.is_root = True, which stores the name of the class"
)


def check_unions(plan: Plan, seen: set[Any] | None = None) -> None:
    """Refuse ambiguous unions in a plan, and in all models that are embedded in it.

    Raises
    ------
    NameError
        When an annotation names a class that is not there yet.
    TypeError
        As `UnionPlan.check`.
    """
    seen = set() if seen is None else seen
    if isinstance(plan, UnionPlan):
        plan.check()
    for below in _within(plan):
        check_unions(below, seen)
    if isinstance(plan, EmbeddedPlan) and plan.model not in seen:
        seen.add(plan.model)
        for field in plan.model.__odm__.fields.values():
            check_unions(field.plan, seen)


def _within(plan: Plan) -> list[Plan]:
    if isinstance(plan, UnionPlan):
        return plan.members
    if isinstance(plan, TuplePlan):
        return plan.items
    return [] if plan.item is None else [plan.item]


def _embeds(plan: Plan) -> bool:
    return isinstance(plan, EmbeddedPlan) or any(_embeds(each) for each in _within(plan))


def _covers(one: EmbeddedPlan, other: EmbeddedPlan) -> bool:
    """Whether a document that is written for `one` is a complete document of `other`."""
    theirs = other.model.__odm__.by_key
    ours = one.model.__odm__.by_key
    return (
        ours.keys() <= theirs.keys()
        and all(key in ours for key, field in theirs.items() if field.required)
        and not any(_apart(field.plan, theirs[key].plan) for key, field in ours.items())
    )


def _apart(one: Plan, other: Plan) -> bool:
    """Whether no stored value fits both."""
    if isinstance(one, ChoicePlan) and isinstance(other, ChoicePlan):
        return not any(_fits(other, stored) for stored in one.stored)
    first, second = _kinds(one), _kinds(other)
    return first is not None and second is not None and first.isdisjoint(second)


def _fits(plan: Plan, stored: Any) -> bool:
    try:
        plan.load(stored, None)
    except Mismatch:
        return False
    return True


_KINDS: dict[type, str] = {
    int: "number",
    float: "number",
    Int64: "number",
    Binary: "bytes",
    Code: "str",
    dt.datetime: "date",
    DatetimeMS: "date",
    DBRef: "document",
}
"""Types of which one reads what another one writes."""
_PLANS: dict[type[Plan], set[str]] = {
    NonePlan: {"None"},
    UuidPlan: {"bytes"},
    DecimalPlan: {"number", "Decimal128"},
    DatePlan: {"date"},
    ListPlan: {"list"},
    TuplePlan: {"list"},
    DictPlan: {"document"},
    EmbeddedPlan: {"document"},
}


def _kinds(plan: Plan) -> set[str] | None:
    """What may be stored for a plan; None for anything."""
    if isinstance(plan, UnionPlan):
        below = [_kinds(each) for each in plan.members]
        return None if None in below else set().union(*(each for each in below if each is not None))
    if isinstance(plan, ChoicePlan):
        return {_KINDS.get(type(each), type(each).__name__) for each in plan.stored}
    if isinstance(plan, ScalarPlan):
        return {_KINDS.get(plan.kind, plan.kind.__name__)}
    return _PLANS.get(type(plan))
