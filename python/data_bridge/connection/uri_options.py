"""Options of a URI: the values that each one takes, as the URI's text or as a keyword's object.

Messages name options, never their values: a URI holds secrets.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

_MOST_CONNECTIONS = 2**31 - 1
_MOST_MILLISECONDS = 10**12  # a billion seconds, PyMongo's bound
_APP_NAME_BYTES = 128  # the server refuses a handshake with a longer one
_COMPRESSORS = ("zstd", "snappy", "zlib")
MODES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")
"""Names of read preferences."""


def texts(name: str, value: object) -> list[str]:
    """Return the value of an option, by its lower-case name, as the URI writes it: one text, several for tag sets.

    Raises
    ------
    TypeError
        For a value of a wrong type.
    ValueError
        For a value that the option does not take.
    """
    return _TEXTS[name](NAMES[name], value)


def check(given: Mapping[str, list[str]]) -> None:
    """Refuse options, by their lower-case names, that contradict each other.

    Raises
    ------
    ValueError
        When a pool must keep more connections than it may have.
    """
    most = int(given.get("maxpoolsize", ["0"])[-1])
    if most and int(given.get("minpoolsize", ["0"])[-1]) > most:
        raise ValueError("minPoolSize is larger than maxPoolSize")


def _one(read: Callable[[str, Any], str]) -> Callable[[str, Any], list[str]]:
    return lambda name, value: [read(name, value)]


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    return value


def _filled(name: str, value: object) -> str:
    if not _text(name, value):
        raise ValueError(f"{name} is empty")
    return str(value)


def _app_name(name: str, value: object) -> str:
    if len(_text(name, value).encode()) > _APP_NAME_BYTES:
        raise ValueError(f"{name} is longer than {_APP_NAME_BYTES} bytes")
    return str(value)


def _path(name: str, value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong_type(name, "a path (str or os.PathLike)", value)
    return os.fsdecode(value)


def _boolean(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise _wrong_type(name, "a bool", value)
    if value not in ("true", "false"):
        raise ValueError(f"{name} must be true or false")
    return value


def _integer(least: int, most: int, wanted: str) -> Callable[[str, Any], list[str]]:
    def read(name: str, value: Any) -> str:
        number = value
        if isinstance(value, str):
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,20}", value) else least - 1
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        elif isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an int", value)
        if not least <= number <= most:
            raise ValueError(f"{name} must be {wanted}")
        return str(number)

    return _one(read)


def _milliseconds(least: int) -> Callable[[str, Any], list[str]]:
    def read(name: str, value: Any) -> str:
        number = value
        if isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                raise ValueError(f"{name} must be a number of milliseconds") from None
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong_type(name, "a number of milliseconds", value)
        if not least <= number <= _MOST_MILLISECONDS:
            raise ValueError(f"{name} must be a number of milliseconds, at least {least} and at most 10**12")
        # The driver counts whole milliseconds; a part of one must not become 0, which means no limit.
        return str(math.ceil(number))

    return _one(read)


def _chosen(*choices: str) -> Callable[[str, Any], list[str]]:
    by_name = {choice.lower(): choice for choice in choices}

    def read(name: str, value: Any) -> str:
        if _text(name, value).lower() not in by_name:
            raise ValueError(f"{name} must be one of {', '.join(choices)}")
        return by_name[value.lower()]

    return _one(read)


def _compressors(name: str, value: object) -> str:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise _wrong_type(name, "a str or a list of str", value)
    if not value or not set(value) <= set(_COMPRESSORS):
        raise ValueError(f"{name} may name {', '.join(_COMPRESSORS)}, separated by commas")
    return ",".join(value)


def _acknowledgement(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _wrong_type(name, "an int or a str", value)
    if value == "":
        raise ValueError(f"{name} is empty")
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", str(value)):
        return str(value)
    if not 0 <= int(value) <= _MOST_CONNECTIONS:
        raise ValueError(f'{name} must be an int that is not negative, "majority" or the name of a write concern')
    return str(int(value))


def _properties(name: str, value: object) -> str:
    """Properties as the URI writes them; a mapping must hold nothing that the URI cannot."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        raise _wrong_type(name, "a str or a mapping", value)
    pairs = []
    for key, each in value.items():
        if not isinstance(key, str):
            raise _wrong_type(name, "a mapping with names of type str", key)
        if isinstance(each, bool):
            each = "true" if each else "false"
        if not isinstance(each, str):
            # Callbacks of MONGODB-OIDC, lists of hosts.
            raise TypeError(
                f"{key} in {name} must be a str or a bool, got {type(each).__name__}: objects are not supported"
            )
        pairs.append(f"{key}:{each}")
    return ",".join(pairs)


