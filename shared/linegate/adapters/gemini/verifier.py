"""The port Verifier over Gemini (API key or Vertex AI), through google-genai.

Its answer is read strictly: one candidate that finished with STOP, JSON by the schema, one of two words. All else is
UNSURE with the reason, for a blocked, cut or empty answer comes as a 200 like a good one.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError, TransportError
from google.genai import errors, types

from linegate.adapters import strict
from linegate.adapters.exchange import LONGEST_WAIT_S, RETRYABLE, Http, ServiceError, persist, retry_after
from linegate.adapters.gemini.service import Gemini
from linegate.inspection import Detection, Result
from linegate.kind import RecipeBase
from linegate.logs import log
from linegate.ports import Judgement
from linegate.texts import brief, printable

SCHEMA: Final = {
    "type": "object",
    "properties": {
        "result": {"type": "string", "enum": ["PASS", "FAIL"]},
        "reason": {"type": "string", "description": "One sentence that a quality report can carry."},
    },
    "required": ["result", "reason"],
    "additionalProperties": False,
}
PROMPT: Final = """\
You inspect bare printed circuit boards on a production line. An object detector marked a suspected defect; you are shown \
what it marked, cut out with some margin. Decide from what can be seen whether the defect is really there.
Answer FAIL if it is, and PASS if the place is sound, so that the mark was a false alarm (dust, glare, a shade of the \
solder mask, an intended feature of the layout). If you can't tell, answer FAIL.
Give one sentence of reason that names what is seen and where, fit for a quality report."""
# Of the six classes of the PCB defect dataset and what the golden detector adds to them; a recipe may say it better.
DEFINITIONS: Final = {
    "missing_hole": "a pad lacks its drilled hole, or the hole is filled",
    "mouse_bite": "a bite is missing from the edge of a conductor, which becomes narrower there",
    "open_circuit": "a conductor is interrupted, its two ends do not touch",
    "short": "copper joins two conductors that must be separate",
    "spur": "copper juts out from the edge of a conductor without reaching another one",
    "spurious_copper": "copper stands where there should be none, touching no conductor",
    "pin_hole": "the copper of a conductor or pad has a small hole in it that is not drilled",
}
# The Gemini API refuses shorter deadlines of its own; ours is kept by the connection.
SHORTEST_SERVER_S: Final = 10
_THINKING: Final = {level.value.lower(): level for level in types.ThinkingLevel}
_RESOLUTION: Final = {
    "low": types.MediaResolution.MEDIA_RESOLUTION_LOW,
    "medium": types.MediaResolution.MEDIA_RESOLUTION_MEDIUM,
    "high": types.MediaResolution.MEDIA_RESOLUTION_HIGH,
}
# The only resolution that a whole request can't have, but each of its pictures can.
_ULTRA_HIGH: Final = types.PartMediaResolutionLevel.MEDIA_RESOLUTION_ULTRA_HIGH
# How Vertex AI is told the tier; the Gemini API reads it in the request.
_TIER_HEADER: Final = "X-Vertex-AI-LLM-Shared-Request-Type"
_MENDS: Final = {
    400: "it refused the request; check gemini.api_key and gemini.model",
    401: "it refused the key; check gemini.api_key",
    403: "it refused access; check gemini.api_key, or the permissions of gemini.project",
    404: "it knows no such model; check gemini.model",
    429: "the quota is used up for now",
}
# Fields of a part of an answer that are text, or belong to it
_TEXT: Final = {"text", "thought", "thought_signature"}


class GeminiVerifier:
    """Judges crops by one recipe. Safe to share between threads."""

    def __init__(self, client: "GeminiClient", recipe: RecipeBase, prompt: str | None = None) -> None:
        self._client = client
        self._recipe = recipe
        self._prompt = (prompt or PROMPT).strip()

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        model = self._client.settings.model
        try:
            response = self._client.ask(self._parts(crop, reference, detection), self._recipe.check_budget_s)
        except ServiceError as error:
            log.warning("gemini.no_answer", reason=str(error), status=error.status)
            return Judgement(Result.UNSURE, f"Gemini gave no answer: {error}.", model)
        result, reason = read(response)
        usage = response.usage_metadata
        tokens = (usage.total_token_count or 0) if usage else 0
        return Judgement(result, reason, model, printable(response.model_version or ""), tokens)

    def _parts(self, crop: bytes, reference: bytes | None, detection: Detection) -> list[types.Part]:
        policy = self._recipe.classes.get(detection.class_name)
        meaning = (policy.definition if policy else None) or DEFINITIONS.get(_canonical(detection.class_name))
        name = json.dumps(printable(detection.class_name, 100), ensure_ascii=False)
        suspicion = f"Suspected defect: {name}, detected with confidence {detection.confidence:.2f}."
        if meaning:
            suspicion += f" Its definition: {meaning.rstrip('.')}."
        parts = [
            types.Part.from_text(text=f"{self._prompt}\n\n{suspicion}\n\nThe place in question on the board:"),
            self._picture(crop),
        ]
        if reference is not None:
            parts += [
                types.Part.from_text(text="For comparison, the same place on a board known to be good:"),
                self._picture(reference),
            ]
        return parts

    def _picture(self, jpeg: bytes) -> types.Part:
        level = _ULTRA_HIGH if self._client.settings.resolution == "ultra_high" else None
        return types.Part.from_bytes(data=jpeg, mime_type="image/jpeg", media_resolution=level)


class GeminiClient:
    """The model's endpoint: one pool of connections for all recipes, bounded calls, the one owner of their retries."""

    def __init__(self, settings: Gemini, proxy_for: Callable[[str], str | None]) -> None:
        self.settings = settings
        http = Http(connect_s=settings.connect_timeout_s, read_s=settings.timeout_s, proxy_for=proxy_for)
        options = types.HttpOptions(
            api_version="v1" if settings.project else "v1beta",
            base_url=settings.api_url,
            httpx_client=httpx2.Client(transport=_Transport(http), timeout=settings.timeout_s),
        )
        key = settings.api_key.get_secret_value() if settings.api_key else None
        where = {"api_key": key} if key else {"project": settings.project, "location": settings.location}
        self._client = genai.Client(vertexai=key is None, http_options=options, **where)

    def ask(self, parts: Sequence[types.Part], budget_s: float) -> types.GenerateContentResponse:
        """The model's answer to `parts`, whatever it is. Raises ServiceError when none came within `budget_s` seconds."""
        content = types.Content(role="user", parts=list(parts))
        return persist(lambda seconds: self._once(content, seconds), budget_s, attempt_s=self.settings.timeout_s)

    def _once(self, content: types.Content, seconds: float) -> types.GenerateContentResponse:
        settings, options = self.settings, self._options(seconds)
        thinking, tier = settings.thinking_sent, settings.service_tier
        if tier and settings.project:
            options.headers = {**(options.headers or {}), _TIER_HEADER: tier}
            tier = None
        config = types.GenerateContentConfig(
            response_mime_type="application/json",
            response_json_schema=SCHEMA,
            max_output_tokens=settings.max_output_tokens,
            thinking_config=types.ThinkingConfig(thinking_level=_THINKING[thinking]) if thinking else None,
            media_resolution=_RESOLUTION.get(settings.resolution or ""),
            service_tier=types.ServiceTier(tier) if tier else None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            http_options=options,
        )
        try:
            return self._client.models.generate_content(model=settings.model, contents=content, config=config)
        except ServiceError:
            raise
        except errors.APIError as error:
            raise _refused(error) from error
        except GoogleAuthError as error:
            mend = "give the machine an identity, or run `gcloud auth application-default login`"
            again = isinstance(error, TransportError)
            raise ServiceError(f"there is no access to Vertex AI ({brief(str(error))}); {mend}", again=again) from error
        except Exception as error:  # a 200 of any other shape: JSONDecodeError, ValidationError, AttributeError …
            raise ServiceError(f"its answer can't be read ({type(error).__name__}: {brief(str(error))})") from error

    def _options(self, seconds: float) -> types.HttpOptions:
        return types.HttpOptions(
            timeout=max(1, int(1000 * seconds)),
            headers={"X-Server-Timeout": str(max(SHORTEST_SERVER_S, math.ceil(seconds)))},
        )


