"""What `--services` measures: the gate with Roboflow and Gemini at given addresses, which are stand-ins.

The floor is the bare SDKs: one workflow call, then all calls of Gemini at the same time, with nothing around them.
"""

import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw
from pydantic import SecretStr

from linegate import imaging
from linegate.adapters.gemini.kind import GeminiVerification
from linegate.adapters.gemini.service import Gemini
from linegate.adapters.roboflow.kind import RoboflowDetection
from linegate.adapters.roboflow.service import Roboflow, Workflow
from linegate.commands.bench.setup import LINE, SEED, Setup
from linegate.edge.runtime import Runtime
from linegate.errors import UsageError
from linegate.samples import golden_board
from linegate.sections import Line, http_url
from linegate.settings import Recipe, Settings
from linegate.shapes import Box

FINDINGS: Final = (0, 1, 8, 32, 64)
WORKSPACE, WORKFLOW, MODEL = "plant", "pcb", "stand-in-flash"
ROBOFLOW_KEY, GEMINI_KEY = SecretStr("rf-stand-in"), SecretStr("gemini-stand-in")
# Stand-ins find squares of this colour, one in each cell of the grid at most.
MARK: Final = (255, 0, 255)
CELL: Final = 32


def at(roboflow_url: str, gemini_url: str) -> Setup:
    """The setup with the services at these addresses. Raises UsageError for what is none."""
    for url in (roboflow_url, gemini_url):
        try:
            http_url(url)
        except ValueError as error:
            raise UsageError(f"--services: {url!r} {error}") from error
    board = Image.fromarray(golden_board(SEED).picture)

    def settings(_: Path) -> Settings:
        recipe = Recipe(detectors=[RoboflowDetection(workflow=Workflow(id=WORKFLOW))], verifier=GeminiVerification())
        return Settings(
            roboflow=Roboflow(api_url=roboflow_url, api_key=ROBOFLOW_KEY, workspace=WORKSPACE),
            gemini=Gemini(api_url=gemini_url, api_key=GEMINI_KEY, model=MODEL),
            recipes={LINE: recipe},
            lines={LINE: Line(recipe=LINE)},
        )

    def picture(findings: int) -> bytes:
        marked = board.copy()
        pen = ImageDraw.Draw(marked)
        for number in range(findings):
            x, y = CELL * (1 + 2 * (number % 8)), CELL * (1 + 2 * (number // 8))
            pen.rectangle((x, y, x + CELL - 1, y + CELL - 1), MARK)
        buffer = io.BytesIO()
        marked.save(buffer, "JPEG", quality=92)
        return buffer.getvalue()

    return Setup(FINDINGS, settings, picture, _Bare(roboflow_url, gemini_url))


class _Bare:
    """The vendors' SDKs as their documentation uses them. Clients are built once, as here."""

    def __init__(self, roboflow_url: str, gemini_url: str) -> None:
        # The one place besides adapters that calls the SDKs: to measure what the adapters and all the rest add to them.
        from google import genai
        from inference_sdk import InferenceConfiguration, InferenceHTTPClient

        self._roboflow = InferenceHTTPClient(roboflow_url, ROBOFLOW_KEY.get_secret_value())
        self._roboflow.configure(InferenceConfiguration(api_key_transport="header"))
        options = genai.types.HttpOptions(api_version="v1beta", base_url=gemini_url)
        self._gemini = genai.Client(api_key=GEMINI_KEY.get_secret_value(), vertexai=False, http_options=options)

    def __call__(self, _: Runtime, picture: bytes) -> float:
        from google.genai import types

        from linegate.adapters.gemini.verifier import SCHEMA

        image = imaging.decode(picture)
        encoded = base64.b64encode(picture).decode()
        started = time.perf_counter()
        outputs = self._roboflow.run_workflow(
            WORKSPACE, WORKFLOW, images={"image": encoded}, parameters={"confidence": 0.3}
        )
        milliseconds = 1000 * (time.perf_counter() - started)
        boxes = [
            Box(*(entry[key] for key in ("x", "y", "width", "height")))
            for entry in outputs[0]["predictions"]["predictions"]
        ]
        crops = [imaging.cut(image, box) for box in boxes]
        config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)

        def ask(crop: bytes) -> None:
            parts = [
                types.Part.from_text(text="PASS or FAIL?"),
                types.Part.from_bytes(data=crop, mime_type="image/jpeg"),
            ]
            self._gemini.models.generate_content(
                model=MODEL, contents=types.Content(role="user", parts=parts), config=config
            )

        if crops:
            with ThreadPoolExecutor(len(crops)) as pool:
                started = time.perf_counter()
                list(pool.map(ask, crops))
                milliseconds += 1000 * (time.perf_counter() - started)
        return milliseconds
