"""The interface of object mappers for the tasks; each mapper implements it like the examples of its documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from registry import Target, Work, repeat, repeat_async


class Mapper:
    """A mapper with its models bound to `database`. Operations of an asynchronous mapper return awaitables.

    Each subclass's module holds the models Flat, Nested, Small and Large, and the embedded ones these have.
    """

    is_async = False

    def __init__(self, target: Target, database: str) -> None:
        raise NotImplementedError

    def first(self, limit: int) -> Any:
        """Return a list of the first instances, with all declared fields."""
        raise NotImplementedError

    def many(self) -> Any:
        """Return a list of all instances, with the filter `number >= 0`."""
        raise NotImplementedError

    def one(self, id: Any) -> Any:
        """Return one instance by a filter on its id."""
        raise NotImplementedError

    def create(self, values: dict[str, Any]) -> Any:
        """Make an instance and store it."""
        raise NotImplementedError

    def update(self, instance: Any, value: int) -> Any:
        """Assign one field, nested if the model is, and save the instance."""
        raise NotImplementedError

    def read(self, instance: Any, key: str) -> Any:
        return getattr(instance, key)

    def work(self, calls: int, call: Callable[[], Any]) -> Work:
        return repeat(calls, call)

    def now(self, call: Callable[[], Any]) -> Any:
        """Return the result of one operation, in the preparation of a job."""
        return self.work(1, call)()


class AsyncMapper(Mapper):
    """A mapper with awaited operations; a measurement is one run of the event loop."""

    is_async = True

    def __init__(self, target: Target, database: str) -> None:
        self._loop = asyncio.new_event_loop()

    def work(self, calls: int, call: Callable[[], Any]) -> Work:
        return lambda: self._loop.run_until_complete(repeat_async(calls, call))


def make(models: ModuleType, shape: str, values: dict[str, Any]) -> Any:
    """Return an instance of a module's Small or Large, with explicit embedded models."""
    if shape == "small":
        return models.Small(**values)
    profile = values["profile"]
    return models.Large(
        number=values["number"],
        title=values["title"],
        profile=models.Profile(
            name=profile["name"], visits=profile["visits"], address=models.Home(**profile["address"])
        ),
        sections=[
            models.Section(
                heading=section["heading"],
                body=section["body"],
                author=models.Author(**section["author"]),
                ratings=section["ratings"],
                labels=section["labels"],
            )
            for section in values["sections"]
        ],
        published=values["published"],
    )


def assign(instance: Any, shape: str, value: int) -> None:
    """Assign the field of an update."""
    if shape == "small":
        instance.score = float(value)
    else:
        instance.profile.visits = value
