"""Our arguments for those of a PyMongo client. Messages name options, never their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.codec_options import CodecOptions

from ..connection import codec, uri

_AS_OBJECTS = frozenset(
    [
        *codec.KEYWORDS,
        "document_class",
        "type_registry",
        "read_preference",
        "readpreference",
        "readpreferencetags",
        "maxstalenessseconds",
        "readconcernlevel",
    ]
)
"""Options that the client holds as an object, which is used instead."""
_OF_THE_PROCESS = frozenset(["connect", "driver"])
"""When to connect, and what else names itself in the server's logs: nothing that an answer depends on."""
_TEMPORARY = {
    "max_adaptive_retries": "maxAdaptiveRetries",
    "enable_overload_retargeting": "enableOverloadRetargeting",
}
"""PyMongo's other names for options of the URI."""
_WITHOUT_EFFECT = {
    "event_listeners": ((), []),
    "fsync": (False, "false"),
    "tlsallowinvalidhostnames": (False, "false"),
    "tlsdisableocspendpointcheck": (False, "false"),
}
"""Options that are not supported, and their values without an effect."""
_TLS_WHEN_GIVEN = ("tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscafile", "tlscrlfile")
_TLS_WHEN_FALSE = (
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "tlsdisableocspendpointcheck",
    "tlsinsecure",
)


def of_client(client: Any, codec_options: CodecOptions[Any]) -> dict[str, Any]:
    """Arguments of our clients that mean what `client` was made with; they hold its credentials.

    Raises
    ------
    ValueError
        For an option that is not supported, by its name.
    TypeError
        For an authentication property that is an object, such as a callback.
    """
    given = vars(client).get("_init_kwargs")
    if given is None:
        raise ValueError("this release of PyMongo does not show what the client was made with: give MongoClient a URI")
    given = dict(given)
    host, port = given.pop("host", None), given.pop("port", None)
    host, options = _without_options(client.HOST if host is None else host)
    keywords: dict[str, Any] = {}
    for name, value in uri._named(options, given):
        lower = name.lower()
        if lower in _AS_OBJECTS or lower in _OF_THE_PROCESS:
            continue
        # By the lower-case name once only: what PyMongo takes in any case, Python's keywords do not.
        keywords[_TEMPORARY.get(lower, lower)] = _plain(name, value)
    _decide_tls(keywords, srv=isinstance(host, str) and host.startswith("mongodb+srv://"))
    for name, values in _WITHOUT_EFFECT.items():
        if name in keywords and keywords[name] in values:
            del keywords[name]
    keywords.update(host=host, port=client.PORT if port is None else port, **codec.keywords(codec.check(codec_options)))
    if client.read_preference.document != {"mode": "primary"}:
        keywords["read_preference"] = client.read_preference
    return keywords


def _without_options(host: Any) -> tuple[Any, str]:
    """A host argument, and the options of the URI that it may be."""
    seeds = [host] if isinstance(host, str) else list(host)
    if len(seeds) != 1 or "://" not in seeds[0]:
        return seeds, ""
    scheme, userinfo, hosts, path, options = uri._split(seeds[0])
    return f"{scheme}{userinfo + '@' if userinfo else ''}{hosts}/{path}", options


def _plain(name: str, value: object) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the driver reads milliseconds as whole numbers
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(each, (str, bool, int)):
                raise TypeError(f"{key} in {name} is a {type(each).__name__}, which cannot be taken over")
    return value


def _decide_tls(keywords: dict[str, Any], *, srv: bool) -> None:
    """Say whether connections are encrypted as PyMongo decides it: the driver goes by other rules."""
    if "ssl" in keywords:
        keywords.setdefault("tls", keywords["ssl"])
        del keywords["ssl"]
    implied = any(keywords.get(name) for name in _TLS_WHEN_GIVEN) or any(
        keywords.get(name) in (False, "false") for name in _TLS_WHEN_FALSE
    )
    if implied and "tls" not in keywords:
        keywords["tls"] = True
    if not srv and keywords.get("tls") not in (True, "true"):
        # Without TLS, PyMongo does not look at them, and the driver would turn it on.
        for name in _TLS_WHEN_FALSE:
            keywords.pop(name, None)
