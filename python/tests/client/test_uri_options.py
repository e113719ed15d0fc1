"""Options of a URI and keywords of clients: PyMongo and the driver specifications are the oracle."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

from data_bridge import AsyncMongoClient, ConnectionFailure, DataBridgeError, InvalidQuery, MongoClient
from data_bridge.connection import uri as uri_module

KINDS = [MongoClient, AsyncMongoClient]
DRIVER = re.compile(r"feature|Rust|rust|tokio|cargo|max_staleness|heartbeat_freq|w_timeout|Some\(|[a-z]::|\{key\}")
"""Words of the driver's own texts: its compile-time features, fields and types."""


def refusal(*args: Any, kind: Any = MongoClient, **kwargs: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        kind(*args, **kwargs)
    text = str(caught.value)
    assert not DRIVER.search(text), text
    return text


def built(*args: Any, **kwargs: Any) -> str:
    return uri_module.build(*args, kwargs).uri.reveal()


OIDC = "mongodb://h/?authMechanism=MONGODB-OIDC"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("authMechanism=MONGODB-AWS", "MONGODB-AWS is not supported in this build"),
        ("authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:x%2By", "MONGODB-AWS is not supported"),
        ("authMechanism=GSSAPI&authSource=$external", "GSSAPI is not supported in this build"),
        ("authMechanism=MONGODB-CR", "use SCRAM-SHA-256"),
        ("authMechanism=KERBEROS", "authMechanism must be one of SCRAM-SHA-256"),
        (
            "authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:a://b",
            "ENVIRONMENT:azure",
        ),
        ("authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:gcp,TOKEN_RESOURCE:r", "ENVIRONMENT:gcp"),
    ],
)
def test_authentication_mechanisms_of_other_builds_are_refused_with_the_alternative(
    kind: Any, options: str, named: str
) -> None:
    text = refusal(f"mongodb://joe@h/?{options}", kind=kind)
    assert named in text
    assert "percent-encoded" not in text
    if "not supported in this build" in text:
        assert "pymongo.MongoClient" in text
        assert "find_raw_batches" in text
    assert (
        refusal("mongodb://joe@h/?w=1", kind=kind, **dict(pair.split("=", 1) for pair in options.split("&")))
        is not None
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("uri", "named"),
    [
        (OIDC, "ENVIRONMENT:k8s"),
        (f"{OIDC}&authMechanismProperties=TOKEN_RESOURCE:a", "ENVIRONMENT:k8s"),
        (f"{OIDC}&authMechanismProperties=ENVIRONMENT:", "ENVIRONMENT:k8s"),
        (f"{OIDC}&authMechanismProperties=ENVIRONMENT:k8s,TOKEN_RESOURCE:a", "TOKEN_RESOURCE"),
        (f"{OIDC}&authSource=admin&authMechanismProperties=ENVIRONMENT:k8s", "authSource"),
        ("mongodb://u:p@h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s", "takes no password"),
        ("mongodb://u:p@h/?authMechanism=MONGODB-X509", "takes no password"),
        ("mongodb://h/?authMechanism=SCRAM-SHA-256", "needs a user name"),
        ("mongodb://u@h/?authMechanism=SCRAM-SHA-1", "needs a password"),
        ("mongodb://u@h/?authMechanism=PLAIN", "needs a password"),
        ("mongodb://u:p@h/?authSource=", "authSource is empty"),
        ("mongodb://:p@h/", "user name in the URI is empty"),
        ("mongodb://@h/", "user name in the URI is empty"),
        ("mongodb://h/?authMechanismProperties=a", "pairs of NAME:value"),
        ("mongodb://u:p@h/?authMechanism=SCRAM-SHA-1&authMechanismProperties=a:b,c", "pairs of NAME:value"),
        (
            "mongodb://h/?authMechanism=MONGODB-X509&authMechanismProperties=CANONICALIZE_HOST_NAME:never",
            "Invalid CANONICALIZE_HOST_NAME value",
        ),
    ],
)
def test_credentials_that_do_not_fit_their_mechanism(kind: Any, uri: str, named: str) -> None:
    text = refusal(uri, kind=kind)
    assert named in text
    assert "percent-encoded" not in text


@pytest.mark.parametrize(
    "uri",
    [
        f"{OIDC}&authMechanismProperties=ENVIRONMENT:k8s",
        f"{OIDC}&authSource=$external&authMechanismProperties=ENVIRONMENT:k8s",
        "mongodb://u@h/?authMechanism=MONGODB-X509",
        "mongodb://u:p@h/?authMechanism=DEFAULT",
        "mongodb://u:p@h/?authMechanism=PLAIN&authSource=x",
        "mongodb://h/?appName=joe@home",
        "mongodb://h/?authMechanismProperties=SERVICE_NAME:a@b",
        "mongodb://h/db?replicaSet=a@b&appName=@",
    ],
)
def test_valid_uris_are_accepted_as_by_pymongo(uri: str) -> None:
    pymongo.MongoClient(uri, connect=False).close()
    MongoClient(uri).close()


