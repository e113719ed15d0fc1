"""TLS against a real mongod: trusted and untrusted certificates, and refusals that name the reason, in time."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pymongo
import pytest
from certificates import Authority, encrypted

import mongod
from data_bridge import ConnectionFailure, MongoClient

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")

SELECTION_MS = 600
SUBJECT = "O=shop,CN=joe"


class Made(NamedTuple):
    """An authority, a certificate that it signed, and another authority that is not trusted."""

    directory: Path
    ours: Authority
    other: Authority
    server: Path
    client: Path

    @property
    def ca(self) -> str:
        return str(self.ours.certificate)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    directory = tmp_path_factory.mktemp("certificates")
    ours, other = Authority(directory), Authority(directory, "other")
    server = ours.sign("server", "localhost", "127.0.0.1")
    return Made(directory, ours, other, server, ours.sign("client", subject="/CN=joe/O=shop"))


@pytest.fixture(scope="module")
def secured(made: Made) -> Iterator[str]:
    """A mongod that wants TLS, and the URI of it without any TLS option."""
    with served(made, made.server) as uri:
        yield uri


def served(made: Made, certificate: Path) -> Any:
    return _Served(made, certificate)


class _Served:
    """A mongod with a certificate, that takes nothing but TLS."""

    def __init__(self, made: Made, certificate: Path) -> None:
        files = ("--tlsCertificateKeyFile", str(certificate), "--tlsCAFile", made.ca)
        # Plain at first: the script that waits for the server to start has no certificates.
        options = ("--tlsMode", "preferTLS", *files, "--tlsAllowConnectionsWithoutCertificates")
        self._server = mongod.embedded_mongod(*options, replica_set=False)

    def __enter__(self) -> str:
        uri = self._server.__enter__()
        with pymongo.MongoClient[dict[str, Any]](uri) as plain:
            plain["$external"].command("createUser", SUBJECT, roles=[{"role": "read", "db": "shop"}])
            plain.admin.command("setParameter", 1, tlsMode="requireTLS")
        return uri

    def __exit__(self, *error: Any) -> None:
        self._server.__exit__(*error)


def users(uri: str, **options: Any) -> list[Any]:
    """Return the users that the server has authenticated."""
    with MongoClient(uri, serverSelectionTimeoutMS=SELECTION_MS, **options) as client:
        found: list[Any] = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
        return found


def refused(uri: str, **options: Any) -> str:
    """Return the reason of the failed connection, which comes in time."""
    start = time.monotonic()
    with pytest.raises(ConnectionFailure) as caught:
        users(uri, **options)
    assert time.monotonic() - start < SELECTION_MS / 1000 + 5
    assert "docs.rs" not in str(caught.value)
    return str(caught.value)


def test_a_trusted_server(secured: str, made: Made) -> None:
    assert users(secured, tls=True, tlsCAFile=made.ca) == []
    assert users(secured, ssl=True, tlsCAFile=made.ours.certificate) == []
    assert users(f"{secured}&tls=true&tlsCAFile={made.ca}") == []
    assert users(secured, tlsCAFile=made.ca) == []  # the option implies TLS, as it does for PyMongo
    assert users(secured.replace("127.0.0.1", "localhost"), tls=True, tlsCAFile=made.ca) == []


def test_an_untrusted_server(secured: str, made: Made) -> None:
    for options in ({}, {"tlsCAFile": str(made.other.certificate)}):
        assert "unknown issuer (tlsCAFile" in refused(secured, tls=True, **options)


def test_checks_that_are_switched_off(secured: str) -> None:
    assert users(secured, tls=True, tlsAllowInvalidCertificates=True) == []
    assert users(secured, tls=True, tlsInsecure=True) == []
    assert users(f"{secured}&tls=true&tlsInsecure=true") == []
    assert "unknown issuer" in refused(secured, tls=True, tlsAllowInvalidCertificates=False)
    assert "unknown issuer" in refused(secured, tls=True, tlsInsecure=False)


def test_a_server_of_another_name(made: Made) -> None:
    with served(made, made.ours.sign("elsewhere", "elsewhere.example")) as uri:
        text = refused(uri, tls=True, tlsCAFile=made.ca)
        assert 'not valid for name "127.0.0.1"' in text
        assert "elsewhere.example" in text
        assert users(uri, tls=True, tlsCAFile=made.ca, tlsAllowInvalidCertificates=True) == []


def test_an_expired_certificate(made: Made) -> None:
    # No mongod starts with one.
    protocol = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    protocol.load_cert_chain(made.ours.sign("expired", "127.0.0.1", days=-1))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with protocol.wrap_socket(connection, server_side=True) as wrapped:
                    wrapped.recv(1)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        uri = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/?directConnection=true"
        assert "the server's certificate has expired" in refused(uri, tls=True, tlsCAFile=made.ca)
        listener.shutdown(socket.SHUT_RDWR)
    serving.join(10)


def test_one_side_speaks_tls(secured: str, mongodb_uri: str, made: Made) -> None:
    assert "does it want TLS?" in refused(secured)
    assert "does it speak TLS?" in refused(mongodb_uri, tls=True, tlsCAFile=made.ca)


def test_a_server_that_speaks_something_else(made: Made) -> None:
    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        uri = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/?directConnection=true"
        assert "is not TLS" in refused(uri, tls=True, tlsCAFile=made.ca)
        listener.shutdown(socket.SHUT_RDWR)
    serving.join(10)


def test_certificates_of_clients(secured: str, made: Made) -> None:
    given: dict[str, Any] = {"tls": True, "tlsCAFile": made.ca, "tlsCertificateKeyFile": made.client}
    assert users(secured, **given) == []
    known = users(secured, **given, authMechanism="MONGODB-X509")
    assert known == [{"user": SUBJECT, "db": "$external"}]
    options = f"tls=true&tlsCAFile={made.ca}&tlsCertificateKeyFile={made.client}&authMechanism=MONGODB-X509"
    assert users(f"{secured}&{options}") == known
    with MongoClient(secured, **given, authMechanism="MONGODB-X509") as client:
        assert client.shop.orders.find().to_dicts() == []


def test_certificates_of_clients_that_are_refused(secured: str, made: Made) -> None:
    foreign = made.other.sign("foreign", subject="/CN=joe/O=shop")
    given: dict[str, Any] = {"tls": True, "tlsCAFile": made.ca, "authMechanism": "MONGODB-X509"}
    assert "does it accept the client's certificate?" in refused(secured, **given, tlsCertificateKeyFile=foreign)
    stranger = made.ours.sign("stranger", subject="/CN=jane/O=shop")
    assert "authentication failed" in refused(secured, **given, tlsCertificateKeyFile=stranger)
    assert "authentication failed" in refused(secured, **given)


def test_files_are_looked_at_when_they_are_named(made: Made) -> None:
    junk, missing = made.directory / "junk.pem", made.directory / "missing.pem"
    junk.write_text("junk")
    for option in ("tlsCAFile", "tlsCertificateKeyFile"):
        with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
            MongoClient("h", tls=True, **{option: missing})
        with pytest.raises(ValueError, match=f"{option} (holds no|must hold a) certificate"):
            MongoClient("h", tls=True, **{option: junk})
        with pytest.raises(IsADirectoryError):
            MongoClient(f"mongodb://h/?tls=true&{option}={made.directory}")
    for half in ("client.crt", "client.key"):
        with pytest.raises(ValueError, match="must hold a certificate and its private key"):
            MongoClient("h", tls=True, tlsCertificateKeyFile=made.directory / half)


def test_options_that_are_refused(made: Made) -> None:
    locked = encrypted(made.client, "hunter2")
    with pytest.raises(ValueError, match="openssl pkey") as caught:
        MongoClient("h", tls=True, tlsCertificateKeyFile=locked, tlsCertificateKeyFilePassword="hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="is encrypted"):
        MongoClient("h", tls=True, tlsCertificateKeyFile=locked)
    MongoClient("h", tls=True, tlsAllowInvalidHostnames=False)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("tlsAllowInvalidHostnames is not supported.*tlsAllowInvalidCertificates", {"tlsAllowInvalidHostnames": True}),
        ("both", {"tlsInsecure": True, "tlsAllowInvalidCertificates": True}),
        ("opposite", {"ssl": False}),
        ("tlsCRLFile is not supported", {"tlsCRLFile": "x"}),
        ("tlsDisableOCSPEndpointCheck is not supported", {"tlsDisableOCSPEndpointCheck": True}),
        ("unknown option tlsCAfiles", {"tlsCAfiles": "x"}),
    ]
    for text, options in wrong:
        with pytest.raises(ValueError, match=text):
            MongoClient("h", tls=True, **options)
        pairs = "&".join(f"{name}={str(value).lower()}" for name, value in options.items())
        with pytest.raises(ValueError, match=text.replace("tlsCAfiles", "")):
            MongoClient(f"mongodb://h/?tls=true&{pairs}")
    with pytest.raises(ValueError, match="tls=false"):
        MongoClient("h", tls=False, tlsCAFile=made.ca)
