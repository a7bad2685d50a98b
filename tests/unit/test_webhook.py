"""Signatures after Standard Webhooks, held against the reference implementation."""

import base64
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.exchange import Http
from linegate.adapters.targets.endpoint import Endpoint
from linegate.adapters.targets.webhook import WebhookTarget, signature, verification_error
from linegate.commands.listener import Listener, Received
from linegate.errors import TransientError

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()


def headers(secrets: list[str], body: bytes, entry_id: str = "id", at: int | None = None) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    return {
        "webhook-id": entry_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secrets, entry_id, timestamp, body),
    }


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()), st.dictionaries(st.text(), st.text()))
def test_the_reference_implementation_accepts_our_signature(entry_id: str, content: dict[str, str]) -> None:
    import json

    body = json.dumps(content).encode()
    assert standardwebhooks.Webhook(SECRET).verify(body, headers([SECRET], body, entry_id)) == content


def test_we_accept_the_signature_of_the_reference_implementation() -> None:
    made = standardwebhooks.Webhook(SECRET).sign("id", datetime.now(UTC), '{"a":1}')
    given_headers = {**headers([SECRET], b""), "webhook-signature": made}
    assert not verification_error([SECRET], given_headers, b'{"a":1}', time.time())


def test_while_secrets_rotate_either_one_fits() -> None:
    body = b"{}"
    for known in ([SECRET], [OTHER], [OTHER, SECRET]):
        assert not verification_error(known, headers([SECRET, OTHER], body), body, time.time())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: {**h, "webhook-id": "other"},
        lambda h: {**h, "webhook-timestamp": str(int(h["webhook-timestamp"]) + 1)},
        lambda h: {**h, "webhook-timestamp": "soon"},
        lambda h: headers([SECRET], b"{}", at=int(h["webhook-timestamp"]) + 400),
        lambda h: {**h, "webhook-timestamp": "9" * 5000},
        lambda h: {**h, "webhook-timestamp": "1" + "0" * 400},
        lambda h: {**h, "webhook-signature": "v1,AAAA"},
        lambda h: {**h, "webhook-signature": ""},
        lambda h: {**h, "webhook-signature": "ü"},
        lambda h: {key: value for key, value in h.items() if key != "webhook-signature"},
        lambda h: headers([OTHER], b"{}"),
        lambda h: headers([SECRET], b"{}", at=int(time.time()) - 301),
    ],
)
def test_a_webhook_that_is_not_genuine_is_refused(spoil: Callable[[dict[str, str]], dict[str, str]]) -> None:
    assert verification_error([SECRET], spoil(headers([SECRET], b"{}")), b"{}", time.time())


def test_a_body_that_was_changed_is_refused() -> None:
    assert verification_error([SECRET], headers([SECRET], b"{}"), b"{ }", time.time())


def test_a_target_delivers_and_the_receiver_verifies() -> None:
    heard: list[Received] = []
    with Listener([SECRET], heard.append) as listener:
        target = WebhookTarget(Endpoint(listener.url, Http(), 5), [SECRET])
        for number in range(3):
            target.send(f"id-{number}", '{"text": "ü"}', datetime.now(UTC))
    assert [(received.entry_id, received.event) for received in heard] == [
        (f"id-{number}", {"text": "ü"}) for number in range(3)
    ]


@pytest.mark.parametrize("body", [b"9" * 5000, b'{"a": ' + b"9" * 5000 + b"}", b"[" * 100_000])
def test_a_receiver_survives_numbers_and_nesting_without_end(body: bytes) -> None:
    heard: list[Received] = []
    with Listener([SECRET], heard.append) as listener:
        for length in ("9" * 5000, "\u00b2"):
            spoilt = {**headers([SECRET], body), "content-length": length.encode().decode("latin-1")}
            with suppress(TransientError):  # it hangs up on what it did not read
                Http().exchange("POST", listener.url, headers=spoilt, body=body, total_s=5)
        answer = Http().exchange("POST", listener.url, headers=headers([SECRET], body), body=body, total_s=5)
    assert answer.status == 401
    assert [received.refusal for received in heard][2:] == ["its body is no JSON object"]


def test_an_answer_that_is_not_2xx_is_a_failure() -> None:
    with Listener([OTHER], lambda _: None) as listener, pytest.raises(TransientError, match="401"):
        WebhookTarget(Endpoint(listener.url, Http(), 5), [SECRET]).send("id", "{}", datetime.now(UTC))


def test_nobody_there_is_a_failure() -> None:
    with Listener([SECRET], lambda _: None) as listener:
        url = listener.url
    with pytest.raises(TransientError, match="no connection"):
        WebhookTarget(Endpoint(url, Http(), 5), [SECRET]).send("id", "{}", datetime.now(UTC))
