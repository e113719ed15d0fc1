"""Reads nested documents repeatedly, as models or lazy documents, under a tool that counts instructions.

`model_instructions.py STAGE TIMES`; `instructions.py` calls it. It prints the number of instances or documents that
the stage counts each time.
"""

from __future__ import annotations

import gc
import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

import bson

from data_bridge import read_bson
from our_models import Nested
from shapes import fields, nested

DOCUMENTS = 200
LINES = 20
"""Embedded documents in the list of each document of the stages that count these."""


def result(lines: int | None) -> Any:
    """Return documents of the nested shape; with `lines`, each with a list of so many."""
    rng = random.Random("instructions")
    made = []
    for index in range(DOCUMENTS):
        document = nested(rng, index)
        if lines is not None:
            document["lines"] = document["lines"][:1] * lines
        made.append(bson.encode({"_id": bson.ObjectId(), **document}))
    return read_bson(b"".join(made)).read()


def embedded(read: Callable[[], Any], lines: Callable[[Any], Any]) -> int:
    """Iterate over the list of each document; return the number of embedded documents."""
    return sum(1 for each in read() for _ in lines(each))


def everything(read: Callable[[], Any], access: str) -> Callable[[], int]:
    """Return a function that reads every value of each document by `access`, without calls, and counts documents."""
    names: dict[str, Any] = {"read": read}
    exec("\n    ".join(["def run():", *program(access)]), names)
    made: Callable[[], int] = names["run"]
    return made


def program(access: str) -> list[str]:
    """Return the lines of a function that reads the nested shape: `x.key` or `x["key"]` for each value."""
    lines, names = ["count = 0", "for each in read():", "    count += 1"], itertools.count()

    def add(value: str, tree: Any, margin: str) -> None:
        if isinstance(tree, dict):
            for key, below in tree.items():
                name = f"value_{next(names)}"
                lines.append(f"{margin}{name} = {access.format(value, key)}")
                add(name, below, margin)
        elif isinstance(tree, list):
            name = f"item_{next(names)}"
            lines.extend([f"{margin}for {name} in {value}:", f"{margin}    pass"])
            add(name, tree[0], f"{margin}    ")

    add("each", fields("nested"), "    ")
    return [*lines, "return count"]


def main(stage: str, times: int) -> None:
    data = result(LINES if "embedded" in stage else None)
    models, documents = (lambda: Nested.from_arrow(data)), data.to_list
    # Collections at other moments would be noise.
    gc.disable()
    stages: dict[str, Callable[[], int]] = {
        "embedded instance": lambda: embedded(models, lambda each: each.lines),
        "embedded document": lambda: embedded(documents, lambda each: each["lines"]),
        "nested instance, read all": everything(models, "{}.{}"),
        "nested document, read all": everything(documents, "{}[{!r}]"),
    }
    for _ in range(times):
        count = stages[stage]()
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
