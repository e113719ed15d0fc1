"""`scripts/check_private.py`: modules use private members of their own classes only."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_private


def test_the_package_passes() -> None:
    assert check_private.faults() == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(x):\n    return x._part\n", [(2, "_part")]),
        ("def f(x):\n    x.y._part = 1\n", [(2, "_part")]),
        ("def f(x):\n    return x()._part(1)\n", [(2, "_part")]),
        ("class A:\n    def f(self, other):\n        return self._part, other._part\n", [(3, "_part")]),
        ("class A:\n    def f(self):\n        return self.b._part\n", [(3, "_part")]),
    ],
)
def test_an_access_to_a_member_of_another_module_is_found(text: str, found: list[tuple[int, str]]) -> None:
    assert list(check_private.accesses(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x.part, x.__dict__\n",
        "class A:\n    def __init__(self):\n        self._part = 1\ndef f(a):\n    return a._part\n",
        "class A:\n    def _part(self):\n        pass\ndef f(a):\n    return a._part()\n",
        "class A:\n    __slots__ = ('_part', '_other')\ndef f(a):\n    return a._part\n",
        "class A:\n    _part: int\n    @classmethod\n    def f(cls):\n        return cls._part, super()._other\n",
        "import sys\ndef f():\n    return sys._getframe(1)\n",
    ],
)
def test_own_members_pass(text: str) -> None:
    assert list(check_private.accesses(text)) == []


def test_exceptions_are_for_their_modules_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exception = check_private.Exceptions("Owner", frozenset({"_part"}), ("inside/",), "a reason")
    monkeypatch.setattr(check_private, "EXCEPTIONS", [exception])
    for directory in ("inside", "outside"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "user.py").write_text("def f(x):\n    return x._part\n")
    assert check_private.faults(tmp_path) == ["outside/user.py:2: _part is private to the class that defines it"]
    (tmp_path / "inside" / "user.py").write_text("")
    (tmp_path / "outside" / "user.py").write_text("")
    assert check_private.faults(tmp_path) == ["no module uses the exception Owner._part: remove it"]


def test_every_exception_has_a_reason() -> None:
    assert all(each.reason and each.names and each.users for each in check_private.EXCEPTIONS)
