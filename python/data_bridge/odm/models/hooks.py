"""Methods that run before and after writes."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Event(str, enum.Enum):
    """The writes of an instance."""

    INSERT = "insert"
    SAVE = "save"
    REPLACE = "replace"
    UPDATE = "update"
    DELETE = "delete"


def before_event(*events: Event | str | Iterable[Event | str]) -> Callable[[F], F]:
    """Run a method before these events, or those of a list. It may change the instance.

    An error that it raises prevents the write.
    """
    return _mark("before", events)


def after_event(*events: Event | str | Iterable[Event | str]) -> Callable[[F], F]:
    """Run a method after these events, or those of a list, unless the write fails."""
    return _mark("after", events)


def _mark(when: str, events: tuple[Event | str | Iterable[Event | str], ...]) -> Callable[[F], F]:
    named = [event for each in events for event in ([each] if isinstance(each, str) else each)]
    if not named:
        raise TypeError(f"{when}_event takes at least one event")
    known = [(when, Event(event)) for event in named]

    def mark(method: F) -> F:
        method.__dict__.setdefault("_odm_events", []).extend(known)
        return method

    return mark


def is_hook(member: object) -> bool:
    """Return whether a class member is a method that runs around writes."""
    return hasattr(member, "_odm_events")


class Hooks:
    """The hooks of a model class in the order of their definition, those of base classes first."""

    def __init__(self, methods: dict[tuple[str, Event], list[str]]) -> None:
        self._methods = methods

    @classmethod
    def of(cls, model: type, is_async: bool) -> Hooks:
        """Return the hooks of a class.

        Raises
        ------
        TypeError
            For an `async def` on a model that is not asynchronous.
        """
        methods: dict[tuple[str, Event], list[str]] = {}
        names = dict.fromkeys(name for base in reversed(model.__mro__) for name in base.__dict__)
        for name in names:
            method = inspect.getattr_static(model, name, None)
            for when, event in getattr(method, "_odm_events", ()):
                if inspect.iscoroutinefunction(method) and not is_async:
                    raise TypeError(f"{model.__name__}.{name} is `async def`: only an AsyncDocument can await it")
                methods.setdefault((when, event), []).append(name)
        return cls(methods)

    def any(self, when: str, event: Event) -> bool:
        """Return whether there is a hook before or after an event."""
        return (when, event) in self._methods

    def every(self) -> set[str]:
        """Return the names of all methods."""
        return {name for names in self._methods.values() for name in names}

    def names(self, when: str, events: Iterable[Event]) -> Iterable[str]:
        """Return the methods to call, in order; a method of several of `events` is called once."""
        if not self._methods:  # most models have none, and hashing events takes longer than this
            return ()
        return dict.fromkeys(name for event in events for name in self._methods.get((when, event), ()))


def hooks_of(when: str, instance: Any, *events: Event, skip: frozenset[str] = frozenset()) -> list[Callable[[], Any]]:
    """Return the hooks of an instance before or after events; each may return an awaitable.

    Parameters
    ----------
    skip
        Names of methods to leave out; `when` leaves out all.
    """
    hooks: Hooks = type(instance).__odm__.hooks
    if skip:
        return [getattr(instance, name) for name in hooks.names(when, events) if name not in skip and when not in skip]
    return [getattr(instance, name) for name in hooks.names(when, events)]


def check_skipped(model: type, names: Iterable[str]) -> None:
    """Refuse names of hooks that a model does not have.

    Raises
    ------
    TypeError
        For such a name.
    """
    hooks: Hooks = model.__odm__.hooks  # type: ignore[attr-defined]
    known = {"before", "after", *hooks.every()}
    for name in names:
        if name not in known:
            raise TypeError(
                f"skip_actions: {model.__name__} has no hook {name!r}; there are {', '.join(sorted(known))}"
            )
