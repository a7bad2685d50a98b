"""What a model's answer says, read strictly: one candidate that finished with STOP, JSON by the schema, one of two words.

All else is UNSURE with the reason, for a blocked, cut or empty answer comes as a 200 like a good one.
"""

from typing import Any, Final

from google.genai import types

from linegate.adapters import strict
from linegate.inspection import Result
from linegate.texts import brief

# Fields of a part of an answer that are text, or belong to it
_TEXT: Final = {"text", "thought", "thought_signature"}


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
