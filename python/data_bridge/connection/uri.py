"""From PyMongo's arguments of `MongoClient` to a URI for the driver, and the options that the driver does not have.

Messages name options, never their values: a URI holds secrets.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .._core import DEFAULT_TIMEOUT
from . import auth, codec, tls, uri_options
from . import write_concern as write_concern_
from .secret import Secret

_SERVER_SELECTION_MS = 30_000
"""As PyMongo: longer than a heartbeat of 10 s, which may be the first to find a server that was lost."""

_UNSUPPORTED = frozenset(
    [
        "authoidcallowedhosts",
        "auto_encryption_opts",
        "driver",
        "enable_overload_retargeting",
        "event_listeners",
        "fsync",
        "max_adaptive_retries",
        "proxyhost",
        "proxypassword",
        "proxyport",
        "proxyusername",
        "server_api",
        "server_selector",
        "srv_host_validator",
        "srvallowedhostssuffix",
        "tlscrlfile",
        "tlsdisablecertificaterevocationcheck",
        "tlsdisableocspendpointcheck",
        "waitqueuemultiple",
    ]
)
_DEADLINES = ("timeoutms", "sockettimeoutms")  # the first one given wins
_IGNORED = frozenset({"connect"})  # we always connect on first use
_NONE_IS_NO_LIMIT = frozenset({"connecttimeoutms", "maxpoolsize"})  # as to PyMongo; the URI has 0 for it
_FREE_TEXT = frozenset(
    ["appname", "authmechanismproperties", "replicaset", "readpreferencetags", "tlscafile", "tlscertificatekeyfile"]
)
"""Options whose value may hold an "@"."""
_SCHEMES = ("mongodb://", "mongodb+srv://")


class Address(NamedTuple):
    """The addresses and options of a connection."""

    uri: Secret
    """For the driver: percent-encoded, with credentials."""
    timeout: float | None
    """Seconds; None waits for ever."""
    codec: dict[str, Any]
    """Codec options by name, from keywords and URI."""
    deadline_ms: int | None
    """PyMongo's `timeoutMS` or `socketTimeoutMS`, when one was given."""
    write_concern: dict[str, Any] | None
    """Of the options w, wTimeoutMS and journal."""


def build(host: str | Iterable[str] | None, port: int | None, keywords: Mapping[str, Any]) -> Address:
    """The address that PyMongo's arguments mean.

    Raises
    ------
    TypeError
        For an argument of a wrong type.
    ValueError
        For an unknown or unsupported option, or a URI that cannot be read.
    """
    from urllib.parse import quote  # a fifth of the package's import time, and not needed for it

    scheme, userinfo, hosts, path, options = _parts(host, port)
    keywords = dict(keywords)
    timeout = keywords.pop("timeout", ...)
    username, password = keywords.pop("username", None), keywords.pop("password", None)
    if username is not None:
        userinfo = quote(_text("username", username), safe="")
        if password is not None:
            userinfo += ":" + quote(_text("password", password), safe="")
    elif password is not None:
        raise ValueError("password was given without username")

    given: dict[str, list[str]] = {}
    codec_options: dict[str, Any] = {}
    deadlines: dict[str, Any] = {}
    for name, value in _named(options, keywords):
        lower = name.lower()
        if lower in codec.KEYWORDS:
            codec_options[codec.KEYWORDS[lower]] = value
        elif lower in _DEADLINES:
            deadlines[lower] = value
        elif lower in uri_options.NAMES:
            texts = uri_options.texts(lower, value)
            from_uri_tags = lower == "readpreferencetags" and isinstance(value, str) and lower in given
            given[lower] = given[lower] + texts if from_uri_tags else texts
        elif lower in _UNSUPPORTED:
            raise ValueError(f"the option {name} is not supported")
        elif lower not in _IGNORED:
            raise ValueError(f"unknown option {name}" if name.isidentifier() else "unknown option in the URI")
    uri_options.check(given)
    tls.check(given)
    auth.check(given, userinfo)
    given.setdefault("serverselectiontimeoutms", [str(_SERVER_SELECTION_MS)])
    query = "&".join(
        f"{uri_options.NAMES[name]}={quote(text, safe=':,')}" for name, texts in given.items() for text in texts
    )
    deadline = _deadline(deadlines)
    uri = f"{scheme}{userinfo + '@' if userinfo else ''}{hosts}/{path}?{query}"
    return Address(Secret(uri), _timeout(timeout, deadline), codec_options, deadline, write_concern_.from_uri(given))


def _parts(host: str | Iterable[str] | None, port: int | None) -> tuple[str, str, str, str, str]:
    """Scheme, credentials, hosts, default database and options, all as written in a URI."""
    if port is not None and (not isinstance(port, int) or isinstance(port, bool)):
        raise TypeError(f"port must be an int, got {type(port).__name__}")
    if port is not None and not 0 < port < 1 << 16:
        raise ValueError("port must be between 1 and 65535")
    if not isinstance(host, (str, Iterable, type(None))):
        raise TypeError(f"host must be a str or a list of str, got {type(host).__name__}")
    seeds = ["localhost"] if host is None else [host] if isinstance(host, str) else list(host)
    if not seeds or not all(isinstance(seed, str) for seed in seeds):
        raise TypeError("host must be a str or a list of str")
    if any("://" in seed for seed in seeds):
        if len(seeds) > 1:
            raise ValueError("host must be one URI, or a list of hosts without a scheme")
        scheme, userinfo, hosts, path, options = _split(seeds[0])
        if port is not None and scheme == "mongodb://":
            # A socket's path is percent-encoded.
            hosts = ",".join(each if "%" in each else _seed(each, port) for each in hosts.split(","))
        return scheme, userinfo, hosts, path, options
    return "mongodb://", "", ",".join(_seed(each, port) for seed in seeds for each in seed.split(",")), "", ""


