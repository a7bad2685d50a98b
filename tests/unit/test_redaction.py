"""Secrets are taken out of texts, whatever form a service gives them back in."""

import base64
import html
import io
import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate import logs
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.redaction import SIGN, Redactor, redact
from linegate.texts import brief, printable

KEY = 'rf+Key/7 "ä&Zq9x%'


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        quote(KEY, safe="").lower().replace("rf%2bkey%2f7", "rf%2bKey%2f7").replace("zq9x", "Zq9x"),
        json.dumps(KEY)[1:-1],
        json.dumps(KEY, ensure_ascii=False)[1:-1],
        html.escape(KEY),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"Bearer {KEY} and so on".encode()).decode(),
        base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
        json.dumps(json.dumps({"key": KEY})),
    ],
)
def test_a_secret_is_found_in_every_form_that_is_given_back(form: str) -> None:
    said = Redactor([KEY]).redact(f"401: the key {form} is unknown")
    assert SIGN in said
    assert "Zq9" not in said
    assert base64.b64encode(KEY.encode()).decode()[8:16] not in said


LONG_ENOUGH = st.text(st.characters(codec="utf-8"), min_size=8, max_size=60).filter(lambda text: len(text.strip()) >= 8)


@given(LONG_ENOUGH, st.text(), st.text())
def test_no_secret_of_some_length_is_left_standing(secret: str, before: str, after: str) -> None:
    assert secret.strip() not in Redactor([secret]).redact(before + secret + after).replace(SIGN, "\n")


def test_a_secret_that_was_cut_off_is_found_too() -> None:
    redactor = Redactor(["a-long-api-key-0123456789"])
    assert redactor.redact("it said: a-long-api-k") == f"it said: {SIGN}"
    assert redactor.redact("a-long-way home") == "a-long-way home"


def test_short_secrets_tear_no_word_apart() -> None:
    redactor = Redactor(["pass", "12345", "no"])
    assert redactor.redact("the key pass was refused: 12345.") == f"the key {SIGN} was refused: {SIGN}."
    assert redactor.redact("1234567 passes, no doubt; by-pass_x") == f"1234567 passes, no doubt; by-{SIGN}_x"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer ya29.a0AfH6SMBx3Kq-Zw_9", "ya29"),
        ("proxy http://line:s3cr3t@proxy.plant:3128 refused", "s3cr3t"),
        ("Proxy-Authorization: Basic bGluZTpzM2NyM3Q9PT0x", "bGluZTp"),
    ],
)
def test_credentials_of_anybody_are_known_by_their_shape(text: str, secret: str) -> None:
    assert secret not in Redactor([]).redact(text)


@pytest.mark.parametrize(
    "text", ["the basic construction of the board", "http://hmi/path?to=a@b", "bearer of bad news"]
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert Redactor([]).redact(text) == text


CONFIGURATION = """
roboflow: {workspace: plant, api_key: rf-secret-0001, api_url: "https://proxy:pr0xy-pass@rf.plant/"}
gemini: {api_key: "${GEMINI_API_KEY}"}
recipes: {pcb: {golden: "${FOLDER}/g.png"}}
lines: {smt-1: {recipe: pcb}}
targets:
  hmi: {url: "https://hmi/api/linegate/path-key-0000008/?token=query-key-0007",
        secrets: ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"], lines: ["${LINE}"]}
  slack: {type: slack, url: "https://hooks.slack.com/services/T000/B000/XyZ0XyZ0XyZ0"}
"""
SECRETS = (
    "rf-secret-0001",
    "pr0xy-pass",
    "gm-secret-0002",
    "query-key-0007",
    "path-key-0000008",
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "/services/T000/B000/XyZ0XyZ0XyZ0",
    "XyZ0XyZ0XyZ0",
)
ENVIRONMENT = {"GEMINI_API_KEY": "gm-secret-0002", "FOLDER": "/srv/pictures", "LINE": "smt-1"}


def test_a_configuration_that_was_read_makes_its_secrets_known() -> None:
    settings = parse(CONFIGURATION, Path(), ENVIRONMENT)
    assert set(SECRETS) <= settings.confidential
    for secret in SECRETS:
        assert secret not in redact(f"it said {secret}!")
        assert secret not in printable(f"{secret}")
        assert secret not in brief("x" * 290 + f" {secret}")
        assert secret[:10] not in str(TransientError(f"refused: {secret}"))
    assert (
        redact("the golden picture /srv/pictures/g.png of smt-1") == "the golden picture /srv/pictures/g.png of smt-1"
    )


@pytest.mark.parametrize(
    "fault",
    [
        "gemini: {api_key: [tell-no-one-1]}",
        "gemini: {api_key: {tell-no-one-1: x}}",
        "gemini: {api_key: 1, model: '${SECRET}', thinking: '${SECRET}'}",
        "targets: {hmi: {url: 'https://hmi/', secrets: tell-no-one-1}}",
        "targets: {hmi: {type: '${SECRET}', url: 'https://hmi/', verdicts: ['${SECRET}']}}",
        "targets: {hmi: {url: 'ftp://x:tell-no-one-1@y', secrets: []}}",
        "targets: {hmi: {url: 'https://hmi/', timeout_s: '${SECRET}', secrets: ['${SECRET}']}}",
    ],
)
def test_no_fault_of_a_configuration_repeats_a_secret(fault: str) -> None:
    text = f"recipes: {{pcb: {{golden: g}}}}\nlines: {{a: {{recipe: pcb}}}}\n{fault}"
    with pytest.raises(ConfigError) as caught:
        parse(text, Path(), {"SECRET": "tell-no-one-1"})
    assert "tell-no-one" not in str(caught.value) + str(caught.value.faults)


class DeafError(Exception):
    pass


def failing(key: str) -> None:
    raise DeafError(f"said {key}")


@pytest.mark.parametrize("readable", [False, True], ids=["JSON", "readable"])
def test_no_log_line_holds_a_secret_nor_steers_the_terminal(readable: bool) -> None:
    parse(CONFIGURATION, Path(), ENVIRONMENT)
    stream = io.StringIO()
    logs.configure("INFO", stream, readable=readable)
    handler = logging.StreamHandler(stream)
    library = logging.getLogger("some.library")
    library.addHandler(handler)
    fields: dict[str, Any] = {
        "name": "a\x1b[2Jb\u202ec",
        "said": SECRETS,
        "of": {"key": SECRETS[0]},
        "at": Path(SECRETS[6]),
    }
    try:
        logs.log.warning("service.failed", **fields)
        try:
            failing(SECRETS[0])
        except DeafError as error:
            logs.log.exception("it.crashed", error=error)
            library.exception("retrying %s", SECRETS[2])
        thread = threading.Thread(target=failing, args=(SECRETS[7],))
        thread.start()
        thread.join()
    finally:
        library.removeHandler(handler)
        logs.configure()
    written = stream.getvalue()
    assert written.count("DeafError: said [secret]") == 3
    assert "retrying [secret]" in written
    for secret in SECRETS:
        assert secret not in written
    assert "\x1b[2J" not in written
    assert "\u202e" not in written
