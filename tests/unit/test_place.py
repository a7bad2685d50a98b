"""A target's place, whatever protocol it speaks: encrypted or in a private network that the file names, and left at the stop."""

import socket
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from linegate import bootstrap
from linegate.adapters.targets.place import address_of, misplaced
from linegate.config import parse
from linegate.errors import TransientError
from linegate.sections import Network
from tests.fakes import START

PRIVATE = {"network": {"private_addresses": ["192.168.10.0/24"]}}
FILE = """
recipes: {{pcb: {{golden: golden.png}}}}
lines: {{smt-1: {{recipe: pcb}}}}
network: {{private_addresses: [127.0.0.1]}}
targets: {{chat: {{type: slack, url: "http://127.0.0.1:{port}/"}}}}
"""
BODY = '{"type": "linegate.test", "data": {"message": "hello"}}'


@pytest.mark.parametrize(
    ("url", "file", "why"),
    [
        ("safe://8.8.8.8:1/", {}, ""),
        ("safe://broker.example.com/", {}, ""),
        ("plain://8.8.8.8/", {}, "url: 8.8.8.8 is a public address; nothing is sent there without encryption"),
        (
            "plain://broker/",
            {},
            "url: plain:// is for private networks only; name yours under network.private_addresses, or use safe",
        ),
        ("plain://broker/", PRIVATE, ""),
        ("plain://192.168.10.7/", PRIVATE, ""),
        (
            "safe://192.168.11.7/",
            PRIVATE,
            "url: 192.168.11.7 is a private address; allow it under network.private_addr",
        ),
        ("plain://x.localhost./", PRIVATE, "url: 127.0.0.1 is a private address"),
        ("plain://${HOST}/", {}, ""),
    ],
)
def test_what_the_text_of_an_address_tells(url: str, file: Mapping[str, Any], why: str) -> None:
    said = "".join(misplaced({"url": url}, file, encrypted="safe"))
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_a_name_is_looked_at_where_it_has_led() -> None:
    """`localhost` stands for any name: it is not its spelling that counts."""
    with pytest.raises(TransientError, match="is a private address; allow it under network"):
        address_of("localhost", 1883, Network(), encrypted=True)
    assert address_of("127.0.0.1", 1883, Network(private_addresses=["127.0.0.1"]), encrypted=False) == "127.0.0.1"
    with pytest.raises(TransientError, match="can't be resolved"):
        address_of("does-not-exist.invalid", 1883, Network(), encrypted=True)


def test_whatever_a_target_keeps_open_is_closed_at_the_stop(tmp_path: Path) -> None:
    kept: list[socket.socket] = []

    def serve() -> None:
        connection, _ = server.accept()
        kept.append(connection)
        connection.settimeout(5)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(5)
        thread = threading.Thread(target=serve)
        thread.start()
        app = bootstrap.local(parse(FILE.format(port=server.getsockname()[1]), tmp_path, {}))
        app.target("chat").send("id", BODY, START)
        thread.join(5)
        with kept[0] as connection:
            app.close()
            while connection.recv(65536):  # until it hangs up
                pass