def _tag_sets(name: str, value: object) -> list[str]:
    sets = [value] if isinstance(value, (str, Mapping)) else value
    if not isinstance(sets, (list, tuple)):
        raise _wrong_type(name, "a str, a mapping or a list of them", value)
    return [_tags(name, each) for each in sets]


def _tags(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        pairs = [(str(key), _tag(each)) for key, each in value.items()]
        if any(mark in text for pair in pairs for text in pair for mark in ",:"):
            raise ValueError(
                f"a tag in {name} cannot hold a comma or a colon: give read_preference= an object of "
                "pymongo.read_preferences with tag_sets"
            )
        return ",".join(":".join(pair) for pair in pairs)
    if not isinstance(value, str):
        raise _wrong_type(name, "a str, a mapping or a list of them", value)
    if value and any(pair.count(":") != 1 for pair in value.split(",")):
        # The driver would drop what follows a second colon.
        raise ValueError(f"{name} must be pairs of name:value, separated by commas")
    return value


def _tag(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong_type(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, got {type(value).__name__}")


_count = _integer(0, _MOST_CONNECTIONS, "an int that is not negative")

_OPTIONS: dict[str, Callable[[str, Any], list[str]]] = {
    "appName": _one(_app_name),
    "authMechanism": _one(_filled),
    "authMechanismProperties": _one(_properties),
    "authSource": _one(_filled),
    "compressors": _one(_compressors),
    "connectTimeoutMS": _milliseconds(0),
    "directConnection": _one(_boolean),
    "enableOverloadRetargeting": _one(_boolean),
    "heartbeatFrequencyMS": _milliseconds(500),
    "journal": _one(_boolean),
    "loadBalanced": _one(_boolean),
    "localThresholdMS": _milliseconds(0),
    "maxAdaptiveRetries": _count,
    "maxConnecting": _integer(1, _MOST_CONNECTIONS, "an int of 1 or more"),
    "maxIdleTimeMS": _milliseconds(0),
    "maxPoolSize": _integer(0, _MOST_CONNECTIONS, "an int that is not negative; 0 means no limit"),
    "maxStalenessSeconds": _integer(-1, _MOST_CONNECTIONS, "an int of 90 or more, or -1 for no limit"),
    "minPoolSize": _count,
    "readConcernLevel": _one(_filled),
    "readPreference": _chosen(*MODES),
    "readPreferenceTags": _tag_sets,
    "replicaSet": _one(_filled),
    "retryReads": _one(_boolean),
    "retryWrites": _one(_boolean),
    "serverMonitoringMode": _chosen("auto", "stream", "poll"),
    "serverSelectionTimeoutMS": _milliseconds(0),
    "srvMaxHosts": _count,
    "srvServiceName": _one(_filled),
    "ssl": _one(_boolean),
    "tls": _one(_boolean),
    "tlsAllowInvalidCertificates": _one(_boolean),
    "tlsAllowInvalidHostnames": _one(_boolean),
    "tlsCAFile": _one(_path),
    "tlsCertificateKeyFile": _one(_path),
    "tlsCertificateKeyFilePassword": _one(_text),
    "tlsInsecure": _one(_boolean),
    "w": _one(_acknowledgement),
    "waitQueueTimeoutMS": _milliseconds(0),
    "wTimeoutMS": _milliseconds(0),
    "zlibCompressionLevel": _integer(-1, 9, "an int from -1 to 9"),
}

NAMES = {name.lower(): name for name in _OPTIONS}
"""The spelling of each option that reaches the driver, by its lower-case name."""
_TEXTS = {name.lower(): read for name, read in _OPTIONS.items()}