class _Transport(httpx2.BaseTransport):
    """Our bounded exchange below the SDK's client; a request's read timeout is its total."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {key: value for key, value in request.headers.items() if key != "accept-encoding"}
        answer = self._http.exchange(
            request.method,
            str(request.url),
            headers=headers,
            body=request.read(),
            total_s=request.extensions["timeout"]["read"],
        )
        if 200 <= answer.status < 300:
            if answer.status != 200:
                raise ServiceError(f"it answered {answer.status}, which is no whole answer", status=answer.status)
            try:
                content = strict.loads(answer.body)
            except ValueError as error:
                raise ServiceError(f"its answer can't be read ({brief(str(error))})") from error
            if isinstance(content, dict) and content.get("error"):  # which the SDK does not look at
                raise ServiceError(f"it answered 200 and an error: {brief(str(content['error']))}")
        return httpx2.Response(answer.status, headers=_plain(answer.headers), content=answer.body)


def _plain(headers: Any) -> dict[str, str]:
    """The headers without those that describe how the body travelled: it is whole and decoded by now."""
    return {key: value for key, value in headers.items() if key not in ("content-encoding", "transfer-encoding")}


def _refused(error: errors.APIError) -> ServiceError:
    code = error.code or 0
    mend = f": {_MENDS[code]}" if code in _MENDS else ""
    if 300 <= code < 400:
        mend = ": it redirects; check gemini.api_url"
    said = brief(str(error.message or ""))
    headers = getattr(error.response, "headers", {})
    asked = retry_after({key.lower(): value for key, value in headers.items()})
    asked = _retry_info(error.details) if asked is None else asked
    text = f"it answered {code}{mend}" + (f" ({said})" if said else "")
    return ServiceError(text, status=code, retry_after_s=asked, again=code in RETRYABLE)


def _retry_info(details: Any) -> float | None:
    """Seconds of google.rpc.RetryInfo in an error's details ("retryDelay": "34.07s"), as Google's 429 carries it."""
    try:
        found = [
            float(detail["retryDelay"].removesuffix("s"))
            for detail in details["error"]["details"]
            if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo")
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return min(max(0.0, found[0]), LONGEST_WAIT_S) if found and not math.isnan(found[0]) else None


def read(response: types.GenerateContentResponse) -> tuple[Result, str]:
    """PASS or FAIL with the model's reason; UNSURE with ours for every answer that is not exactly by the schema."""
    try:
        return _by_the_schema(_text(response))
    except _UnusableError as error:
        return Result.UNSURE, brief(f"Gemini's answer can't be used: {error}.")


