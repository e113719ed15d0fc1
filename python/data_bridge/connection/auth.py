"""Authentication options: the mechanisms of this build, and refusals that name the alternative."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PASSWORDS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
_SUPPORTED = (*_PASSWORDS, "MONGODB-X509", "MONGODB-OIDC")
_ELSEWHERE = frozenset(["GSSAPI", "MONGODB-AWS"])
_NEGOTIATED = "DEFAULT"
_EXTERNAL = frozenset(["MONGODB-X509", "MONGODB-OIDC"])

_ALTERNATIVE = (
    "use pymongo.MongoClient, which supports it, and pass its raw batches (collection.find_raw_batches()) to "
    "data_bridge.read_bson()"
)


def check(given: dict[str, list[str]], userinfo: str) -> None:
    """Refuse options that cannot work, and remove those from `given` that the driver does not have.

    `userinfo` is the URI's `user:password`, empty without credentials.

    Raises
    ------
    ValueError
        For a mechanism that is unknown or not supported, and for one that lacks what it needs.
    """
    _check_mechanism(given, userinfo)
    for properties in given.get("authmechanismproperties", []):
        if not all(pair.partition(":")[1] for pair in properties.split(",")):
            raise ValueError("authMechanismProperties must be pairs of NAME:value, separated by commas")


def _check_mechanism(given: dict[str, list[str]], userinfo: str) -> None:
    mechanism = given.get("authmechanism", [_NEGOTIATED])[-1]
    if mechanism == _NEGOTIATED:
        given.pop("authmechanism", None)
        return
    if mechanism in _ELSEWHERE:
        raise ValueError(f"authMechanism {mechanism} is not supported in this build: {_ALTERNATIVE}")
    if mechanism == "MONGODB-CR":
        raise ValueError(
            "authMechanism MONGODB-CR is not supported: servers since 4.0 do not have it; use SCRAM-SHA-256"
        )
    if mechanism not in _SUPPORTED:
        raise ValueError(f"authMechanism must be one of {', '.join(_SUPPORTED)}")
    user, colon, _ = userinfo.partition(":")
    if mechanism in _PASSWORDS and not user:
        raise ValueError(f"authMechanism {mechanism} needs a user name: give username=, or put it into the URI")
    if mechanism in _PASSWORDS and not colon:
        raise ValueError(f"authMechanism {mechanism} needs a password: give password=, or put it into the URI")
    if mechanism in _EXTERNAL and colon:
        raise ValueError(f"authMechanism {mechanism} takes no password")
    if mechanism in _EXTERNAL and given.get("authsource", ["$external"])[-1] != "$external":
        raise ValueError(f"authMechanism {mechanism} takes no authSource but $external")
    if mechanism == "MONGODB-OIDC":
        _check_oidc(given)


def _check_oidc(given: Mapping[str, list[str]]) -> None:
    properties = given.get("authmechanismproperties", [""])[-1]
    # A value may hold commas and colons, as a resource that is a URI does.
    found = re.search(r"(?:^|,)ENVIRONMENT:([^,]*)", properties)
    environment = found.group(1) if found else None
    if environment == "k8s":
        if re.search(r"(?:^|,)TOKEN_RESOURCE:", properties):
            raise ValueError(
                "TOKEN_RESOURCE in authMechanismProperties is for ENVIRONMENT:azure and ENVIRONMENT:gcp only"
            )
        return
    if environment in ("azure", "gcp", "test"):
        raise ValueError(
            f"authMechanism MONGODB-OIDC with ENVIRONMENT:{environment} is not supported in this build, "
            f"ENVIRONMENT:k8s is: {_ALTERNATIVE}"
        )
    raise ValueError(
        "authMechanism MONGODB-OIDC needs authMechanismProperties with ENVIRONMENT:k8s; callbacks and other "
        f"environments are not supported in this build: {_ALTERNATIVE}"
    )
