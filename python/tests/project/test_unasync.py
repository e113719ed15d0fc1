"""The generator of synchronous code: tokens, parentheses around awaited calls, and lines of one side."""

from __future__ import annotations

from collections import Counter

import pytest

import unasync


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async def f():\n    return (await g(1)).name\n", "def f():\n    return g(1).name\n"),
        (
            "async def f():\n    return [(await g('(')), h((await g()).x)]\n",
            "def f():\n    return [g('('), h(g().x)]\n",
        ),
        ("async def é():\n    é((await é('é')).x)\n", "def é():\n    é(é('é').x)\n"),
        # Parentheses of a call, and around more than a call, remain.
        ("async def f():\n    g(await h())\n", "def f():\n    g(h())\n"),
        ("async def f():\n    return (await g() or 1).x\n", "def f():\n    return (g() or 1).x\n"),
        ("async def f():\n    async for x in y():\n        pass\n", "def f():\n    for x in y():\n        pass\n"),
        ("# async only:\nimport a\n# end\n# sync only:\n# import b\n# end\n", "import b\n"),
        ("client: AsyncMongoClient\n", "client: MongoClient\n"),
    ],
)
def test_generated_text(source: str, expected: str) -> None:
    assert unasync.generate(source, Counter()) == expected


def test_a_marker_without_an_end_is_an_error() -> None:
    with pytest.raises(SystemExit, match="has no # end"):
        unasync.generate("# async only:\nimport a\n", Counter())


def test_an_unused_replacement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unasync, "DIRECTORIES", [])
    with pytest.raises(SystemExit, match="AsyncMongoClient"):
        unasync.outputs()