class _UnusableError(Exception):
    pass


def _text(response: types.GenerateContentResponse) -> str:
    """What the one candidate said to its end, without its thoughts."""
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        raise _UnusableError(f"the request was blocked ({_name(feedback.block_reason)})")
    candidates = response.candidates or []
    if len(candidates) != 1:
        raise _UnusableError("there is none" if not candidates else f"there are {len(candidates)} of them")
    candidate = candidates[0]
    if candidate.finish_reason is not types.FinishReason.STOP:
        raise _UnusableError(f"it was cut off or withheld ({_name(candidate.finish_reason)})")
    ratings = [*(candidate.safety_ratings or []), *((feedback.safety_ratings if feedback else None) or [])]
    if any(rating.blocked for rating in ratings):
        raise _UnusableError("a safety rating says that it was blocked")
    parts = (candidate.content.parts if candidate.content else None) or []
    others = sorted(
        {name for part in parts for name in part.model_fields_set - _TEXT if getattr(part, name) is not None}
    )
    if others:
        raise _UnusableError(f"it holds more than text ({', '.join(others)})")
    if any(part.model_dump(exclude_none=True) == {} for part in parts):
        raise _UnusableError("it holds a part of a kind that is not known")
    text = "".join(part.text or "" for part in parts if not part.thought)
    if not text.strip():
        raise _UnusableError("it is empty")
    return text


def _by_the_schema(text: str) -> tuple[Result, str]:
    try:
        content = strict.loads(text)
    except ValueError as error:
        raise _UnusableError(f"it is not JSON: {text[:80]!r}") from error
    if not isinstance(content, dict):
        raise _UnusableError(f"it is no JSON object: {text[:80]!r}")
    result = strict.word(content.get("result"))
    if result is None:
        raise _UnusableError(f"it says neither PASS nor FAIL: {str(content.get('result'))[:80]!r}")
    if content.keys() != {"result", "reason"}:
        raise _UnusableError(f"it says more than was asked: {str(sorted(content))[:80]}")
    reason = content["reason"]
    if not isinstance(reason, str) or not any(char.isalnum() for char in brief(reason)):
        raise _UnusableError(f"it says {result.value} without a reason")
    return result, brief(reason)


def _name(value: Any) -> str:
    return str(getattr(value, "value", value) or "no finish reason")


def _canonical(class_name: str) -> str:
    return class_name.strip().lower().replace(" ", "_").replace("-", "_")
