"""A stand-in for Gemini's generateContent. It answers by rule; it judges nothing and is no Gemini."""

import base64
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.standins.service import Reply, Request

KEY = "gemini-stand-in"
MODEL = "stand-in-flash"


def answer(text: str, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A response body whose one candidate says `text`."""
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 1200, "candidatesTokenCount": 30, "thoughtsTokenCount": 90, "totalTokenCount": 1320}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": f"{MODEL}-001", **more}


def judged(result: str, reason: str = "The stand-in says so.") -> dict[str, Any]:
    return answer(json.dumps({"result": result, "reason": reason}))


# 200s that are no verdict, by what is wrong with them
NO_VERDICTS: Mapping[str, dict[str, Any]] = {
    "blocked": {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": MODEL},
    "no candidates": {"candidates": [], "modelVersion": MODEL},
    "SAFETY": {"candidates": [{"finishReason": "SAFETY", "index": 0}], "modelVersion": MODEL},
    "RECITATION": answer('{"result": "PASS", "reason": "x"}', "RECITATION"),
    "MAX_TOKENS": answer('{"result": "PASS", "rea', "MAX_TOKENS"),
    "whole but MAX_TOKENS": answer('{"result": "PASS", "reason": "x"}', "MAX_TOKENS"),
    "no finish reason": answer('{"result": "PASS", "reason": "x"}', None),
    "an unknown finish reason": answer('{"result": "PASS", "reason": "x"}', "SOMETHING_NEW"),
    "empty": answer(""),
    "fenced": answer('```json\n{"result": "PASS", "reason": "x"}\n```'),
    "a list": answer('[{"result": "PASS", "reason": "x"}]'),
    "a list as result": answer('{"result": ["PASS"], "reason": "x"}'),
    "a third word": answer('{"result": "MAYBE", "reason": "x"}'),
    "a longer word": answer('{"result": "PASSED", "reason": "x"}'),
    "two words": answer('{"result": "PASS or FAIL", "reason": "x"}'),
    "prose": answer("The board looks fine. PASS"),
    "PASS twice over": answer('{"result": "FAIL", "result": "PASS", "reason": "x"}'),
    "another key": answer('{"verdict": "PASS", "reason": "x"}'),
    "no reason": answer('{"result": "PASS"}'),
    "a boolean": answer('{"result": true, "reason": "x"}'),
    "a megabyte of text": answer("PASS " * 200_000),
    "two candidates": {"candidates": [answer('{"result": "PASS", "reason": "x"}')["candidates"][0]] * 2},
    "only thoughts": {
        "candidates": [
            {
                "content": {"parts": [{"text": '{"result": "PASS", "reason": "x"}', "thought": True}]},
                "finishReason": "STOP",
            }
        ]
    },
}


@dataclass
class Model:
    """Answers POST …/models/{model}:generateContent; `judge` is asked with the request's body.

    GET …/models/{model} tells of those in `listed`.
    """

    judge: Callable[[Any], dict[str, Any]] = field(default=lambda _: judged("FAIL"))
    listed: tuple[str, ...] = (MODEL,)

    def __call__(self, request: Request) -> Reply:
        if request.method == "GET":
            return self._listed(request.path)
        place = re.fullmatch(r"/v1beta/models/([^/:]+):generateContent", request.path)
        if request.method != "POST" or place is None:
            return Reply(404, {"error": {"code": 404, "message": "Not found", "status": "NOT_FOUND"}})
        if request.headers.get("x-goog-api-key") != KEY:
            return Reply(400, _error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"))
        if place[1] != MODEL:
            return Reply(404, _error(404, f"models/{place[1]} is not found for API version v1beta", "NOT_FOUND"))
        if float(request.headers.get("x-server-timeout", 600)) < 10:
            return Reply(
                400, _error(400, "Manually set deadline is too short. Minimum allowed is 10s.", "INVALID_ARGUMENT")
            )
        content = request.json()
        if "responseJsonSchema" not in content.get("generationConfig", {}):
            return Reply(400, _error(400, "The stand-in expects a response schema.", "INVALID_ARGUMENT"))
        return Reply(200, self.judge(content))

    def _listed(self, path: str) -> Reply:
        name = path.rpartition("/models/")[2]
        if name not in self.listed:
            return Reply(404, _error(404, f"models/{name} is not found for API version v1beta", "NOT_FOUND"))
        return Reply(200, {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]})


def texts(body: Any) -> list[str]:
    return [part["text"] for part in body["contents"][0]["parts"] if "text" in part]


def pictures(body: Any) -> list[Image.Image]:
    """The pictures of a request, in order."""
    parts = [part["inlineData"] for part in body["contents"][0]["parts"] if "inlineData" in part]
    return [Image.open(io.BytesIO(base64.urlsafe_b64decode(part["data"]))) for part in parts]


def by_class(results: Mapping[str, str], otherwise: str = "FAIL") -> Callable[[Any], dict[str, Any]]:
    """Judges by the class that the prompt names."""

    def judge(body: Any) -> dict[str, Any]:
        prompt = texts(body)[0]
        for name, result in results.items():
            if json.dumps(name) in prompt:
                return judged(result)
        return judged(otherwise)

    return judge


def _error(code: int, message: str, status: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}
