"""The kind `gemini`: each finding is shown to a Gemini model, by API key or on Vertex AI."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from linegate.adapters.gemini.models import family_of
from linegate.adapters.gemini.service import Gemini
from linegate.errors import LinegateError
from linegate.inspection import Detection, Result
from linegate.kind import Prices, RecipeBase, Surroundings, VerifierKind
from linegate.ports import Verifier
from linegate.sections import Section
from linegate.shapes import Box

if TYPE_CHECKING:
    from linegate.adapters.gemini.verifier import GeminiClient


class GeminiVerification(VerifierKind):
    """Shows each finding to Gemini, beside the same place of the golden picture where there is one."""

    type: Literal["gemini"] = "gemini"
    prompt: Annotated[str, Field(max_length=8000)] | None = None
    """What Gemini is told, in place of Linegate's own text."""
    pictures: Literal["separate", "composed"] = "separate"
    """How it is shown the reference crop: as a second picture, or side by side with crop and difference in one."""

    service: ClassVar[str] = "gemini"
    service_keys: ClassVar[str] = "api_key or project"
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.gemini.verifier",)
    asks: ClassVar[bool] = True
    priced: ClassVar[bool] = True
    most_at_once: ClassVar[int] = 64

    @property
    def composed(self) -> bool:
        return self.pictures == "composed"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Verifier:
        from linegate.adapters.gemini.verifier import GeminiVerifier

        return GeminiVerifier(_client(around), recipe, self.prompt, composed=self.composed)

    def try_out(self, recipe: RecipeBase, around: Surroundings, crop: bytes) -> str:
        detection = Detection(next(iter(recipe.classes), "spur"), 0.5, Box(64, 64, 32, 32))
        judgement = self.build(recipe, around).verify(crop, None, detection)
        if judgement.result is Result.UNSURE:
            raise LinegateError(" ".join([judgement.reason, _client(around).listing()]).rstrip())
        family = family_of(judgement.model)
        going = f"; Google names {family.successor} in its place" if family and family.successor else ""
        return f"{judgement.model_version or judgement.model} answered, {judgement.tokens} tokens{going}"

    def cost(self, recipe: RecipeBase, service: Section | None, prices: Prices) -> dict[str, float]:
        price, settings = prices["gemini"], _gemini(service)
        rates = price.get("models", {}).get(settings.model, price)
        tier = price["tiers"][settings.service_tier] if settings.service_tier else 1.0
        pictures = 2 if recipe.golden and not self.composed else 1
        tokens_in = price["prompt_tokens"] + pictures * price["image_tokens"][settings.resolution or "default"]
        dollars = tokens_in * rates["input_per_million"] + price["output_tokens"] * rates["output_per_million"]
        return {"Gemini": tier * dollars / 1e6}


def _client(around: Surroundings) -> "GeminiClient":
    from linegate.adapters.gemini.verifier import GeminiClient

    return around.shared("gemini", lambda: GeminiClient(_gemini(around.service), around.proxy_for))


def _gemini(service: Section | None) -> Gemini:
    assert isinstance(service, Gemini)  # the configuration was validated
    return service
