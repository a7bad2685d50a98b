"""One HTTP exchange is bounded in every direction, and retries have one owner."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from linegate.adapters.exchange import Answer, Http, ServiceError, persist, retry_after
from linegate.sections import Network
from tests.standins.service import (
    Reply,
    Service,
    always,
    close,
    hang,
    never,
    on_reuse,
    status,
    trickle,
    trickle_head,
    truncated,
)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(lambda request: Reply(200, {"path": request.path})) as running:
        yield running


def get(service: Service, http: Http | None = None, **more: float) -> Answer:
    return (http or Http()).exchange("GET", f"{service.url}/x", headers={}, total_s=more.pop("total_s", 5.0), **more)  # type: ignore[arg-type]


def test_connections_are_kept_and_used_again(service: Service) -> None:
    http = Http()
    for _ in range(5):
        assert get(service, http).status == 200
    assert service.connections == 1


@pytest.mark.parametrize(
    "fault", [hang, trickle_head, trickle], ids=["silence", "a head that never ends", "a body that never ends"]
)
def test_the_total_is_kept_whatever_the_service_does(service: Service, fault: object) -> None:
    service.faults = always(fault)  # type: ignore[arg-type]
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"within 0\.4 s"):
        get(service, total_s=0.4)
    assert time.monotonic() - started < 1.5


def test_silence_may_be_bounded_more_tightly_than_the_whole(service: Service) -> None:
    service.faults = always(hang)
    with pytest.raises(ServiceError, match="no answer in time"):
        get(service, Http(read_s=0.2), total_s=5)


def test_an_answer_that_breaks_off_is_none(service: Service) -> None:
    service.faults = always(truncated)
    with pytest.raises(ServiceError, match="broke"):
        get(service)


def test_a_body_of_no_stated_length_that_the_time_cuts_short_is_none() -> None:
    """Its end is the end of the connection: cut by us it would look like a whole one."""
    done = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            with pytest.raises(ServiceError, match="no whole answer within"):
                Http().exchange("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", headers={}, total_s=0.4)
        finally:
            done.set()
            thread.join()


def test_an_answer_is_no_longer_than_allowed(service: Service) -> None:
    with pytest.raises(ServiceError, match="longer than 4 bytes"):
        get(service, max_answer=4)


def test_redirects_are_told_not_followed(service: Service) -> None:
    service.faults = always(status(302, location=f"{service.url}/other"))
    assert get(service).status == 302
    assert [request.path for request in service.requests] == ["/x"]


def test_nobody_listening_is_said_so() -> None:
    with pytest.raises(ServiceError, match="Connection refused"):
        Http().exchange("GET", "http://127.0.0.1:1/", headers={}, total_s=5)
    with pytest.raises(ServiceError, match="host name"):
        Http().exchange("GET", "http://does-not-exist.invalid/", headers={}, total_s=5)


@pytest.mark.parametrize(
    ("address", "encrypted", "refused"),
    [
        ("192.168.10.7", False, ""),
        ("192.168.10.7", True, ""),
        ("::ffff:192.168.10.7", False, ""),
        ("192.168.11.7", True, "private"),
        ("127.0.0.1", False, "private"),
        ("169.254.169.254", False, "private"),
        ("::1", True, "private"),
        ("fe80::1%eth0", False, "private"),
        ("93.184.215.14", True, ""),
        ("93.184.215.14", False, "without encryption"),
    ],
)
def test_targets_may_lie_in_allowed_networks_and_behind_encryption(address: str, encrypted: bool, refused: str) -> None:
    refusal = Network(private_addresses=["192.168.10.0/24"]).refusal(address, encrypted)
    assert refused in refusal
    assert bool(refused) == bool(refusal)


def test_what_a_name_leads_to_is_looked_at_before_anything_is_sent(service: Service) -> None:
    """`localhost` stands for any name: it is not its spelling that counts."""
    http = Http(refusal=Network().refusal)
    url = service.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1 is a private address; allow it under network"):
        http.exchange("POST", url, headers={}, body=b"a secret", total_s=5)
    assert service.requests == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_in_both_spellings(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds


class Flaky:
    """Fails `times` times with `error`, then answers; remembers when it was asked and for how long."""

    def __init__(self, times: int, error: ServiceError) -> None:
        self.left, self.error = times, error
        self.asked: list[float] = []
        self.given: list[float] = []

    def __call__(self, seconds: float) -> str:
        self.asked.append(time.monotonic())
        self.given.append(seconds)
        if self.left:
            self.left -= 1
            raise self.error
        return "answer"


def test_it_is_tried_again_until_it_answers() -> None:
    flaky = Flaky(3, ServiceError("503"))
    assert persist(flaky, 10, attempt_s=1, first_wait_s=0.01) == "answer"
    assert len(flaky.asked) == 4


def test_what_can_not_succeed_is_not_tried_again() -> None:
    flaky = Flaky(9, ServiceError("401", again=False))
    with pytest.raises(ServiceError, match="401"):
        persist(flaky, 10, attempt_s=1)
    assert len(flaky.asked) == 1


def test_the_service_says_how_long_to_wait() -> None:
    flaky = Flaky(1, ServiceError("429", retry_after_s=0.3))
    persist(flaky, 10, attempt_s=1, first_wait_s=0.01)
    assert 0.3 <= flaky.asked[1] - flaky.asked[0] < 0.5


def test_the_budget_ends_it_at_once_when_the_wait_would_not_fit() -> None:
    flaky = Flaky(9, ServiceError("429", retry_after_s=60))
    started = time.monotonic()
    with pytest.raises(ServiceError, match="429"):
        persist(flaky, 5, attempt_s=1)
    assert time.monotonic() - started < 1


def test_no_attempt_gets_more_than_what_is_left_of_the_budget() -> None:
    flaky = Flaky(9, ServiceError("503"))
    with pytest.raises(ServiceError):
        persist(flaky, 2.0, attempt_s=5, first_wait_s=0.2)
    assert len(flaky.given) > 1
    assert all(1.0 <= given <= 2.0 for given in flaky.given)


def test_a_kept_connection_that_the_server_let_go_costs_one_more_attempt(service: Service) -> None:
    http = Http()
    assert get(service, http).status == 200
    service.faults = on_reuse(close)
    assert (
        persist(lambda seconds: get(service, http, total_s=seconds), 10, attempt_s=5, first_wait_s=0.01).status == 200
    )
    service.faults = never
