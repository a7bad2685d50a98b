"""Certificates: our own, made where none is given, and those of others, which a person lays into a folder."""

import hmac
import logging
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.uacrypto import x509_from_der
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from linegate.errors import TransientError
from linegate.logs import log

# A line must not stand still because a certificate that nobody thought of has run out.
DAYS: Final = 3650
TRUSTED, REJECTED = "trusted", "rejected"
MOST_REJECTED: Final = 32
KEY, CERTIFICATE = "private-key.pem", "certificate.der"


def quiet() -> None:
    """What asyncua says goes nowhere: the gate's log has events of its own."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    logging.getLogger("asyncuagds").setLevel(logging.CRITICAL + 1)


def application_uri() -> str:
    """Of this gate, as its own certificate says it."""
    return f"urn:{socket.gethostname()}:linegate"


class Certificates:
    """A folder: the own certificate with its key, and below it who is trusted, and who was rejected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def certificate(self) -> Path:
        return self.folder / CERTIFICATE

    @property
    def key(self) -> Path:
        return self.folder / KEY

    def ensure(self, host: str = "") -> None:
        """Make what is not there. Raises TransientError where the folder can't be written."""
        try:
            (self.folder / TRUSTED).mkdir(parents=True, exist_ok=True)
            if not (self.certificate.exists() and self.key.exists()):
                self._make(host)
        except OSError as error:
            raise TransientError(f"{self.folder} can't be written: {error.strerror}") from error

    def uri(self) -> str:
        """The application's URI in the own certificate: whoever is asked compares it. Raises TransientError."""
        try:
            found = read(self.certificate.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise TransientError(f"{self.certificate} is no certificate of an OPC UA application: {error}") from error
        return next(iter(found.value.get_values_for_type(x509.UniformResourceIdentifier)), application_uri())

    def trusted(self) -> dict[bytes, str]:
        """The certificates (DER) that a person laid here ▶ their files."""
        found: dict[bytes, str] = {}
        for path in sorted((self.folder / TRUSTED).glob("*")):
            try:
                found[read(path.read_bytes()).public_bytes(Encoding.DER)] = path.name
            except (OSError, ValueError):
                log.warning("opcua.certificate.unreadable", path=str(path))
        return found

    def trusts(self, certificate: bytes) -> bool:
        """The very certificate lies in the folder, and holds today. The folder is read each time: nobody starts anything anew."""
        if certificate not in self.trusted():
            self.reject(certificate)
            return False
        theirs, now = x509.load_der_x509_certificate(certificate), datetime.now(UTC)
        return theirs.not_valid_before_utc <= now <= theirs.not_valid_after_utc

    def reject(self, certificate: bytes) -> None:
        """Keep it, so that a person may move it over to those who are trusted."""
        folder = self.folder / REJECTED
        try:
            theirs = x509.load_der_x509_certificate(certificate)
            path = folder / f"{theirs.serial_number:x}"[:40]
            folder.mkdir(exist_ok=True)
            if not path.exists() and len(list(folder.iterdir())) < MOST_REJECTED:
                path.with_suffix(".der").write_bytes(certificate)
        except (OSError, ValueError):
            pass
        log.warning("opcua.certificate.rejected", folder=str(folder))

    def _make(self, host: str) -> None:
        key, names = generate_private_key(), [x509.DNSName(socket.gethostname())]
        others: list[x509.GeneralName] = [x509.UniformResourceIdentifier(application_uri()), *names]
        with suppress(ValueError):
            others.append(x509.IPAddress(ip_address(host)))
        made = generate_self_signed_app_certificate(
            key,
            "Linegate",
            {},
            others,
            extended=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
            days=DAYS,
        )
        _write(self.key, dump_private_key_as_pem(key), 0o600)
        _write(self.certificate, made.public_bytes(Encoding.DER), 0o644)


def read(content: bytes) -> x509.Certificate:
    """A certificate, as DER or PEM. Raises ValueError."""
    if content.lstrip().startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(content)
    return x509.load_der_x509_certificate(content)


def first(chain: bytes) -> bytes:
    """An application's own certificate (DER), which may stand before those of who signed it."""
    found = x509_from_der(chain)
    return bytes(found.public_bytes(Encoding.DER)) if found is not None else chain


def _write(path: Path, content: bytes, mode: int) -> None:
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    part.replace(path)


class Guard:
    """Who may have a session: asyncua asks it with the certificate of the very channel.

    It is asked here, and not where asyncua checks certificates: that looks at what the client says of itself, and at nothing
    where the client says nothing; and it lets an unencrypted channel open a session, whatever policies the server was given.
    """

    def __init__(self, certificates: Certificates | None, user: str, password: str) -> None:
        self._certificates = certificates  # None: whoever reaches the server in its private network
        self._user = user
        self._password = password

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: bytes | None = None
    ) -> User | None:
        if self._certificates is not None and not (certificate and self._certificates.trusts(certificate)):
            return None
        if self._user:
            same = hmac.compare_digest((username or "").encode(), self._user.encode())
            if not (hmac.compare_digest((password or "").encode(), self._password.encode()) and same):
                log.warning("opcua.user.rejected")
                return None
        return User(role=UserRole.User)
