"""Answers of Roboflow and Gemini that are not by the letter: whatever they hold, no board passes for one.

Each goes through the vendor's SDK, our adapter and the real handlers. Sound answers beside them show that the test can fail.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from linegate.adapters.gemini.verifier import GeminiClient, GeminiVerifier
from linegate.adapters.roboflow.detector import RoboflowDetector
from linegate.adapters.roboflow.kind import RoboflowDetection
from linegate.config import parse
from linegate.inspection import Result, Verdict
from linegate.settings import Settings
from linegate.stages import CHECKS, CROPS, UPLOADS
from tests.boards import clean_board
from tests.harness import Gate
from tests.standins import gemini, roboflow
from tests.standins.service import Reply, Request, Service

# The SDKs warn of words that are newer than themselves.
pytestmark = pytest.mark.filterwarnings("ignore:.*is not a valid:UserWarning")


def settings(url: str) -> Settings:
    content = {
        "roboflow": {"api_url": url, "workspace": "plant", "budget_s": 0.5, "timeout_s": 0.5},
        "gemini": {"api_url": url, "api_key": "k", "timeout_s": 2},
        "recipes": {
            "pcb": {
                "detector": "roboflow",
                "verifier": "gemini",
                "workflow": {"id": "pcb"},
                "check_budget_s": 0.5,
                "deadline_s": 60,
            }
        },
        "lines": {"smt-1": {"recipe": "pcb"}},
    }
    return parse(yaml.safe_dump(content), Path(), {})


class Script:
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.reply = Reply(200, b"")

    def __call__(self, request: Request) -> Reply:
        return self.reply


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Script, str]]:
    script = Script()
    with Service(script) as running:
        yield script, running.url


def body(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


# --- Roboflow

SOUND = roboflow.prediction(96, 96, 20, 20)
SIZE = {"width": 192, "height": 192}


def outputs(*predictions: Any, image: Any = SIZE, **more: Any) -> dict[str, Any]:
    return {"outputs": [{"predictions": {"image": image, "predictions": list(predictions)}, **more}]}


def spoilt(**fields: Any) -> dict[str, Any]:
    return outputs(SOUND | fields)


EMPTY = {"image": {"width": None, "height": None}, "predictions": []}
ROBOFLOW: dict[str, Any] = {
    # predictions that can't be used
    "outside, left": spoilt(x=-100),
    "outside, right": spoilt(x=400),
    "outside, above": spoilt(y=-100),
    "outside, below": spoilt(y=400),
    "of no height": spoilt(height=0),
    "of no width": spoilt(width=0),
    "0.8 px wide": spoilt(width=0.8),
    "of no size": spoilt(width=0, height=0),
    "at 1e308": spoilt(x=1e308),
    "as wide as 1e308": spoilt(width=1e308),
    "negative width": spoilt(width=-20),
    "negative height": spoilt(height=-20),
    "x missing": outputs({key: value for key, value in SOUND.items() if key != "x"}),
    "width missing": outputs({key: value for key, value in SOUND.items() if key != "width"}),
    "confidence missing": outputs({key: value for key, value in SOUND.items() if key != "confidence"}),
    "class missing": outputs({key: value for key, value in SOUND.items() if key != "class"}),
    "x a text": spoilt(x="96"),
    "x a truth value": spoilt(x=True),
    "x null": spoilt(x=None),
    "x a list": spoilt(x=[96]),
    "x NaN": body(spoilt(x=float("nan"))),
    "x Infinity": body(spoilt(x=float("inf"))),
    "x minus Infinity": body(spoilt(x=float("-inf"))),
    "x of 400 digits": body(spoilt(x="@")).replace(b'"@"', b"1" * 400),
    "x of 5,000 digits": body(spoilt(x="@")).replace(b'"@"', b"9" * 5000),
    "x 1e999": body(spoilt(x="@")).replace(b'"@"', b"1e999"),
    "confidence as percent": spoilt(confidence=87),
    "confidence a text": spoilt(confidence="0.9"),
    "confidence negative": spoilt(confidence=-0.9),
    "confidence NaN": body(spoilt(confidence=float("nan"))),
    "confidence a truth value": spoilt(confidence=True),
    "class empty": spoilt(**{"class": ""}),
    "class blank": spoilt(**{"class": " \t"}),
    "class a number": spoilt(**{"class": 3}),
    "class null": spoilt(**{"class": None}),
    "class of a megabyte, elsewhere": spoilt(**{"class": "x" * 1_000_000}, x=-100),
    "class in other letters, elsewhere": spoilt(**{"class": "\u202eshort"}, x=-100),
    "a text for a prediction": outputs("short"),
    "null for a prediction": outputs(None),
    "a list for a prediction": outputs([96, 96, 20, 20]),
    "a number for a prediction": outputs(1),
    "an empty prediction": outputs({}),
    "one bad among sound ones": outputs(SOUND | {"x": None}, SOUND | {"x": None}),
    # pictures of other sizes
    "image empty": outputs(SOUND, image={}),
    "image null sides": outputs(SOUND, image={"width": None, "height": None}),
    "image null": outputs(SOUND, image=None),
    "image a text": outputs(SOUND, image="192x192"),
    "image sides as texts": outputs(SOUND, image={"width": "192", "height": "192"}),
    "image sides of zero": outputs(SOUND, image={"width": 0, "height": 0}),
    "image sides negative": outputs(SOUND, image={"width": -192, "height": -192}),
    "image of another shape": outputs(SOUND, image={"width": 192, "height": 96}),
    "another shape and nothing found": outputs(image={"width": 500, "height": 20}),
    "image of 1e300": outputs(SOUND, image={"width": 1e300, "height": 1e300}),
    "image a thousand times as large": outputs(SOUND, image={"width": 192_000, "height": 192_000}),
    "nothing on an image a thousand times as large": outputs(image={"width": 192_000, "height": 192_000}),
    "image one side null": outputs(SOUND, image={"width": 192, "height": None}),
    # errors beside an answer
    "an error beside nothing": outputs(error="model failed to load"),
    "an error inside the predictions": {"outputs": [{"predictions": EMPTY | {"error": "out of memory"}}]},
    "an error at the top": {"outputs": [{"predictions": EMPTY}], "error": "timeout"},
    "errors as a list": {"outputs": [{"predictions": EMPTY}], "errors": ["timeout"]},
    "an error deep inside": {"outputs": [{"predictions": EMPTY, "detail": {"step": {"error": "out of memory"}}}]},
    "error_status": {"outputs": [{"predictions": EMPTY, "error_status": True}]},
    "error_type": {"outputs": [{"predictions": EMPTY, "error_type": "ModelError"}]},
    "is_error": {"outputs": [{"predictions": EMPTY | {"is_error": True}}]},
    "Error": {"outputs": [{"predictions": EMPTY, "Error": "timeout"}]},
    "status failed": {"outputs": [{"predictions": EMPTY}], "status": "Failed"},
    # several outputs
    "predictions at the top": {"outputs": [{"predictions": EMPTY}], "predictions": [SOUND]},
    "predictions beside the predictions": {"outputs": [{"predictions": EMPTY | {"model_predictions": [SOUND]}}]},
    "predictions in two spellings": {"outputs": [{"predictions": EMPTY | {"Predictions": [SOUND]}}]},
    "predictions by other words": {"outputs": [{"predictions": EMPTY, "found": [{"score": 0.9, "label": "short"}]}]},
    "predictions in capitals": {"outputs": [{"predictions": EMPTY, "found": [{"Confidence": 0.9, "Class": "short"}]}]},
    "predictions without confidence": {"outputs": [{"predictions": EMPTY, "found": [{"class": "short", "x": 9}]}]},
    "confidence in two spellings": outputs(SOUND | {"confidence": 0.01, "Confidence": 0.99}),
    "predictions elsewhere, as a list": {"outputs": [{"predictions": EMPTY, "model_predictions": [SOUND]}]},
    "predictions elsewhere, alike": {
        "outputs": [{"predictions": EMPTY, "model_predictions": {"image": SIZE, "predictions": [SOUND]}}]
    },
    "predictions elsewhere, nested": {"outputs": [{"predictions": EMPTY, "debug": {"a": [{"b": {"c": [SOUND]}}]}}]},
    "predictions elsewhere, without the name": {
        "outputs": [{"a": EMPTY, "b": {"image": SIZE, "predictions": [SOUND]}}]
    },
    "predictions a dict": {"outputs": [{"predictions": {"image": SIZE, "predictions": {"0": SOUND}}}]},
    "predictions null": {"outputs": [{"predictions": {"image": SIZE, "predictions": None}}]},
    "predictions a bare list": {"outputs": [{"predictions": []}]},
    "predictions a text": {"outputs": [{"predictions": "none"}]},
    "no output": {"outputs": [{}]},
    "two pictures": {"outputs": [{"predictions": EMPTY}, {"predictions": {"image": SIZE, "predictions": [SOUND]}}]},
    "no picture": {"outputs": []},
    "outputs a dict": {"outputs": {"predictions": EMPTY}},
    "outputs null": {"outputs": None},
    "outputs missing": {"predictions": EMPTY},
    # JSON that says things twice, or not at all
    "predictions twice": b'{"outputs": [{"predictions": {"image": {}, "predictions": [1], "predictions": []}}]}',
    "outputs twice": b'{"outputs": [{}], "outputs": [{"predictions": {"image": {}, "predictions": []}}]}',
    "cut": body(outputs(SOUND))[:-9],
    "trailing text": body(outputs()) + b"x",
    "two documents": body(outputs()) * 2,
    "invalid UTF-8": b'{"outputs": [{"predictions": {"image": {}, "predictions": []}, "model_id": "\xff"}]}',
    "nested a hundred thousand deep": b"[" * 100_000,
    "empty": b"",
    "null": b"null",
    "true": b"true",
    "HTML": b"<html>OK</html>",
    "status 203": Reply(203, outputs()),
    "status 204": Reply(204, b""),
    "status 206": Reply(206, outputs()),
    "status 299": Reply(299, outputs()),
    "status 302": Reply(302, outputs(), {"location": "http://127.0.0.1:1/"}),
    "status 400": Reply(400, outputs()),
    "status 500": Reply(500, outputs()),
}


def detected(script: Script, url: str, answer: Any) -> Verdict:
    """The verdict at the deadline of a board about which Roboflow gave this answer; Gemini would clear everything."""
    script.reply = answer if isinstance(answer, Reply) else Reply(200, body(answer))
    gate = Gate(settings=settings(url))
    recipe = gate.settings.recipes["pcb"]
    assert gate.settings.roboflow is not None
    assert isinstance(recipe.detectors[0], RoboflowDetection)
    gate.detector = RoboflowDetector(gate.settings.roboflow, recipe, recipe.detectors[0].workflow, lambda _: None)  # type: ignore[assignment]
    gate.verifier.answers = {"short": Result.PASS}
    return decided(gate)


def decided(gate: Gate) -> Verdict:
    upload = gate.upload(data=clean_board())
    for topic in (UPLOADS, CROPS, CHECKS):
        for message in gate.bus.take(topic):
            with suppress(Exception):  # redelivered, in vain; the deadline decides
                gate.handle(topic, message)
    gate.clock.advance(1000)
    gate.sweep()
    revision = gate.inspections.inspections[upload.image.inspection_id].revision
    assert revision is not None
    return revision.decision.verdict


# Widened, checked, and cleared
CLEARED = ("of no height", "of no width", "0.8 px wide", "of no size", "as wide as 1e308")


@pytest.mark.parametrize("name", [name for name in ROBOFLOW if name not in CLEARED])
def test_no_board_passes_on_a_hostile_answer_of_roboflow(service: tuple[Script, str], name: str) -> None:
    assert detected(*service, ROBOFLOW[name]) is not Verdict.PASS


@pytest.mark.parametrize("name", CLEARED)
def test_a_narrow_finding_is_checked_like_any_other(service: tuple[Script, str], name: str) -> None:
    script, url = service
    script.reply = Reply(200, body(ROBOFLOW[name]))
    gate = Gate(settings=settings(url))
    recipe = gate.settings.recipes["pcb"]
    assert gate.settings.roboflow is not None
    assert isinstance(recipe.detectors[0], RoboflowDetection)
    gate.detector = RoboflowDetector(gate.settings.roboflow, recipe, recipe.detectors[0].workflow, lambda _: None)  # type: ignore[assignment]
    assert decided(gate) is Verdict.FAIL


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (outputs(SOUND), Verdict.PASS),  # Gemini cleared it
        (outputs(image={"width": None, "height": None}), Verdict.PASS),
        (outputs(image=SIZE, model_id="pcb/3", time=1.5, error=None), Verdict.PASS),
        (spoilt(confidence=0.1, x=-100), Verdict.PASS),  # below the recipe's confidence
    ],
)
def test_a_sound_answer_of_roboflow_counts(service: tuple[Script, str], answer: Any, verdict: Verdict) -> None:
    assert detected(*service, answer) is verdict


# --- Gemini

PASSED = {"result": "PASS", "reason": "The track is whole."}


def said(text: str, **candidate: Any) -> dict[str, Any]:
    answer = gemini.answer(text)
    answer["candidates"][0] |= candidate
    return answer


def told(**fields: Any) -> dict[str, Any]:
    return said(json.dumps(PASSED | fields))


def parts(*content: dict[str, Any]) -> dict[str, Any]:
    return said("", content={"role": "model", "parts": list(content)})


TEXT = {"text": json.dumps(PASSED)}
WORDS = (
    "PA\u00df", "pa\u017f\u017f", "\uff30\uff21\uff33\uff33", "P\u0410SS", "PASS\u200b", "\ufeffPASS", "PASS.", "PASSED",
    "P A S S", "PASS FAIL", "FAIL PASS", "not PASS", "OK", "YES", "TRUE", "1", "", " ", "null", "\u00a0PASS", "PASS\u3000",
    "'PASS'", '"PASS"', "PASS\x00",
)  # fmt: skip
GEMINI: dict[str, Any] = {
    **{f"the word {word!r}": told(result=word) for word in WORDS},
    "result true": told(result=True),
    "result 1": told(result=1),
    "result null": told(result=None),
    "result a list": told(result=["PASS"]),
    "result an object": told(result={"value": "PASS"}),
    "a further key": told(confidence=1),
    "a further key in other case": told(Result="FAIL"),
    "keys in other case": said(json.dumps({"Result": "PASS", "Reason": "x"})),
    "keys in upper case": said(json.dumps({"RESULT": "PASS", "REASON": "x"})),
    "no result": said('{"reason": "x"}'),
    "no reason": said('{"result": "PASS"}'),
    "reason empty": told(reason=""),
    "reason blank": told(reason=" \t\n"),
    "reason of control characters": told(reason="\u0000\u0007\u202e"),
    "reason of zero width": told(reason="\u200b\u200d\ufeff"),
    "reason of dots": told(reason="..."),
    "reason null": told(reason=None),
    "reason a list": told(reason=["x"]),
    "reason a number": told(reason=5),
    "fenced": said(f"```json\n{TEXT['text']}\n```"),
    "text before": said(f"Here it is: {TEXT['text']}"),
    "text after": said(f"{TEXT['text']} I hope that helps."),
    "twice": said(TEXT["text"] * 2),
    "a list": said(f"[{TEXT['text']}]"),
    "a bare word": said("PASS"),
    "a quoted word": said('"PASS"'),
    "null": said("null"),
    "byte order mark": said("\ufeff" + TEXT["text"]),
    "result twice": said('{"result": "FAIL", "result": "PASS", "reason": "x"}'),
    "single quotes": said("{'result': 'PASS', 'reason': 'x'}"),
    "a comment": said('{"result": "PASS", /* sure */ "reason": "x"}'),
    "a trailing comma": said('{"result": "PASS", "reason": "x",}'),
    "cut": said('{"result": "PASS", "reason": "The tr'),
    "nested deep": said("[" * 50_000),
    "blocked": said(
        TEXT["text"], safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    ),
    "blocked, of the prompt": said(TEXT["text"])
    | {
        "promptFeedback": {
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
        }
    },
    "an error beside a candidate": said(TEXT["text"]) | {"error": {"code": 500, "message": "internal"}},
    "finish reason in two spellings": said(TEXT["text"], finish_reason="SAFETY"),
    "a part of an unknown kind beside": parts(TEXT, {"refusal": "I can't see the picture."}),
    "SAFETY": said(TEXT["text"], finishReason="SAFETY"),
    "MAX_TOKENS": said(TEXT["text"], finishReason="MAX_TOKENS"),
    "RECITATION": said(TEXT["text"], finishReason="RECITATION"),
    "OTHER": said(TEXT["text"], finishReason="OTHER"),
    "a new finish reason": said(TEXT["text"], finishReason="MOSTLY_DONE"),
    "stop in other case": said(TEXT["text"], finishReason="stop_"),
    "no finish reason": said(TEXT["text"], finishReason=None),
    "two candidates": {"candidates": said(TEXT["text"])["candidates"] * 2},
    "no candidates": {"candidates": []},
    "candidates null": {"candidates": None},
    "block reason beside a candidate": said(TEXT["text"]) | {"promptFeedback": {"blockReason": "SAFETY"}},
    "a function call beside": parts(TEXT, {"functionCall": {"name": "pass_board", "args": {}}}),
    "a picture beside": parts(TEXT, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    "code beside": parts(TEXT, {"executableCode": {"language": "PYTHON", "code": "print(1)"}}),
    "only thoughts": parts({"text": TEXT["text"], "thought": True}),
    "no parts": parts(),
    "content null": said("", content=None),
    "empty": said(""),
    "finish reason twice": body(said(TEXT["text"])).replace(
        b'"index": 0', b'"index": 0, "finishReason": "SAFETY", "index": 1'
    ),
    "status 206": Reply(206, said(TEXT["text"])),
    "status 204": Reply(204, b""),
    "status 400": Reply(400, said(TEXT["text"])),
    "status 500": Reply(500, said(TEXT["text"])),
    "a body of HTML": b"<html>PASS</html>",
    "a body of null": b"null",
}


def verified(script: Script, url: str, answer: Any) -> Verdict:
    """The verdict on a board with one finding about which Gemini gave this answer."""
    script.reply = answer if isinstance(answer, Reply) else Reply(200, body(answer))
    gate = Gate(settings=settings(url))
    recipe = gate.settings.recipes["pcb"]
    assert gate.settings.gemini is not None
    gate.finds("short")
    gate.verifier = GeminiVerifier(GeminiClient(gate.settings.gemini, lambda _: None), recipe)  # type: ignore[assignment]
    return decided(gate)


@pytest.mark.slow
@pytest.mark.parametrize("name", GEMINI)
def test_no_board_passes_on_a_hostile_answer_of_gemini(service: tuple[Script, str], name: str) -> None:
    assert verified(*service, GEMINI[name]) in (Verdict.REVIEW, Verdict.FAIL)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (told(), Verdict.PASS),
        (told(result="pass"), Verdict.PASS),
        (told(result=" Fail\n"), Verdict.FAIL),
        (told(result="FAIL"), Verdict.FAIL),
        (parts({"text": "Let me see.", "thought": True}, TEXT), Verdict.PASS),
        (
            said(TEXT["text"], safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]),
            Verdict.PASS,
        ),
    ],
)
def test_a_sound_answer_of_gemini_counts(service: tuple[Script, str], answer: Any, verdict: Verdict) -> None:
    assert verified(*service, answer) is verdict


def test_there_are_as_many_of_them_as_were_asked_for() -> None:
    assert len(ROBOFLOW) - len(CLEARED) >= 72
    assert len(GEMINI) >= 72
