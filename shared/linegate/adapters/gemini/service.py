"""Which model is asked, and how: what the file says of Gemini."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

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
    model: Annotated[str, Field(min_length=1)] = "gemini-3-flash-preview"
    """Names retire: look whether yours is still served."""
    thinking: Literal["minimal", "low", "medium", "high"] = "low"
    """How much the model thinks before it answers."""
    resolution: Literal["low", "medium", "high"] | None = None
    """Of the crops as the model sees them; its own choice if unset."""
    max_output_tokens: Annotated[int, Field(ge=64, le=65_536)] = 2048
    """Thinking included."""
    connect_timeout_s: Timeout = 5.0
    """For a connection to be made."""
    timeout_s: Timeout = 20.0
    """Of one call."""
