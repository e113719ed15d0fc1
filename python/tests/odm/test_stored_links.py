"""Links are written back in their stored form, and refer to their own database and collection only."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from bson import DBRef, ObjectId
from profiled import queries
from shop import Address

import data_bridge
from data_bridge import odm
from data_bridge.odm import AsyncDocument, BackLink, Document, EmbeddedDocument, Field, Link, ValidationError
from data_bridge.odm import operators as op

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


class Led(EmbeddedDocument):
    lead: Link[Person]


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


class Badge(EmbeddedDocument):
    owner: Link[Person] | None = None
    within: list[Badge] = []


class Club(Document):
    badges: list[Badge] = []
    best: Badge | None = None
    named: dict[str, Badge] = {}
    roles: dict[str, Link[Person]] = {}
    note: Address | None = None

    class Settings:
        name = "clubs"


def test_links_in_mappings_and_in_what_is_embedded_are_fetched(teams: Any, database: Any) -> None:
    odm.init(Person.__odm__.collection.database, [Club])
    deep = Badge(owner=Link(Person, B), within=[Badge(owner=Link(Person, C))])
    club = Club(
        badges=[Badge(owner=Link(Person, A)), deep], best=Badge(), named={"k": deep}, roles={"r": Link(Person, C)}
    )
    club.insert()
    found: list[Club] = []
    used = queries(database, lambda: found.extend(Club.find(fetch_links=True).to_list()))
    assert used == ["clubs", "people", "people"]  # the roles, and the owner of all badges
    (fetched,) = found
    assert [badge.owner.document.name for badge in fetched.badges] == [str(A), str(B)]  # type: ignore[union-attr]
    assert fetched.badges[1].within[0].owner.document.name == str(C)  # type: ignore[union-attr]
    assert fetched.named["k"].within[0].owner.document.name == str(C)  # type: ignore[union-attr]
    assert fetched.roles["r"].document.name == str(C)  # type: ignore[union-attr]
    assert fetched.best is not None
    assert fetched.best.owner is None


def test_a_link_that_does_not_fit_fails_where_it_is_read(teams: Any) -> None:
    teams.insert_many([{"_id": 1, "lead": 5, "members": [A]}, {"_id": 2, "lead": B}])
    bad, good = Team.find(fetch_links=True).sort("id").to_list()
    assert good.lead is not None
    assert (good.lead.document.name, bad.members[0].document.name) == (str(B), str(A))  # type: ignore[union-attr]
    with pytest.raises(ValidationError) as raised:
        _ = bad.lead
    assert (raised.value.id, raised.value.path) == (1, ("lead",))


class Fan(Document):
    teams: list[BackLink[Team]] = Field(default_factory=list, original_field="members")

    class Settings:
        name = "people"


def test_a_back_link_that_does_not_fit_fails_the_query(teams: Any, database: Any) -> None:
    odm.init(Person.__odm__.collection.database, [Fan])
    teams.insert_many([{"_id": B, "members": [A]}, {"_id": C, "members": [A, DBRef("people", A, "elsewhere")]}])
    with pytest.raises(ValidationError) as raised:
        Fan.find(fetch_links=True).to_list()
    assert (raised.value.id, raised.value.path) == (C, ("members", 1))
    teams.delete_one({"_id": C})
    fans = Fan.find(fetch_links=True).sort("id").to_list()
    assert [[link.id for link in fan.teams] for fan in fans] == [[B], [], []]


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


def test_an_id_as_text_is_one_of_a_link_too(teams: Any) -> None:
    T: Any = Team
    Team(lead=str(A), members=[str(B)]).insert()  # type: ignore[arg-type, list-item]
    assert teams.find_one({}, {"_id": 0}) == {"lead": DBRef("people", A), "members": [DBRef("people", B)]}
    assert Team.find(T.lead == str(A), T.members == str(B), op.In(T.lead, [str(A), B])).count() == 1
    for wrong in ("short", {"$ne": None}, 5, b"x" * 12):
        with pytest.raises(data_bridge.InvalidQuery, match=r"Link\[Person\]"):
            _ = T.lead == wrong
        with pytest.raises(ValidationError, match=r"Link\[Person\]"):
            Team(lead=wrong)


def test_all_that_gives_instances_fetches_their_links(teams: Any) -> None:
    Team(lead=Link(Person, A)).insert()
    query = Team.find(fetch_links=True)
    rename = op.Set(Team.members, [])
    for found in (
        query.validate()[0],
        query.find_one_and_update(rename),
        query.find_one_and_replace(Team(lead=Link(Person, A))),
        query.project(Led).find_one_and_update(rename),
        query.find_one_and_delete(),
    ):
        assert found is not None
        assert found.lead is not None
        assert found.lead.document.name == str(A)  # type: ignore[union-attr]
    assert query.find_one_and_delete() is None


def test_links_are_fetched_in_the_session_of_the_write(teams: Any, client: data_bridge.MongoClient) -> None:
    team = Team(lead=Link(Person, A)).insert()
    with client.start_session() as session, session.start_transaction():
        new = Person(name="new").insert(session=session)
        change = op.Set(Team.lead, Link(Person, new.id))
        Team.find(Team.id == team.id, session=session).update(change)
        query = Team.find(Team.id == team.id, fetch_links=True)
        found = query.find_one_and_update(op.Set(Team.members, []), session=session)
        assert found is not None
        assert found.lead is not None
        assert found.lead.document.name == "new"  # type: ignore[union-attr]
        session.abort_transaction()


def test_an_attribute_of_a_linked_document_is_set_on_the_document(teams: Any, database: Any) -> None:
    Team(lead=Link(Person, A), members=[Link(Person, B)]).insert()
    for team in (Team.find_one(fetch_links=True), Team.find_one()):
        assert team is not None
        for link in (team.lead, team.members[0]):
            with pytest.raises(AttributeError, match=r"Link\(Person, .*'name' cannot be set.*`link.document`"):
                link.name = "new"  # type: ignore[union-attr]
            with pytest.raises(AttributeError, match="'nothing' cannot be set"):
                link.nothing = "new"  # type: ignore[union-attr]
    team = Team.find_one(fetch_links=True)
    assert team is not None
    team.lead.document.name = "new"  # type: ignore[union-attr]
    team.lead.document.save()  # type: ignore[union-attr]
    assert database["people"].find_one({"_id": A})["name"] == "new"
    team.lead.id = C  # type: ignore[union-attr]
    assert Team.get(team.save().id).lead == Link(Person, C)  # type: ignore[union-attr]


class Flag(Document):
    id: int | bool
    name: str

    class Settings:
        name = "flags"


class Flagged(Document):
    flags: list[Link[Flag]] = []

    class Settings:
        name = "flagged"


def test_true_is_no_1(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Flag, Flagged])
    database["flags"].insert_many(
        [{"_id": 1, "name": "one"}, {"_id": True, "name": "true"}, {"_id": 0, "name": "zero"}]
    )
    database["flagged"].insert_one({"flags": [DBRef("flags", each) for each in (True, 1, False, 0)]})
    (read,) = Flagged.find(fetch_links=True).to_list()
    assert [None if each.document is None else each.document.name for each in read.flags] == [
        "true",
        "one",
        None,
        "zero",
    ]


class Place(EmbeddedDocument):
    row: int
    at: dt.datetime
    key: uuid.UUID = Field(default=uuid.UUID(int=5), repr=False)


class Lot(Document):
    id: Place
    size: int = 0
    cars: list[BackLink[Car]] = Field(default_factory=list, original_field="lot")


class Car(Document):
    lot: Link[Lot] | None = None
    others: list[Link[Lot]] = []


class AsyncLot(AsyncDocument):
    id: Place
    size: int = 0

    class Settings:
        name = "Lot"


class AsyncCar(AsyncDocument):
    lot: Link[AsyncLot] | None = None

    class Settings:
        name = "Car"


def test_links_to_documents_whose_id_is_a_document(ours: data_bridge.Database, database: Any) -> None:
    odm.init(ours, [Lot, Car])
    places = [Place(row=1, at=dt.datetime(2024, 5, 6), key=uuid.UUID(int=each)) for each in range(3)]
    lots = Lot.insert_many([Lot(id=place, size=each) for each, place in enumerate(places)])
    made = Car(lot=lots[0], others=[*lots, lots[0]]).insert()  # type: ignore[arg-type]
    assert database["Car"].find_one()["lot"] == DBRef("Lot", database["Lot"].find_one({"size": 0})["_id"])
    car = Car.get(made.id)
    assert car is not None
    assert car == made
    assert [type(car.lot), car.lot.id] == [Link, places[0]]  # type: ignore[union-attr]
    assert len({*car.others, car.lot}) == 3
    car.others.append(car.others[2])
    car.save()
    assert database["Car"].find_one()["others"][4].id == database["Lot"].find_one({"size": 2})["_id"]
    path: Any = Car
    for condition in (path.lot.id == places[0], path.lot == lots[0], path.lot.size == 0):
        assert [each.id for each in Car.find(condition)] == [car.id]
    assert Car.find(path.lot.id == places[1]).count() == 0
    (fetched,) = Car.find(fetch_links=True)
    assert [each.size for each in fetched.others] == [0, 1, 2, 0, 2]
    assert car.lot.fetch() == lots[0]  # type: ignore[union-attr]
    assert [[each.id for each in lot.cars] for lot in Lot.find(fetch_links=True).sort("size")] == [[car.id], [], []]
    Car.find().validate()


async def test_awaited_links_to_documents_whose_id_is_a_document(mongodb_uri: str, database: Any) -> None:
    client = data_bridge.AsyncMongoClient(mongodb_uri)
    await odm.init(client[database.name], [AsyncLot, AsyncCar])
    lot = await AsyncLot(id=Place(row=1, at=dt.datetime(2024, 5, 6)), size=3).insert()
    await AsyncCar(lot=lot).insert()  # type: ignore[arg-type]
    (car,) = await AsyncCar.find(fetch_links=True).to_list()
    assert car.lot is not None
    assert (car.lot.id, car.lot.size) == (lot.id, 3)
    await client.close()