def _split(uri: str) -> tuple[str, str, str, str, str]:
    scheme = next((scheme for scheme in _SCHEMES if uri.startswith(scheme)), None)
    if scheme is None:
        raise ValueError("a URI must start with mongodb:// or mongodb+srv://")
    rest, _, options = uri[len(scheme) :].partition("?")
    authority, slash, path = rest.partition("/")
    if "@" not in authority and ("@" in path or not _may_hold_at(options)):
        # An unescaped "/" or "?" in the password: what follows is a secret, not a path.
        raise ValueError("user name and password in a URI must be percent-encoded: use urllib.parse.quote_plus")
    userinfo, at, hosts = authority.rpartition("@")
    if at and userinfo.partition(":")[0] == "":
        raise ValueError("the user name in the URI is empty")
    if "@" in userinfo or userinfo.count(":") > 1:
        raise ValueError("user name and password in a URI must be percent-encoded: use urllib.parse.quote_plus")
    if re.search(r"%(?![0-9a-fA-F]{2})", userinfo):
        raise ValueError("user name and password in a URI must be percent-encoded: use urllib.parse.quote_plus")
    if not hosts:
        raise ValueError("a URI must name a host")
    if any(re.search(r":(?!\d{1,5}$)[^:\]]*$", host) for host in hosts.split(",")):
        # Not quoted: without its "@" a URI has the password there.
        raise ValueError("a port in a URI must be a number")
    return scheme, _as_driver_reads(userinfo), hosts, path if slash else "", options


def _may_hold_at(options: str) -> bool:
    """Return whether each "@" in the options of a URI belongs to a value, not to a password with an unescaped "?"."""
    pairs = [pair.partition("=") for pair in options.split("&") if "@" in pair]
    return all(name.lower() in _FREE_TEXT for name, _, _ in pairs)


def _as_driver_reads(userinfo: str) -> str:
    """PyMongo, as what `quote_plus` writes, has "+" for a space, where the driver has it for itself."""
    from urllib.parse import quote, unquote_plus

    return ":".join(quote(unquote_plus(part), safe="") for part in userinfo.split(":"))


def _seed(seed: str, port: int | None) -> str:
    if "@" in seed or "?" in seed:
        raise ValueError("a host cannot contain '@' or '?': give a URI, or username= and password=")
    if seed.endswith(".sock"):
        from urllib.parse import quote

        return quote(seed, safe="")
    if "/" in seed:
        raise ValueError("a host cannot contain '/': give a URI")
    if seed.count(":") > 1 and not seed.startswith("["):
        seed = f"[{seed}]"  # a bare IPv6 address
    has_port = re.search(r":\d+$", seed) and not re.fullmatch(r"\[.*\]", seed)
    return seed if has_port else f"{seed}:{27017 if port is None else port}"


def _named(options: str, keywords: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Options of the URI, then those given as keywords, which win."""
    from urllib.parse import unquote_plus

    keywords = {
        name: 0 if value is None and name.lower() in _NONE_IS_NO_LIMIT else value for name, value in keywords.items()
    }
    taken = {name.lower() for name, value in keywords.items() if value is not None}
    seen: set[str] = set()
    for pair in options.split("&") if options else []:
        name, equals, value = pair.partition("=")
        if not pair:
            continue
        if not equals:
            raise ValueError("an option in the URI has no value")
        if name.lower() in seen and name.lower() != "readpreferencetags":
            warnings.warn(f"the URI gives the option {name} more than once: the last value counts", stacklevel=5)
        seen.add(name.lower())
        if name.lower() not in taken:
            yield name, unquote_plus(value)
    for name, value in keywords.items():
        if value is not None:
            yield name, value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {type(value).__name__}")
    return value


def _deadline(deadlines: Mapping[str, Any]) -> int | None:
    for name in _DEADLINES:
        if name in deadlines:
            try:
                milliseconds = int(deadlines[name])
            except (TypeError, ValueError):
                raise ValueError(f"{name[:-2]}MS must be a number of milliseconds") from None
            if milliseconds < 0:
                raise ValueError(f"{name[:-2]}MS cannot be negative")
            return milliseconds
    return None


def _timeout(timeout: Any, deadline_ms: int | None) -> float | None:
    if timeout is ...:
        if deadline_ms is None:
            return DEFAULT_TIMEOUT
        return deadline_ms / 1000 or None  # 0 means no limit to PyMongo
    return check_timeout(timeout)


def check_timeout(timeout: Any) -> float | None:
    """Seconds as a float, or None.

    Raises
    ------
    TypeError
        When it is no number.
    ValueError
        When it is not positive.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, got {type(timeout).__name__}")
    if not timeout > 0:
        raise ValueError(f"timeout must be positive, or None for no limit, got {timeout}")
    return float(timeout)
