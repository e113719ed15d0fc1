"""The deployments under test, and the cursors, sessions and connections that are open on them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cursors
import servers
from proxy import Proxy
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern
from servers import Admin, Member

from soak import rows

READY = 60.0
"""Seconds until a deployment must have recovered from a fault."""


TRANSACTIONS = ("--setParameter", "transactionLifetimeLimitSeconds=10")
"""The server ends a transaction whose abort was lost."""


class Deployment:
    """A replica set, the proxy in front of it if it has one member, and an administrator's client."""

    def __init__(self, name: str, own_uri: str, members: dict[str, Member], proxy: Proxy | None, admin: Admin) -> None:
        self.name = name
        self.members = members
        self.proxy = proxy
        self.admin = admin
        self.uri = own_uri if proxy is None else proxy.uri
        """The URI for clients."""

    def primary(self) -> Member:
        self.wait()
        return self.members[str(servers.primary_of(self.admin))]

    def wait(self) -> None:
        """Wait until all members are available and one is primary."""
        end = time.monotonic() + READY
        while True:
            with contextlib.suppress(PyMongoError):
                states = [each["state"] for each in self.admin.admin.command("replSetGetStatus")["members"]]
                if states.count(1) == 1 and set(states) <= {1, 2} and servers.primary_of(self.admin) is not None:
                    return
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} did not recover: {self.admin.topology_description}")
            time.sleep(0.05)

    @contextmanager
    def each(self) -> Iterator[list[Admin]]:
        """Yield an administrator's client of each member."""
        with ExitStack() as stack:
            yield [stack.enter_context(Admin(member.direct)) for member in self.members.values()]

    def cursors(self) -> int:
        """Count open cursors on the collections that are read, on all members. For one member, count all cursors."""
        with self.each() as members:
            if len(members) == 1:
                return servers.open_cursors(members[0])
            databases = [member[rows.DATABASE] for member in members]
            return sum(len(cursors.open_cursors(each)) + len(cursors.at_work(each)) for each in databases)

    def left(self) -> list[str]:
        """Describe the open cursors, from the servers' data."""
        with self.each() as members:
            found = [
                (member.address, each) for member in members for each in cursors.open_cursors(member[rows.DATABASE])
            ]
        return [f"{self.name}, {where}: {each['ns']}, {each['cursor']}" for where, each in found]

    def transactions(self) -> int:
        """Count open transactions on all members."""
        with self.each() as members:
            return sum(int(each.admin.command("serverStatus")["transactions"]["currentOpen"]) for each in members)

    def sessions(self) -> int:
        """Count sessions on all members, except those of administrators and of members."""
        with self.each() as members:
            stages = [{"$listLocalSessions": {"allUsers": True}}]
            return sum(len(list(member.admin.aggregate(stages))) for member in members)

    def connections(self, name: str) -> list[str]:
        """Describe the connections of clients with this application name, from the servers' data."""
        with self.each() as members:
            found = [(member.address, each) for member in members for each in servers.connections(member, name)]
        return [
            f"{self.name}, {where}: {each['desc']} from {each['client']}, {each.get('command', 'idle')}"
            for where, each in found
        ]


@contextmanager
def deployments(set_of_three: bool) -> Iterator[list[Deployment]]:
    """Yield one server behind the proxy and, with `set_of_three`, a replica set of three, both with all rows stored."""
    with ExitStack() as stack:
        found = []
        for name, count in [("one", 1), *([("three", 3)] if set_of_three else [])]:
            uri, members = stack.enter_context(servers.replica_set(count, *TRANSACTIONS))
            admin = stack.enter_context(Admin(uri, serverSelectionTimeoutMS=5_000))
            rows.load(admin.get_database(rows.DATABASE, write_concern=WriteConcern("majority", j=True)))
            proxy = None
            if count == 1:
                host, port = next(iter(members)).split(":")
                proxy = Proxy((host, int(port)))
                stack.callback(proxy.close)
            found.append(Deployment(name, uri, members, proxy, admin))
        yield found
