"""Certificates for tests, made by the `openssl` command in a directory of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """A certificate authority and what it signs: files named in `directory`."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self.directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _openssl(
            *("req", "-x509", "-subj", f"/CN=data-bridge test {name}", "-days", "2", *_new_key(self._key)),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-out", str(self.certificate)),
        )

    def sign(self, name: str, *hosts: str, subject: str = "/CN=server", days: int = 2) -> Path:
        """Key and certificate in one file, as MongoDB wants them; negative `days` make it expired."""
        key, request, extensions, signed, both = (
            self.directory / f"{name}.{kind}" for kind in ("key", "csr", "ext", "crt", "pem")
        )
        _openssl("req", "-new", "-subj", subject, *_new_key(key), "-out", str(request))
        names = ",".join(f"IP:{host}" if host[0].isdigit() else f"DNS:{host}" for host in hosts)
        usage = f"subjectAltName={names}\nextendedKeyUsage=serverAuth" if hosts else "extendedKeyUsage=clientAuth"
        extensions.write_text(f"{usage}\n")
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(signed)),
        )
        both.write_bytes(key.read_bytes() + signed.read_bytes())
        return both


def encrypted(certificate_and_key: Path, password: str) -> Path:
    """The same with an encrypted key."""
    made = certificate_and_key.with_suffix(".encrypted.pem")
    _openssl("pkcs8", "-topk8", "-in", str(certificate_and_key), "-passout", f"pass:{password}", "-out", str(made))
    with made.open("ab") as file:
        file.write(certificate_and_key.with_suffix(".crt").read_bytes())
    return made


def _new_key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))


def _openssl(*arguments: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes certificates, is not installed")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
