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


def before_event(*events: Event | str) -> Callable[[F], F]:
    """Run a method before these events. It may change the instance; an error that it raises prevents the write."""
    return _mark("before", events)


def after_event(*events: Event | str) -> Callable[[F], F]:
    """Run a method after these events, unless the write fails."""
    return _mark("after", events)


def _mark(when: str, events: tuple[Event | str, ...]) -> Callable[[F], F]:
    if not events:
        raise TypeError(f"{when}_event takes at least one event")
    known = [(when, Event(event)) for event in events]

    def mark(method: F) -> F:
        method.__dict__.setdefault("_odm_events", []).extend(known)
        return method

    return mark


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

    def names(self, when: str, events: Iterable[Event]) -> Iterable[str]:
        """Return the methods to call, in order; a method of several of `events` is called once."""
        if not self._methods:  # most models have none, and hashing events takes longer than this
            return ()
        return dict.fromkeys(name for event in events for name in self._methods.get((when, event), ()))


def hooks_of(when: str, instance: Any, *events: Event) -> list[Callable[[], Any]]:
    """Return the hooks of an instance before or after events; each may return an awaitable."""
    hooks: Hooks = type(instance).__odm__.hooks
    return [getattr(instance, name) for name in hooks.names(when, events)]
