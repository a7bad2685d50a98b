"""Who gets into the station: sessions, guesses, the hash in the configuration, and the key that sessions are signed with."""

import io
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from argon2 import PasswordHasher
from starlette.requests import Request

from linegate.adapters.local.keyfile import key
from linegate.commands.main import main
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.station.doors import Proxied
from linegate.station.sessions import Sessions
from linegate.station.throttle import FREE, Throttle
from linegate.station.who import Role
from linegate.station_section import Member, Station

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def member(pin: str) -> Member:
    return Member.model_validate({"role": "review", "pin": CHEAP.hash(pin)})


def sessions(**people: Member) -> Sessions:
    return Sessions(b"k" * 32, people, timedelta(hours=12))


def test_a_session_is_theirs_until_it_is_over() -> None:
    known = sessions(Ada=member("1234"))
    text = known.begin("Ada", NOW)
    assert known.read(text, NOW + timedelta(hours=1)) == ("Ada", False)
    assert known.read(text, NOW + timedelta(hours=7)) == ("Ada", True)  # to be renewed
    assert known.read(text, NOW + timedelta(hours=12)) is None
    assert known.read(text, NOW - timedelta(hours=1)) is None  # from the future


def test_a_session_ends_with_the_pin_it_began_with_and_with_its_person() -> None:
    text = sessions(Ada=member("1234")).begin("Ada", NOW)
    assert sessions(Ada=member("1234")).read(text, NOW) is None  # another salt: it was set anew
    assert sessions(Bob=member("1234")).read(text, NOW) is None


def test_a_forged_session_is_none() -> None:
    known = sessions(Ada=member("1234"), Bob=member("1234"))
    payload, _, seal = known.begin("Ada", NOW).partition(".")
    bobs, _, _ = known.begin("Bob", NOW).partition(".")
    other = "0" if seal[-1] != "0" else "1"
    for forged in (
        f"{payload}.{seal[:-1]}{other}",
        f"{bobs}.{seal}",
        payload,
        f"{payload}.",
        "",
        "a.b",
        f"{payload}.ü",
    ):
        assert known.read(forged, NOW) is None, forged


def test_guesses_have_to_wait_longer_and_longer() -> None:
    throttle = Throttle()
    for _ in range(FREE):
        assert throttle.wait("name Ada", NOW) == timedelta(0)
        throttle.wrong("name Ada", NOW)
    first = throttle.wait("name Ada", NOW)
    throttle.wrong("name Ada", NOW)
    assert timedelta(0) < first < throttle.wait("name Ada", NOW)
    assert throttle.wait("name Bob", NOW) == timedelta(0)
    assert throttle.wait("name Ada", NOW + timedelta(hours=1)) == timedelta(0)
    throttle.right("name Ada")
    assert throttle.wait("name Ada", NOW) == timedelta(0)


def test_the_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    ready = threading.Barrier(8)

    def made(_: int) -> bytes:
        ready.wait()
        return key(tmp_path / "station.key")

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(made, range(8)))
    assert len(found) == 1
    assert stat.S_IMODE((tmp_path / "station.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["station.key"]


def test_half_a_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "station.key").write_bytes(b"half")
    with pytest.raises(TransientError, match="remove it"):
        key(tmp_path / "station.key")


def test_a_station_that_knows_nobody_listens_on_this_machine_only() -> None:
    with pytest.raises(ValueError, match="knows nobody"):
        Station(listen="0.0.0.0:8080")
    assert Station(listen="0.0.0.0:8080", anybody="look").listen_at == ("0.0.0.0", 8080)
    assert Station(listen="[::1]:8080").listen_at == ("::1", 8080)


def test_a_pin_in_the_clear_is_refused_without_being_repeated() -> None:
    written = "recipes: {pcb: {golden: g}}\nlines: {a: {recipe: pcb}}\nstation: {people: {Ada: {pin: '271828'}}}"
    with pytest.raises(ConfigError, match="linegate person") as refused:
        parse(written, Path(), {})
    assert "station.people.Ada.pin" in str(refused.value)
    assert "271828" not in str(refused.value)


def test_the_command_prints_what_the_configuration_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("271828\n"))
    assert main(["person", "Ada Lovelace", "--role", "configure"]) == 0
    written = yaml.safe_load(capsys.readouterr().out)["station"]
    person = Station.model_validate(written).people["Ada Lovelace"]
    assert person.role == "configure"
    assert person.pin is not None
    assert PasswordHasher().verify(person.pin.get_secret_value(), "271828")


def test_a_pin_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("12a4\n"))
    assert main(["person", "Ada"]) == 64
    assert "digits" in capsys.readouterr().err


class Proxy:
    """Whoever comes is who they say, but for one that is no word of the proxy."""

    def name(self, assertion: str) -> tuple[str, str]:
        return ("", "it is forged") if assertion == "forged" else (assertion.lower(), "")


@pytest.mark.parametrize(
    ("assertion", "role"),
    [
        ("ada@plant.example", Role.REVIEW),
        ("ADA@plant.example", Role.REVIEW),
        ("eve@plant.example", Role.LOOK),  # the proxy let them in, and the file names nobody so
        ("forged", None),
        ("", None),
    ],
)
def test_who_comes_through_the_proxy_has_the_role_of_their_address_however_it_is_written(
    assertion: str, role: Role | None
) -> None:
    station = Station.model_validate({"people": {"Ada@Plant.Example": {"role": "review"}}, "anybody": "look"})
    headers = [(Proxied.HEADER.encode(), assertion.encode())]
    known = Proxied(station, Proxy()).known(Request({"type": "http", "headers": headers}))
    assert (known and known.person.role) == role
    if known:
        assert known.person.name == assertion.lower(), "the author of what they decide"
