"""Faults of servers and connections during reads. Each fault is over when its function returns."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import proxy as wire
from proxy import Link, Spoil
from pymongo.errors import PyMongoError
from servers import NAME, failing, pid, stopped
from spoilt import LIES, LOST

from soak.deployments import Deployment

CODES = (91, 43, 237, 10107, 11600, 11601, 189, 50, 6, 7, 89, 13, 8, 1)
"""Shutdown, cursor gone, no primary, interrupted, time, network, rights, unknown, internal."""

COMMANDS = ("find", "getMore", "aggregate", "killCursors", "killSessions", "endSessions", "commitTransaction")

Fault = Callable[[Deployment, random.Random], None]


# ---- the server answers with an error, late, or not at all -----------------------------------------------------------


def _fail(deployment: Deployment, rng: random.Random, **data: Any) -> None:
    commands = rng.sample(COMMANDS, rng.randint(1, len(COMMANDS)))
    mode: Any = rng.choice([{"times": rng.randint(1, 6)}, {"skip": rng.randint(1, 5)}, {"activationProbability": 0.3}])
    with failing(deployment.admin, mode, failCommands=commands, **data):
        time.sleep(rng.uniform(0.1, 0.6))


def error_code(deployment: Deployment, rng: random.Random) -> None:
    _fail(deployment, rng, errorCode=rng.choice(CODES))


def closed_connection(deployment: Deployment, rng: random.Random) -> None:
    _fail(deployment, rng, closeConnection=True)


def blocked_command(deployment: Deployment, rng: random.Random) -> None:
    _fail(deployment, rng, blockConnection=True, blockTimeMS=rng.choice([20, 200, 900]))


def time_limit(deployment: Deployment, rng: random.Random) -> None:
    with failing(deployment.admin, {"times": rng.randint(1, 5)}, "maxTimeAlwaysTimeOut"):
        time.sleep(rng.uniform(0.1, 0.4))


def get_more_fails_within(deployment: Deployment, rng: random.Random) -> None:
    with failing(deployment.admin, {"times": rng.randint(1, 5)}, "failGetMoreAfterCursorCheckout", errorCode=8):
        time.sleep(rng.uniform(0.1, 0.4))


def get_more_hangs(deployment: Deployment, rng: random.Random) -> None:
    point = rng.choice(["waitAfterPinningCursorBeforeGetMoreBatch", "getMoreHangAfterPinCursor"])
    with failing(deployment.admin, "alwaysOn", point, shouldCheckForInterrupt=True):
        time.sleep(rng.uniform(0.1, 0.8))


# ---- an administrator ends operations --------------------------------------------------------------------------------


def _operations(deployment: Deployment, match: dict[str, Any]) -> list[dict[str, Any]]:
    stages: list[Any] = [{"$currentOp": {"idleCursors": True, "allUsers": True}}, {"$match": match}]
    return list(deployment.admin.admin.aggregate(stages))


def killed_cursors(deployment: Deployment, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 10)):
        for each in _operations(deployment, {"type": "idleCursor", "ns": {"$regex": r"^soak\."}}):
            database, _, collection = each["ns"].partition(".")
            deployment.admin[database].command("killCursors", collection, cursors=[each["cursor"]["cursorId"]])
        time.sleep(0.05)


def killed_operations(deployment: Deployment, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 10)):
        for each in _operations(
            deployment, {"type": "op", "appName": NAME, "active": True, "ns": {"$regex": r"^soak\."}}
        ):
            deployment.admin.admin.command("killOp", op=each["opid"])
        time.sleep(0.02)


def killed_sessions(deployment: Deployment, rng: random.Random) -> None:
    with contextlib.suppress(PyMongoError):  # the session of this client is killed too
        deployment.admin.admin.command("killAllSessions", [])


# ---- between client and server ---------------------------------------------------------------------------------------


def _spoil(deployment: Deployment, rng: random.Random, spoil: Spoil) -> None:
    assert deployment.proxy is not None

    def tolerant(link: Link, reply: bytes) -> None:
        try:
            spoil(link, reply)
        except ValueError:  # the reply does not have the value to change
            link.send(reply)

    command = rng.choice(["find", "getMore", "getMore", "aggregate", "killCursors"])
    deployment.proxy.spoil(command, range(1, 9, rng.randint(1, 4)), tolerant)
    time.sleep(rng.uniform(0.2, 0.8))
    deployment.proxy.heal()


def lost_reply(deployment: Deployment, rng: random.Random) -> None:
    _spoil(deployment, rng, LOST[rng.choice(list(LOST))][0])


def corrupt_reply(deployment: Deployment, rng: random.Random) -> None:
    _spoil(deployment, rng, wire.changed(LIES[rng.choice(list(LIES))][0]))


def slow_reply(deployment: Deployment, rng: random.Random) -> None:
    _spoil(deployment, rng, rng.choice([wire.trickle, wire.late(0.1), wire.late(0.9)]))


def cut_connections(deployment: Deployment, rng: random.Random) -> None:
    assert deployment.proxy is not None
    for _ in range(rng.randint(1, 4)):
        deployment.proxy.cut()
        time.sleep(rng.uniform(0.02, 0.2))


# ---- the server itself -----------------------------------------------------------------------------------------------


def stopped_server(deployment: Deployment, rng: random.Random) -> None:
    with stopped(pid(deployment.admin)):
        time.sleep(rng.uniform(0.1, 1.5))


def killed_server(deployment: Deployment, rng: random.Random) -> None:
    """Kill the primary with SIGKILL, and start it with the same data."""
    primary = deployment.primary()
    primary.kill()
    time.sleep(rng.uniform(0, 1))
    primary.start()


def step_down(deployment: Deployment, rng: random.Random) -> None:
    with contextlib.suppress(PyMongoError):
        deployment.admin.admin.command("replSetStepDown", 1, secondaryCatchUpPeriodSecs=0, force=True)


SERVER: dict[str, tuple[Fault, float]] = {
    "error codes": (error_code, 3),
    "closed connections": (closed_connection, 2),
    "blocked commands": (blocked_command, 2),
    "time limits": (time_limit, 1),
    "getMore fails within": (get_more_fails_within, 1),
    "killed cursors": (killed_cursors, 2),
    "killed operations": (killed_operations, 2),
    "killed sessions": (killed_sessions, 0.5),
    "SIGSTOP, SIGCONT": (stopped_server, 1),
    "kill -9, restart": (killed_server, 0.5),
    "step-down": (step_down, 0.3),
}
"""Faults by name, with their weights."""

PROXIED: dict[str, tuple[Fault, float]] = {
    "getMore hangs": (get_more_hangs, 1),  # would hang members of a set that read from each other
    "lost replies": (lost_reply, 3),
    "corrupt replies": (corrupt_reply, 3),
    "slow replies": (slow_reply, 2),
    "cut connections": (cut_connections, 1),
}
"""Additional faults of a single server behind the proxy."""

INTERRUPTS = "Ctrl-C"


def interrupt(process: int, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 20)):
        os.kill(process, signal.SIGINT)
        time.sleep(rng.uniform(0.01, 0.1))


def drawn(deployment: Deployment, rng: random.Random) -> tuple[str, Fault]:
    known = SERVER if deployment.proxy is None else {**SERVER, **PROXIED}
    name = rng.choices(list(known), [weight for _, weight in known.values()])[0]
    return name, known[name][0]
