"""Who may speak to the gate's OPC UA server: whose certificate lies in the folder, encrypted, with the password."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.client.ua_client import UaClient
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from linegate.adapters.targets.opcua import trust
from linegate.adapters.targets.opcua.kind import OpcUa
from linegate.adapters.targets.opcua.server import Endpoint, OpcUaServer
from linegate.adapters.targets.opcua.trial import try_server
from linegate.adapters.targets.opcua.trust import Certificates
from tests.opcua import Gate, Line, free_port, looked_after, serving

pytestmark = pytest.mark.slow
USER, PASSWORD = "plc", "pw-of-the-plc"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def server(own: Certificates) -> Iterator[OpcUaServer]:
    gate = Gate()
    gate.add("smt-1")
    with (
        looked_after(gate),
        serving(gate, Endpoint("127.0.0.1", free_port(), "encrypt", own, USER, PASSWORD)) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def known(own: Certificates, server: OpcUaServer, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A client whose certificate a person laid among those that are trusted, while the server runs."""
    theirs = Certificates(tmp_path_factory.mktemp("known"))
    theirs.ensure()
    (own.folder / trust.TRUSTED / "plc.der").write_bytes(theirs.certificate.read_bytes())
    return theirs


async def ready(
    server: OpcUaServer,
    theirs: Certificates,
    password: str = PASSWORD,
    mode: ua.MessageSecurityMode = ua.MessageSecurityMode.SignAndEncrypt,
) -> list[Any]:
    client = Client(server.url, timeout=20, watchdog_intervall=20)
    client.application_uri = theirs.uri()
    await client.set_security(SecurityPolicyBasic256Sha256, theirs.certificate, theirs.key, mode=mode)
    client.set_user(USER)
    client.set_password(password)
    async with client:
        return await (await Line.at(client, "smt-1")).read("Job")


def test_a_client_that_is_trusted_and_knows_the_password_is_let_in(server: OpcUaServer, known: Certificates) -> None:
    assert asyncio.run(ready(server, known)) == [0]


def test_a_wrong_password_is_refused(server: OpcUaServer, known: Certificates) -> None:
    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        asyncio.run(ready(server, known, "pw-of-another"))


def test_a_stranger_is_refused_and_their_certificate_waits_for_a_person(
    server: OpcUaServer, own: Certificates, tmp_path: Path
) -> None:
    stranger = Certificates(tmp_path)
    stranger.ensure()
    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        asyncio.run(ready(server, stranger))
    [waiting] = (own.folder / trust.REJECTED).iterdir()
    assert waiting.read_bytes() == stranger.certificate.read_bytes()
    waiting.rename(own.folder / trust.TRUSTED / waiting.name)
    assert asyncio.run(ready(server, stranger)) == [0]


def test_a_stranger_who_says_nothing_of_their_certificate_is_refused(
    server: OpcUaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel is theirs; in the session's request there is none to look at."""
    stranger = Certificates(tmp_path)
    stranger.ensure()
    whole = UaClient.create_session

    async def silent(self: UaClient, parameters: Any) -> Any:
        parameters.ClientCertificate = None
        return await whole(self, parameters)

    monkeypatch.setattr(UaClient, "create_session", silent)
    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        asyncio.run(ready(server, stranger))


def test_nobody_is_let_in_without_encryption(server: OpcUaServer, known: Certificates) -> None:
    async def plain() -> None:
        client = Client(server.url, timeout=20, watchdog_intervall=20)
        client.set_user(USER)
        client.set_password(PASSWORD)
        async with client:
            await client.nodes.objects.get_children()

    with pytest.raises((ua.UaError, TimeoutError, OSError)):
        asyncio.run(plain())
    with pytest.raises((ua.UaError, TimeoutError, OSError)):
        asyncio.run(ready(server, known, mode=ua.MessageSecurityMode.Sign))


def test_the_key_is_the_gates_alone_and_the_certificate_stays(own: Certificates, server: OpcUaServer) -> None:
    assert own.key.stat().st_mode & 0o077 == 0
    before = own.certificate.read_bytes()
    own.ensure()
    assert own.certificate.read_bytes() == before


def test_doctor_tells_who_listens(own: Certificates, server: OpcUaServer) -> None:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    said = try_server(Endpoint("127.0.0.1", port, "encrypt", own), 20)
    assert "listens at" in said and "trusts" in said
    nobody = try_server(Endpoint("127.0.0.1", free_port(), "encrypt", own), 20)
    assert "nobody listens" in nobody


def test_defaults_are_encrypted() -> None:
    assert OpcUa().security == "encrypt"
