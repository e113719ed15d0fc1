"""TLS options: what the driver takes, and refusals that say what to do instead.

Files are read here once, so that a wrong one is an error where it was named, not a connection that fails later.
"""

from __future__ import annotations

from collections.abc import Mapping

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_ENCRYPTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
_KEY = b"PRIVATE KEY-----"

_HOST_NAMES = "tlsallowinvalidhostnames"
_PASSWORD = "tlscertificatekeyfilepassword"
_NEEDS_TLS = {
    name.lower(): name
    for name in [
        "tlsAllowInvalidCertificates",
        "tlsAllowInvalidHostnames",
        "tlsCAFile",
        "tlsCertificateKeyFile",
        "tlsCertificateKeyFilePassword",
        "tlsInsecure",
    ]
}


def check(given: dict[str, list[str]]) -> None:
    """Refuse options that cannot work, and remove those from `given` that the driver does not have.

    Raises
    ------
    ValueError
        For options that contradict each other or are not supported, and for a file that does not hold what it should.
    OSError
        For a file that cannot be read.
    """
    ssl = given.pop("ssl", None)
    if ssl is not None and given.setdefault("tls", ssl) != ssl:
        raise ValueError("the options tls and ssl say the opposite of each other")
    for name in ("tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"):
        # The URI options specification forbids both, whatever their values.
        if "tlsinsecure" in given and name.lower() in given:
            raise ValueError(f"give tlsInsecure or {name}, not both")
    for lower, name in _NEEDS_TLS.items():
        if given.get("tls") == ["false"] and lower in given:
            raise ValueError(f"the options tls=false and {name} contradict each other: leave one of them out")
    names = given.pop(_HOST_NAMES, ["false"])
    if names != ["false"]:
        raise ValueError(
            "the option tlsAllowInvalidHostnames is not supported: host names are checked whenever certificates are; "
            "tlsAllowInvalidCertificates skips both checks"
        )
    if _PASSWORD in given:
        raise ValueError(
            "the option tlsCertificateKeyFilePassword is not supported: give a file whose key is not encrypted "
            "(`openssl pkey -in FILE` writes the key without its password), readable by its owner only"
        )
    if _CERTIFICATE not in _content(given, "tlscafile", _CERTIFICATE):
        raise ValueError("the file of tlsCAFile holds no certificate in PEM form")
    pair = _content(given, "tlscertificatekeyfile", _CERTIFICATE + _KEY)
    if any(mark in pair for mark in _ENCRYPTED):
        raise ValueError(
            "the key in the file of tlsCertificateKeyFile is encrypted: `openssl pkey -in FILE` decrypts it"
        )
    if _CERTIFICATE not in pair or _KEY not in pair:
        raise ValueError("the file of tlsCertificateKeyFile must hold a certificate and its private key in PEM form")


def _content(given: Mapping[str, list[str]], name: str, default: bytes) -> bytes:
    if name not in given:
        return default
    with open(given[name][-1], "rb") as file:
        return file.read()
