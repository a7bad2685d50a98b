"""A stand-in for the part of Roboflow's API that takes pictures and labels into a project. It trains nothing.

It knows a picture that it has by its pixels, refuses labels for one that has some unless they are to be overwritten, and takes
labels that are no COCO file for what they are not.
"""

import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from tests.standins.service import Reply, Request

KEY = "rf-stand-in"
PROJECT = "pcb-defects"
MOST_BYTES = 20_000_000


@dataclass
class Held:
    """A picture of the project."""

    name: str
    batch: str
    split: str
    data: bytes
    labels: dict[str, Any] | None = None


@dataclass
class Project:
    """Answers POST /dataset/{project}/upload and /dataset/{project}/annotate/{id}."""

    pictures: dict[str, Held] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        place = re.fullmatch(r"/dataset/([^/]+)/(upload|annotate)(?:/([^/]+))?", parts.path)
        if request.method != "POST" or place is None:
            return _error(404, "Unsupported request")
        if query.get("api_key") != KEY:
            return _error(401, "This API key does not exist (or has been revoked).")
        if place[1] != PROJECT:
            return _error(404, "Could not find the dataset.")
        return self._upload(request, query) if place[2] == "upload" else self._annotate(place[3], request, query)

    def _upload(self, request: Request, query: dict[str, str]) -> Reply:
        if len(request.body) > MOST_BYTES:
            return _error(413, "Request entity too large")
        fields = _multipart(request)
        name, data = fields["name"].decode(), fields["file"]
        try:
            with Image.open(io.BytesIO(data)) as picture:
                pixels = picture.convert("RGB").tobytes() + repr(picture.size).encode()
        except OSError:
            return _error(400, "The image could not be decoded.")
        image_id = hashlib.sha256(pixels).hexdigest()[:20]
        if image_id in self.pictures:
            return Reply(200, {"duplicate": True, "id": image_id})
        self.pictures[image_id] = Held(name, query.get("batch", ""), fields["split"].decode(), data)
        return Reply(200, {"success": True, "id": image_id})

    def _annotate(self, image_id: str, request: Request, query: dict[str, str]) -> Reply:
        held = self.pictures.get(image_id)
        if held is None:
            return _error(404, "Image was not found.")
        if held.labels is not None and query.get("overwrite") != "true":
            return _error(409, "Image was already annotated.", "InvalidImageException")
        try:
            labels = json.loads(request.json()["annotationFile"])
            images, annotations = labels["images"], labels["annotations"]
            named = {category["id"] for category in labels["categories"]}
        except (ValueError, KeyError, TypeError):
            return _error(400, "Could not parse annotation.")
        if not query.get("name", "").endswith(".coco.json") or not annotations or len(images) != 1:
            return _error(400, "Unrecognized annotation format.")
        if any(one["category_id"] not in named for one in annotations):
            return _error(400, "Unknown category.")
        held.labels = labels
        return Reply(200, {"success": True})

    def boxes(self, name: str) -> list[tuple[str, list[float]]]:
        """The labels of the picture whose name begins so: class and box of each."""
        (held,) = [held for held in self.pictures.values() if held.name.startswith(name)]
        assert held.labels is not None
        (image,) = held.labels["images"]
        classes = {category["id"]: category["name"] for category in held.labels["categories"]}
        return [
            (classes[one["category_id"]], one["bbox"])
            for one in held.labels["annotations"]
            if one["image_id"] == image["id"]
        ]


def _multipart(request: Request) -> dict[str, bytes]:
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + request.body)
    boundary = b"--" + str(message.get_boundary()).encode()
    fields = {}
    for part in request.body.split(boundary)[1:-1]:
        about, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', about)
        assert name is not None
        fields[name[1].decode()] = content[:-2]
    return fields


def _error(code: int, message: str, kind: str = "GraphMethodException") -> Reply:
    return Reply(code, {"error": {"message": message, "type": kind}})
