"""Reads when replies get lost or come spoilt, from a real server through a proxy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import proxy as wire
import pytest
import servers
from proxy import Proxy, changed, near
from servers import WAYS, Admin, Reader, connections, exact_or_error, failing, wait_until, wait_until_at_rest
from spoilt import LIES, LOST

from data_bridge import ClientSession, Database, DecodeError, MongoClient, ServerTimeout, WriteConcernError

ROWS = list(range(100))
READ: dict[str, Any] = {"batch_size": 10}


@pytest.fixture(scope="module")
def admin(faulty_uri: str) -> Iterator[Admin]:
    with Admin(faulty_uri) as admin:
        admin.wire.c.insert_many([{"_id": i, "text": f"text {i:3}" + "x" * 40, "d": {"a": [1, 2]}} for i in ROWS])
        yield admin
        admin.drop_database("wire")


@pytest.fixture(autouse=True)
def afterwards(admin: Admin, proxy: Proxy, reader: Reader) -> Iterator[None]:
    """Whatever happened, the client works and no cursor is left."""
    yield
    proxy.heal()
    outcome = reader.attempt("wire", "read", **READ)
    assert (outcome.ids, outcome.error) == (ROWS, None)
    wait_until_at_rest(admin)


@pytest.mark.parametrize(
    ("fault", "way", "nth"),
    [
        *((fault, way, 3) for fault in ("drop", "close") for way in WAYS),
        *((fault, way, 3) for fault in LOST for way in ("read", "async stream") if fault not in ("drop", "close")),
        *((fault, "iterate", 1) for fault in LOST),
    ],
)
def test_a_reply_that_does_not_come(proxy: Proxy, reader: Reader, fault: str, way: str, nth: int) -> None:
    spoil, kind = LOST[fault]
    proxy.spoil("getMore", nth, spoil)
    outcome = reader.attempt("wire", way, timeout=0.2, **READ)
    exact_or_error(outcome, ROWS)
    assert isinstance(outcome.error, kind)
    assert len(outcome.ids) <= 10 * nth


@pytest.mark.parametrize("fault", LOST)
def test_a_first_reply_that_does_not_come(proxy: Proxy, reader: Reader, fault: str) -> None:
    spoil, kind = LOST[fault]
    proxy.spoil("find", 1, spoil)
    outcome = reader.attempt("wire", "read", timeout=0.2 if kind is ServerTimeout else 10, **READ)
    if kind is ServerTimeout:
        assert isinstance(outcome.error, ServerTimeout)
        assert outcome.ids == []
    else:
        # No row was returned yet: the driver retries.
        assert (outcome.ids, outcome.error) == (ROWS, None)


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_first_reply_that_does_not_come_in_a_session(
    proxy: Proxy, reader: Reader, in_transaction: bool, end: bool
) -> None:
    """The end of the session kills the cursor, whose id did not reach the client; so does the end of its collection."""
    session = reader.client.start_session()
    if in_transaction:
        session.start_transaction()
    proxy.spoil("find", 1, wire.drop)
    with pytest.raises(ServerTimeout):
        reader.client.wire.c.find(session=session, timeout=0.2, **READ).read()
    if end:
        session.end_session()
    del session


def commit(session: ClientSession) -> None:
    with pytest.raises(ServerTimeout):
        session.commit_transaction()


def leave(_: ClientSession) -> None:
    """It is collected."""


@pytest.mark.parametrize("end", [commit, ClientSession.abort_transaction, ClientSession.end_session, leave])
def test_the_end_of_a_transaction_has_a_deadline(
    admin: Admin, proxy: Proxy, end: Callable[[ClientSession], None]
) -> None:
    """When the server's reply never comes, nothing waits for it, and nothing holds a connection."""
    client = MongoClient(proxy.uri, appName="left", timeout=0.5, heartbeatFrequencyMS=500)
    session = client.start_session()
    session.start_transaction()
    assert client.wire.c.find(session=session, limit=1).read()
    proxy.spoil("commitTransaction" if end is commit else "abortTransaction", range(1, 100), wire.drop)
    end(session)
    del session
    client.close()
    wait_until(lambda: connections(admin, "left") == [])


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_reply_is_waited_for(proxy: Proxy, reader: Reader, way: str) -> None:
    proxy.spoil("getMore", 2, wire.trickle)
    outcome = reader.attempt("wire", way, timeout=20, **READ)
    assert (outcome.ids, outcome.error) == (ROWS, None)


