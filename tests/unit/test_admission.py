"""Who may push to a function that is served by itself."""

import base64
import datetime
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt
from werkzeug.exceptions import Forbidden, HTTPException, Unauthorized

from linegate.adapters.exchange import Http
from linegate.adapters.gcp.tokens import ProxyIdentities, PushTokens
from linegate.admission import admit
from linegate.config import PushTrust
from linegate.errors import TransientError
from tests.standins.service import Reply, Request, Service, always, status

SECRET = "a secret of some length"
AUDIENCE, ACCOUNT = "https://gate.plant.example/aggregate", "push@plant.iam.gserviceaccount.com"


def outcome(authorization: str, trust: PushTrust, *, cloud: bool = False) -> HTTPException | None:
    try:
        admit(authorization, trust, cloud=cloud)
    except HTTPException as error:
        return error
    return None


def test_the_secret_lets_in_and_nothing_else_does() -> None:
    trust = PushTrust(secret=SECRET)
    assert outcome(f"Bearer {SECRET}", trust) is None
    assert outcome(f"bearer {SECRET}", trust) is None
    for authorization, refusal in (
        ("", Unauthorized),
        ("Bearer", Unauthorized),
        (SECRET, Unauthorized),
        (f"Bearer {SECRET[:-1]}", Forbidden),
        (f"Bearer {SECRET}x", Forbidden),
        ("Bearer ünï", Forbidden),
    ):
        error = outcome(authorization, trust)
        assert isinstance(error, refusal), authorization
        assert "LINEGATE_PUSH_SECRET" in str(error.description)


@pytest.mark.parametrize(
    ("trust", "named"),
    [
        (PushTrust(), "LINEGATE_PUSH_SECRET, or LINEGATE_PUSH_AUDIENCE"),
        (PushTrust(secret="short"), "LINEGATE_PUSH_SECRET can be guessed"),
        (PushTrust(audience=AUDIENCE), "LINEGATE_PUSH_AUDIENCE needs LINEGATE_PUSH_SERVICE_ACCOUNT"),
        (PushTrust(on_cloud_run=True), "LINEGATE_PUSH_SECRET, or LINEGATE_PUSH_AUDIENCE"),
    ],
)
def test_without_anybody_to_trust_nothing_is_served(trust: PushTrust, named: str) -> None:
    for authorization in ("", "Bearer ", "Bearer short", f"Bearer {SECRET}"):
        error = outcome(authorization, trust)
        assert isinstance(error, Forbidden)
        assert named in str(error.description)


def test_on_cloud_run_the_platform_has_asked_before() -> None:
    assert outcome("", PushTrust(on_cloud_run=True), cloud=True) is None
    assert outcome("", PushTrust(on_cloud_run=False), cloud=True) is not None


# --- Google's tokens, signed by keys of our own


def key_and_certificate() -> tuple[bytes, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(encoding).decode()


GOOGLES, CERTIFICATE = key_and_certificate()
OTHER, _ = key_and_certificate()


def token(signed_by: bytes = GOOGLES, **changed: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
        **changed,
    }
    signer = crypt.RSASigner.from_string(signed_by, "key-1")  # type: ignore[no-untyped-call]
    return jwt.encode(signer, claims).decode()  # type: ignore[no-untyped-call,no-any-return]


@pytest.fixture
def certificates() -> Iterator[Service]:
    def answer(_: Request) -> Reply:
        return Reply(200, {"key-1": CERTIFICATE})

    with Service(answer) as service:
        yield service


def test_googles_token_for_this_function_and_account_is_trusted(certificates: Service) -> None:
    tokens = PushTokens(AUDIENCE, ACCOUNT, Http(), certificates.url)
    assert [tokens.verification_error(token()) for _ in range(3)] == ["", "", ""]
    assert len(certificates.requests) == 1, "certificates are kept"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (token(aud="https://other.example/"), "audience"),
        (token(email="somebody@else.iam.gserviceaccount.com"), "it names 'somebody@else"),
        (token(email_verified=False), "it names"),
        (token(iss="https://accounts.evil.example"), "not issued by Google"),
        (token(iat=int(time.time()) - 7200, exp=int(time.time()) - 3600), "expired"),
        (token(OTHER), "signature"),
        (token().rpartition(".")[0] + ".", "signature"),
        (token().rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE", ""),
        ("a.b.c", ""),
        ("no-token", ""),
        ("", ""),
        ("ü.ü.ü", ""),
    ],
)
def test_any_other_token_is_refused_with_the_reason(certificates: Service, given: str, error: str) -> None:
    said = PushTokens(AUDIENCE, ACCOUNT, Http(), certificates.url).verification_error(given)
    assert said
    assert error in said


def test_a_token_without_a_signature_algorithm_is_refused(certificates: Service) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "key-1"}).encode()).decode().rstrip("=")
    assert PushTokens(AUDIENCE, ACCOUNT, Http(), certificates.url).verification_error(
        f"{head}.{token().split('.')[1]}."
    )


def test_without_certificates_nobody_is_let_in_yet() -> None:
    with Service(lambda _: Reply(200, b""), faults=always(status(503))) as service:
        for url in (service.url, "http://127.0.0.1:1/"):
            with pytest.raises(TransientError):
                PushTokens(AUDIENCE, ACCOUNT, Http(), url).verification_error(token())


def word_of_the_proxy(key: ec.EllipticCurvePrivateKey, **changed: object) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://cloud.google.com/iap",
        "aud": AUDIENCE,
        "email": "Ada@Plant.example",
        "iat": now,
        "exp": now + 600,
    }
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signer = crypt.EsSigner.from_string(pem, "proxy-1")
    return jwt.encode(signer, claims | changed).decode()  # type: ignore[no-untyped-call,no-any-return]


@pytest.fixture
def proxy() -> Iterator[tuple[ec.EllipticCurvePrivateKey, ProxyIdentities]]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with Service(lambda _: Reply(200, {"proxy-1": public.decode()})) as service:
        yield key, ProxyIdentities(AUDIENCE, Http(), service.url)


def test_whom_the_proxy_let_in_is_known_by_their_address(
    proxy: tuple[ec.EllipticCurvePrivateKey, ProxyIdentities],
) -> None:
    key, identities = proxy
    assert identities.name(word_of_the_proxy(key)) == ("ada@plant.example", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "/projects/1/other"},
        {"iss": "https://accounts.google.com"},
        {"exp": 1_000_000_000, "iat": 999_999_000},
        {"email": ""},
        {"email": ["ada@plant.example"]},
    ],
)
def test_any_other_word_names_nobody(
    proxy: tuple[ec.EllipticCurvePrivateKey, ProxyIdentities], changed: dict[str, object]
) -> None:
    key, identities = proxy
    name, why = identities.name(word_of_the_proxy(key, **changed))
    assert (name, bool(why)) == ("", True)


def test_a_word_that_somebody_else_signed_names_nobody(
    proxy: tuple[ec.EllipticCurvePrivateKey, ProxyIdentities],
) -> None:
    _, identities = proxy
    assert identities.name(word_of_the_proxy(ec.generate_private_key(ec.SECP256R1())))[0] == ""