def test_callbacks_are_refused_by_name() -> None:
    for key in ("OIDC_CALLBACK", "OIDC_HUMAN_CALLBACK", "ALLOWED_HOSTS"):
        with pytest.raises(TypeError, match=f"{key} in authMechanismProperties"):
            MongoClient(authMechanism="MONGODB-OIDC", authMechanismProperties={key: object()})


@pytest.mark.parametrize("other", ["tlsAllowInvalidHostnames", "tlsAllowInvalidCertificates"])
@pytest.mark.parametrize("values", ["true true", "true false", "false true", "false false"])
def test_tls_insecure_with_an_option_that_it_implies(other: str, values: str) -> None:
    first, second = values.split()
    for pairs in (f"tlsInsecure={first}&{other}={second}", f"{other}={second}&tlsInsecure={first}"):
        uri = f"mongodb://h/?tls=true&{pairs}"
        with pytest.raises(PyMongoError):
            pymongo.MongoClient(uri, connect=False)
        assert refusal(uri) == f"give tlsInsecure or {other}, not both"
    assert "both" in refusal(tls=True, **{"tlsInsecure": first == "true", other: second == "true"})


@pytest.mark.parametrize(
    "option",
    ["tlsInsecure=true", "tlsAllowInvalidCertificates=false", "tlsAllowInvalidHostnames=false", "tlsCAFile=x"],
)
def test_tls_options_without_tls(option: str) -> None:
    name = option.partition("=")[0]
    for pairs in (f"tls=false&{option}", f"{option}&ssl=false"):
        assert f"tls=false and {name}" in refusal(f"mongodb://h/?{pairs}")


@pytest.mark.parametrize(
    "arguments", [{"host": "mongodb://h/?maxPoolSize=0"}, {"maxPoolSize": 0}, {"maxPoolSize": None}]
)
def test_a_pool_size_of_zero_is_no_limit(arguments: dict[str, Any]) -> None:
    for kind in KINDS:
        kind(**arguments)
    theirs = pymongo.MongoClient(**arguments, connect=False)
    assert not theirs.options.pool_options.max_pool_size
    theirs.close()
    assert "maxPoolSize=0" in built(arguments.get("host"), None, **{k: v for k, v in arguments.items() if k != "host"})


def test_a_pool_without_limit_reads(mongodb_uri: str) -> None:
    with MongoClient(mongodb_uri, maxPoolSize=0, minPoolSize=2) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_a_timeout_of_none_is_no_limit() -> None:
    assert "connectTimeoutMS=0&" in built(None, None, connectTimeoutMS=None)
    assert "connectTimeoutMS" not in built(None, None)


@pytest.mark.parametrize("name", ["loadBalanced", "LOADBALANCED"])
def test_load_balanced_with_a_plain_server(name: str, mongodb_uri: str) -> None:
    with MongoClient(mongodb_uri.partition("?")[0], **{name: True}, timeout=20) as client:
        for use in (lambda: client.admin.command("ping"), lambda: client.a.b.find_one({}), client.a.b.find({}).read):
            with pytest.raises(ConnectionFailure, match="leave loadBalanced=true out") as caught:
                use()
            assert not isinstance(caught.value, InvalidQuery)
            assert not DRIVER.search(str(caught.value))


async def test_load_balanced_with_a_plain_server_awaited(mongodb_uri: str) -> None:
    async with AsyncMongoClient(mongodb_uri.partition("?")[0], loadBalanced=True, timeout=20) as client:
        for use in (client.a.b.find_one, client.a.b.find({}).read, client.list_database_names):
            with pytest.raises(ConnectionFailure, match="leave loadBalanced=true out"):
                await use()


@pytest.mark.parametrize("host", ["nowhere.example.invalid", "localhost", "a.b.c.invalid"])
def test_a_cluster_name_without_records(host: str) -> None:
    client = MongoClient(f"mongodb+srv://{host}/", serverSelectionTimeoutMS=5_000, timeout=20)
    with client, pytest.raises(DataBridgeError) as caught:
        client.admin.command("ping")
    text = str(caught.value)
    assert text.startswith(("the host name was not resolved: ", "no answer from the server"))
    assert "Query {" not in text
    assert "Name(" not in text


