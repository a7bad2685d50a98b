"""The other side of both kinds, as `linegate listen` plays it: a controller that calls at the gate, and one that has a server."""

import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import Client, Server, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from linegate.adapters.targets.opcua import trust
from linegate.adapters.targets.opcua.address_space import EMPTY, NAMESPACE, fill
from linegate.adapters.targets.opcua.client import Plc, why_not
from linegate.adapters.targets.opcua.loop import Loop
from linegate.adapters.targets.opcua.server import MODES, Endpoint
from linegate.adapters.targets.opcua.tags import GATE, LINE, said_by, signals_of
from linegate.adapters.targets.opcua.trust import Certificates, Guard
from linegate.errors import TransientError
from linegate.line.handshake import Acknowledge, Signals, Trigger

ANSWER_S: Final = 5.0
START_S: Final = 60.0
# Of the one who plays, beside the gate's own certificate
FOLDER: Final = "listen"
SIGNATURES: Final = {"encrypt": ua.MessageSecurityMode.SignAndEncrypt, "sign": ua.MessageSecurityMode.Sign}


class CallingLine:
    """A client of the gate's server. Its certificate is one of its own: a person has to trust it, as any other."""

    def __init__(self, line: str, endpoint: Endpoint) -> None:
        self._line = line
        self._endpoint = endpoint
        self._client: Client | None = None
        self._loop = Loop("linegate-listen", _idle)
        self._loop.start()

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        try:
            return self._loop.ask(self._exchange(says), 2 * ANSWER_S)
        except (OSError, TimeoutError, ua.UaError) as error:
            self._forget()
            raise TransientError(f"{self._endpoint.here}: {_refused(error, self._endpoint)}") from error

    def close(self) -> None:
        self._forget()
        self._loop.stop()

    async def _exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals:
        client = self._client = self._client or await self._connected()
        own = await client.get_namespace_index(NAMESPACE)
        kinds = {name: ua.VariantType[kind] for name, (kind, _) in LINE.items()}
        written = said_by(says)
        if written:
            nodes = [client.get_node(ua.NodeId(f"{self._line}.Line.{name}", own)) for name in written]
            await client.write_values(
                nodes, [ua.DataValue(ua.Variant(value, kinds[name])) for name, value in written.items()]
            )
        nodes = [client.get_node(ua.NodeId(f"{self._line}.Gate.{tag.name}", own)) for tag in GATE]
        read = await client.read_values(nodes)
        return signals_of({tag.name: value for tag, value in zip(GATE, read, strict=True)})

    async def _connected(self) -> Client:
        trust.quiet()
        client = Client(self._endpoint.here, timeout=ANSWER_S, watchdog_intervall=ANSWER_S)
        certificates = self._endpoint.certificates
        if certificates is not None:
            theirs = Certificates(certificates.folder / FOLDER)
            theirs.ensure()
            certificates.ensure(self._endpoint.host)
            client.application_uri = theirs.uri()
            await client.set_security(
                SecurityPolicyBasic256Sha256,
                certificate=theirs.certificate,
                private_key=theirs.key,
                server_certificate=certificates.certificate.read_bytes(),
                mode=SIGNATURES[self._endpoint.security],
            )
        if self._endpoint.user:
            client.set_user(self._endpoint.user)
            client.set_password(self._endpoint.password)
        await client.connect()
        return client

    def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                self._loop.ask(client.disconnect(), ANSWER_S)
            except (OSError, TimeoutError, ua.UaError):
                return


class ServingLine:
    """A server with the very variables that the target's section names."""

    def __init__(self, plc: Plc) -> None:
        self._plc = plc
        self._server: Server | None = None
        self._failed = ""
        self._there = threading.Event()
        self._loop = Loop("linegate-listen", self._run)
        self._loop.start()
        if not self._there.wait(START_S) or self._failed:
            self._loop.stop()
            raise TransientError(f"can't listen at {plc.url}: {self._failed or 'it takes too long'}")

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        try:
            return self._loop.ask(self._exchange(says), ANSWER_S)
        except (OSError, TimeoutError, ua.UaError) as error:
            raise TransientError(why_not(error)) from error

    def close(self) -> None:
        self._loop.stop()

    async def _run(self, loop: Loop) -> None:
        trust.quiet()
        try:
            self._server = await self._built()
            async with self._server:
                self._there.set()
                await _idle(loop)
        except (OSError, ua.UaError, TransientError) as error:
            self._failed = why_not(error)
            self._there.set()

    async def _built(self) -> Server:
        plc, gate = self._plc, self._plc.certificates
        theirs = Certificates(gate.folder / FOLDER) if gate else None
        server = Server(user_manager=Guard(theirs, plc.user, plc.password))
        await fill(server)
        server.set_endpoint(plc.url)
        server.socket_address = (urlsplit(plc.url).hostname, urlsplit(plc.url).port or 4840)
        if gate is not None and theirs is not None:
            gate.ensure()
            theirs.ensure()
            (theirs.folder / trust.TRUSTED / "gate.der").write_bytes(gate.certificate.read_bytes())
            await server.set_application_uri(theirs.uri())
            await server.load_certificate(theirs.certificate)
            await server.load_private_key(theirs.key)
        server.set_security_policy([MODES[plc.security]])
        server.set_identity_tokens([ua.UserNameIdentityToken if plc.user else ua.AnonymousIdentityToken])
        kinds = {
            **{f"Gate.{tag.name}": tag.kind for tag in GATE},
            **{f"Line.{name}": kind for name, (kind, _) in LINE.items()},
        }
        wanted = {f"Line.{name}": node for name, node in plc.reads.items()}
        wanted |= {f"Gate.{name}": node for name, node in plc.writes.items()}
        for name, written in wanted.items():
            node = ua.NodeId.from_string(written)
            while len(await server.get_namespace_array()) <= node.NamespaceIndex:
                await server.register_namespace(f"urn:linegate:listen:{len(await server.get_namespace_array())}")
            kind = kinds[name]
            made = await server.nodes.objects.add_variable(
                node, ua.QualifiedName(name, node.NamespaceIndex), EMPTY[kind], ua.VariantType[kind]
            )
            await made.set_writable()
        return server

    async def _exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        server = self._server
        assert server is not None
        for name, value in said_by(says).items():
            if name in self._plc.reads:
                kind = ua.VariantType[LINE[name][0]]
                await server.get_node(self._plc.reads[name]).write_value(ua.Variant(value, kind))
        read: dict[str, Any] = {}
        for name, node in self._plc.writes.items():
            read[name] = await server.get_node(node).read_value()
        return signals_of(read) if read["Heartbeat"] else None


async def _idle(loop: Loop) -> None:
    while not loop.stopping:
        await loop.sleep(1)


def _refused(error: BaseException, endpoint: Endpoint) -> str:
    certificates = endpoint.certificates
    if certificates is not None and "BadUserAccessDenied" in str(error):
        where = certificates.folder
        return f"the gate let nobody in; look into {where / trust.REJECTED}, and move what is there to {where / trust.TRUSTED}"
    return why_not(error)