@pytest.mark.parametrize("way", ["read", "async stream"])
def test_a_slow_reply_has_a_deadline(proxy: Proxy, reader: Reader, way: str) -> None:
    proxy.spoil("getMore", 2, wire.trickle)
    outcome = reader.attempt("wire", way, timeout=0.1, **READ)
    exact_or_error(outcome, ROWS)
    assert isinstance(outcome.error, ServerTimeout)


@pytest.mark.parametrize("lie", LIES)
def test_a_reply_that_lies(admin: Admin, proxy: Proxy, reader: Reader, lie: str) -> None:
    change, kind = LIES[lie]
    for way in (WAYS[len(lie) % len(WAYS)], "read"):
        proxy.spoil("getMore", 3, changed(change))
        outcome = reader.attempt("wire", way, timeout=0.3, **READ)
        proxy.heal()
        # Else this run might send a request that is counted to the next one.
        wait_until_at_rest(admin)
        exact_or_error(outcome, ROWS)
        assert isinstance(outcome.error, kind), (way, outcome)
        assert len(outcome.ids) <= 30
        if isinstance(outcome.error, DecodeError):
            assert outcome.error.document == 30
            assert "30" in str(outcome.error)


# Header, flags, and the reply's frame up to the `_id` of its first document; and what stands behind its last one. Not
# $clusterTime, though: the driver repeats what it is told of that to the server, which then refuses all it asks.
FRAME = [*range(8 * 59), *range(-8 * 230, -8 * 127)]


@pytest.mark.parametrize(
    "bits",
    [
        pytest.param(random.Random(7).sample(FRAME, 60), id="some"),
        pytest.param(FRAME, id="all", marks=pytest.mark.slow),
    ],
)
def test_no_flipped_bit_loses_a_row(admin: Admin, proxy: Proxy, reader: Reader, bits: Any) -> None:
    """A fault in the frame. A fault in a value is another value: neither TCP nor BSON detects it."""
    for bit in bits:
        proxy.spoil("getMore", 3, changed(wire.flip(bit)))
        outcome = reader.attempt("wire", "read", timeout=0.5, **READ)
        proxy.heal()
        if outcome.error is None:
            assert outcome.ids == ROWS, bit
        assert outcome.seconds < servers.HANG
    # A cursor whose id was changed on its way cannot be killed by its reader.
    admin.admin.command("killAllSessions", [])


@pytest.mark.parametrize("lost", [[1], [2], [1, 2], range(1, 100)])
def test_a_lost_answer_to_a_kill_keeps_no_connection(admin: Admin, proxy: Proxy, lost: Iterable[int]) -> None:
    """Nothing that the driver waits for without a deadline may hold its connections when the client is closed."""
    client = MongoClient(proxy.uri, appName="left", heartbeatFrequencyMS=500)
    proxy.spoil("killCursors", lost, wire.drop)
    for _ in client.wire.c.find(batch_size=2):
        break
    time.sleep(2)
    proxy.heal()
    client.close()
    wait_until(lambda: connections(admin, "left") == [])


def test_a_transaction_goes_on_after_a_read_that_was_left(admin: Admin, reader: Reader) -> None:
    """No getMore that is under way is killed, and none is sent in it for a cursor that was: either would abort it."""
    for _ in range(50):
        with reader.client.start_session() as session, session.start_transaction():
            for _ in reader.client.wire.c.find(batch_size=2, session=session):
                break
            wait_until_at_rest(admin)
            assert len(reader.client.wire.c.find(session=session).read()) == len(ROWS)


COMMANDS: dict[str, Callable[[Database], Any]] = {
    "create": lambda database: database.create_collection("b", check_exists=False),
    "createIndexes": lambda database: database.a.create_index("x"),
    "dropIndexes": lambda database: database.a.drop_indexes(),
    "renameCollection": lambda database: database.a.rename("c"),
    "drop": lambda database: database.a.drop(),
    "dropDatabase": lambda database: database.client.drop_database(database.name),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_message_that_ends_within_a_character(admin: Admin, proxy: Proxy, reader: Reader, command: str) -> None:
    """A server cuts long texts of its errors at a byte."""
    admin.cut.a.insert_one({})
    proxy.spoil(command, 1, changed(near(b"not met", 6, b"\xc3")))
    concern = {"code": 64, "errmsg": "not met"}
    failure = failing(admin, {"times": 1}, failCommands=[command], writeConcernError=concern)
    with failure, pytest.raises(WriteConcernError, match="not me\ufffd"):
        COMMANDS[command](reader.client.cut)
    admin.drop_database("cut")
