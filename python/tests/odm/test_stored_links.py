"""Links are written back in the form they were stored in, and lead only where they say."""

from __future__ import annotations

from typing import Any

import pytest
from bson import DBRef, ObjectId

import data_bridge
from data_bridge import odm
from data_bridge.odm import Document, Link, ValidationError

A, B, C = ObjectId("a" * 24), ObjectId("b" * 24), ObjectId("c" * 24)


class Person(Document):
    name: str

    class Settings:
        name = "people"


class Team(Document):
    lead: Link[Person] | None = None
    members: list[Link[Person]] = []

    class Settings:
        name = "teams"


@pytest.fixture
def teams(ours: data_bridge.Database, database: Any) -> Any:
    odm.init(ours, [Person, Team])
    database["people"].insert_many([{"_id": each, "name": str(each)} for each in (A, B, C)])
    return database["teams"]


def test_a_list_that_grows_leaves_its_links_as_they_were(teams: Any, database: Any) -> None:
    members = [A, DBRef("people", B), DBRef("people", A, database.name), DBRef("people", B, note="x")]
    teams.insert_one({"lead": A, "members": members})
    team = Team.find_one()
    assert team is not None
    assert [link.id for link in team.members] == [A, B, A, B]
    team.members.append(Link(Person, C))
    team.lead = team.members[0]
    team.save()
    stored = teams.find_one({}, {"_id": 0})
    assert stored == {"lead": A, "members": [*members, DBRef("people", C)]}
    assert stored["members"][3].as_doc() == DBRef("people", B, note="x").as_doc()
    again = Team.find(fetch_links=True).to_list()[0]
    assert [link.document.name for link in again.members] == [str(each) for each in (A, B, A, B, C)]  # type: ignore[union-attr]
    again.members[0].id = C
    again.save()
    assert teams.find_one()["members"][0] == DBRef("people", C)


def test_a_new_link_is_a_reference(teams: Any) -> None:
    team = Team(lead=A, members=[B, Person(id=C, name="c")])  # type: ignore[arg-type, list-item]
    team.insert()
    stored = teams.find_one({}, {"_id": 0})
    assert stored == {"lead": DBRef("people", A), "members": [DBRef("people", B), DBRef("people", C)]}
    assert Team.find(Team.lead == A).count() == 1


def test_a_link_is_found_in_the_form_it_was_stored_in(teams: Any) -> None:
    teams.insert_many([{"lead": A}, {"lead": DBRef("people", B)}])
    for team in Team.find():
        assert Team.find(Team.lead == team.lead).to_list() == [team]


def test_a_link_into_another_database_is_not_followed_here(teams: Any) -> None:
    teams.insert_one({"lead": DBRef("people", A, "elsewhere")})
    team = Team.find_one()
    assert team is not None
    with pytest.raises(ValidationError):
        _ = team.lead
    assert team.save() == team
    assert teams.find_one()["lead"].database == "elsewhere"
