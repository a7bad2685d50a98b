"""Which model is asked, and how: what the file says of Gemini."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from linegate.adapters.gemini.models import DEFAULT, family_of
from linegate.sections import Secret, Section, Timeout, http_url


class Gemini(Section):
    """Who verifies crops: the Gemini API by key, or Vertex AI by project and the identity of the machine."""

    api_key: Secret | None = None
    """Of the Gemini API; either this or `project`."""
    project: str | None = None
    """Vertex AI's, asked with the identity of the machine."""
    location: str = "global"
    """Of Vertex AI."""
    api_url: Annotated[str, AfterValidator(http_url)] | None = None
    """A proxy's, in place of Google's."""
    model: Annotated[str, Field(min_length=1)] = DEFAULT
    """Names retire: `linegate doctor` says whether yours is still served, and which to take."""
    thinking: Literal["minimal", "low", "medium", "high"] = "low"
    """How much the model thinks before it answers; newer models refuse `minimal`, older ones every level."""
    resolution: Literal["low", "medium", "high", "ultra_high"] | None = None
    """Of the pictures as the model sees them; its own choice if unset. It decides what a picture costs."""
    service_tier: Literal["standard", "priority", "flex"] | None = None
    """`priority` goes before others and costs more; `flex` costs half and takes minutes: for evaluations."""
    max_output_tokens: Annotated[int, Field(ge=64, le=65_536)] = 2048
    """Thinking included."""
    connect_timeout_s: Timeout = 5.0
    """For a connection to be made."""
    timeout_s: Timeout = 20.0
    """Of one call."""

    @model_validator(mode="after")
    def _is_taken(self) -> Self:
        """What a family is known to refuse would be a refusal of every crop."""
        family = family_of(self.model)
        takes = {"thinking": family.thinking, "resolution": family.resolutions} if family else {}
        for key, values in takes.items():
            written = getattr(self, key) if key in self.model_fields_set else None
            if written is not None and written not in values:
                allowed = f"takes {', '.join(values)}" if values else f"takes no {key} level: leave it out"
                raise ValueError(f"{key} {written} is refused by the model {self.model}, which {allowed}")
        return self

    @property
    def thinking_sent(self) -> str | None:
        """The level that goes with a request. Of a family that is not known, nothing is assumed: only what was written goes."""
        family = family_of(self.model)
        sent = self.thinking in family.thinking if family else "thinking" in self.model_fields_set
        return self.thinking if sent else None