WRONG_TYPES: list[dict[str, Any]] = [
    {"appName": 5},
    {"authMechanism": 1},
    {"authMechanismProperties": 7},
    {"authSource": b"admin"},
    {"compressors": 1},
    {"compressors": [1]},
    {"connectTimeoutMS": True},
    {"connectTimeoutMS": [1]},
    {"directConnection": 1},
    {"heartbeatFrequencyMS": {}},
    {"journal": 1},
    {"loadBalanced": 0},
    {"maxConnecting": 1.5},
    {"maxPoolSize": True},
    {"maxPoolSize": [3]},
    {"minPoolSize": object()},
    {"readConcernLevel": 1},
    {"readPreference": 1},
    {"readPreferenceTags": 3},
    {"replicaSet": ["r"]},
    {"retryReads": 1},
    {"retryWrites": object()},
    {"serverSelectionTimeoutMS": b"1"},
    {"tls": 1},
    {"tlsCAFile": 1},
    {"tlsInsecure": []},
    {"tz_aware": 1},
    {"w": True},
    {"w": 1.0},
    {"wTimeoutMS": b"1"},
    {"zlibCompressionLevel": []},
    {"host": 5},
    {"host": [b"h"]},
    {"port": "1"},
]


@pytest.mark.parametrize("keywords", WRONG_TYPES, ids=lambda keywords: " ".join(keywords))
def test_keywords_of_a_wrong_type(keywords: dict[str, Any]) -> None:
    (name, value), *_ = keywords.items()
    for kind in KINDS:
        with pytest.raises(TypeError, match=f"^{name} must be ") as caught:
            kind(**keywords)
        assert type(value).__name__ in str(caught.value) or isinstance(value, list)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("appName", "x" * 129),
        ("compressors", "brotli"),
        ("connectTimeoutMS", "soon"),
        ("connectTimeoutMS", "-1"),
        ("heartbeatFrequencyMS", "2"),
        ("journal", "perhaps"),
        ("localThresholdMS", "nan"),
        ("maxConnecting", "0"),
        ("maxIdleTimeMS", ""),
        ("maxPoolSize", "-1"),
        ("maxPoolSize", "99999999999"),
        ("maxStalenessSeconds", "-2"),
        ("maxStalenessSeconds", "soon"),
        ("minPoolSize", "1.5"),
        ("readPreference", "somewhere"),
        ("readPreferenceTags", "dc"),
        ("readPreferenceTags", "dc:a:b"),
        ("retryWrites", "1"),
        ("serverMonitoringMode", "loud"),
        ("serverSelectionTimeoutMS", "1e400"),
        ("tls", "yes"),
        ("w", "-1"),
        ("wTimeoutMS", "never"),
        ("zlibCompressionLevel", "10"),
    ],
)
def test_values_that_an_option_does_not_take(option: str, value: str) -> None:
    for text in (refusal(f"mongodb://h/?{option}={value}"), refusal(**{option: value})):
        assert text.startswith(option)
        assert len(value) < 4 or value not in text  # a URI holds secrets
    if value in ("brotli", "99999999999"):
        return  # PyMongo leaves an unknown compressor out, and has no largest pool.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, PyMongoError)):
            pymongo.MongoClient(**{option: value}, connect=False)


def test_options_that_contradict_each_other() -> None:
    assert "minPoolSize is larger" in refusal("mongodb://h/?minPoolSize=5&maxPoolSize=4")
    MongoClient("mongodb://h/?minPoolSize=5&maxPoolSize=0")
    assert "maxStalenessSeconds must be at least 90" in refusal(
        "mongodb://h/?readPreference=nearest&maxStalenessSeconds=5"
    )
    assert "between 1 and 65535" in refusal("h", 65536)
    assert "give read_preference=" in refusal(readPreference="nearest", readPreferenceTags={"dc": "a:b"})


def test_parts_of_a_millisecond_round_up_as_zero_is_no_limit() -> None:
    assert "connectTimeoutMS=1&" in built(None, None, connectTimeoutMS=0.2)
    assert "connectTimeoutMS=1500&" in built("mongodb://h/?connectTimeoutMS=1500.0", None)
    assert "localThresholdMS=16&" in built("mongodb://h/?localThresholdMS=15.5", None)


@pytest.mark.parametrize("pairs", ["replicaSet=a&replicaSet=b", "w=1&W=2", "appName=x&appName=x"])
def test_an_option_given_twice_is_a_warning(pairs: str) -> None:
    name = pairs.partition("=")[0]
    with pytest.warns(UserWarning, match=f"(?i)the option {name} more than once") as caught:
        MongoClient(f"mongodb://h/?{pairs}")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MongoClient("mongodb://h/?readPreference=nearest&readPreferenceTags=a:b&readPreferenceTags=")


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.pem"):
        MongoClient("h", tls=True, tlsCAFile=tmp_path / "no.pem")
