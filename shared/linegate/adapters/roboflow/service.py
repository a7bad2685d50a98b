"""Where workflows run, and how a workflow's answer is read: what the file says of Roboflow."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from linegate.sections import PART, Secret, Section, Timeout, http_url


class Roboflow(Section):
    """Where workflows run: Roboflow's own servers, or an Inference server of yours."""

    api_url: Annotated[str, AfterValidator(http_url)] = "https://serverless.roboflow.com"
    """Roboflow's servers, or an Inference server of yours."""
    api_key: Secret | None = None
    """An Inference server with local models needs none."""
    workspace: Annotated[str, StringConstraints(pattern=PART)]
    """Whose workflows are run."""
    input_side: Annotated[int, Field(ge=64, le=8192)] = 512
    """Of the model's square input, in pixels."""
    send_side: Annotated[int, Field(ge=64, le=16384)] | None = None
    """Longest side that is sent, in pixels; twice `input_side` if unset."""
    use_cache: bool = True
    """Of workflow definitions: 15 minutes on Roboflow's side."""
    connect_timeout_s: Timeout = 5.0
    """For a connection to be made."""
    read_timeout_s: Timeout = 20.0
    """Of silence."""
    timeout_s: Timeout = 25.0
    """Of one call."""
    budget_s: Timeout = 45.0
    """Of all attempts together; then the message's redelivery takes over."""

    @property
    def longest_side(self) -> int:
        return self.send_side or 2 * self.input_side


class Workflow(Section):
    """A Roboflow workflow, and how its answer is read."""

    id: Annotated[str, StringConstraints(pattern=PART)]
    """As in the workflow's address."""
    version: str | None = None
    """Pins a version of the workflow; the newest if unset."""
    image_input: str = "image"
    """Name of the workflow's input for the picture."""
    parameters: Annotated[dict[str, Any], Field(exclude=True)] = {}
    """Further inputs of the workflow."""
    predictions: str | None = None
    """Name of the output with the predictions; needed where several look like predictions."""
    good: list[str] | None = None
    """Of a workflow that classifies whole pictures: the classes of a good product. Every other class is a finding."""
    results: str = "crop_results"
    """Name of the output with the per-crop results of the complete workflow."""
    exclude: list[str] = ["crops", "output_image"]
    """Outputs that need not travel."""
