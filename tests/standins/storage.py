"""A stand-in for Cloud Storage's JSON API that keeps generations and enforces preconditions, as no emulator at hand does."""

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from tests.standins.service import Reply, Request

OBJECT = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)$")
MEDIA = re.compile(r"/download/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)$")
UPLOAD = re.compile(r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o$")
REWRITE = re.compile(
    r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)/rewriteTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)$"
)


@dataclass(frozen=True, slots=True)
class Stored:
    data: bytes
    resource: dict[str, Any]


@dataclass
class Buckets:
    """Only the newest generation of a name is kept, as in a bucket without versioning. `finalized` hears of new ones."""

    finalized: Callable[[dict[str, Any]], None] = field(default=lambda _: None)
    objects: dict[tuple[str, str], Stored] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: int = 1_700_000_000_000_000
    uploads: dict[str, tuple[str, dict[str, str], dict[str, Any], bytearray]] = field(default_factory=dict)

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        content_type: str = "",
        metadata: dict[str, str] | None = None,
        in_place_of: str | None = None,
    ) -> dict[str, Any]:
        """Store an object as a client of the service would; its resource, empty where another generation stands (0: any)."""
        with self.lock:
            standing = self.objects.get((bucket, name))
            if in_place_of not in (None, standing.resource["generation"] if standing else "0"):
                return {}
            self.last += 1
            now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            resource = {
                "kind": "storage#object",
                "id": f"{bucket}/{name}/{self.last}",
                "bucket": bucket,
                "name": name,
                "generation": str(self.last),
                "metageneration": "1",
                "contentType": content_type,
                "size": str(len(data)),
                "crc32c": base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode(),
                "timeCreated": now,
                "updated": now,
                **({"metadata": metadata} if metadata else {}),
            }
            self.objects[bucket, name] = Stored(data, resource)
        self.finalized(resource)
        return resource

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        routes = (
            ("GET", OBJECT, self._metadata),
            ("GET", MEDIA, self._media),
            ("POST", UPLOAD, self._begin if query.get("uploadType") == "resumable" else self._upload),
            ("PUT", UPLOAD, self._go_on),
            ("POST", REWRITE, self._rewrite),
        )
        for method, pattern, handle in routes:
            match = pattern.match(parts.path)
            if request.method == method and match:
                place = {key: unquote(value) for key, value in match.groupdict().items()}
                return handle(place, query, request)
        return _error(404, f"no such method here: {request.method} {parts.path}")

    def _held(self, bucket: str, name: str, generation: str | None) -> Stored | None:
        held = self.objects.get((bucket, name))
        return None if held is None or generation not in (None, held.resource["generation"]) else held

    def _metadata(self, place: dict[str, str], query: dict[str, str], _: Request) -> Reply:
        held = self._held(place["bucket"], place["name"], query.get("generation"))
        if query.get("alt") == "media":
            return self._media(place, query, _)
        return Reply(200, held.resource) if held else _error(404, f"No such object: {place['bucket']}/{place['name']}")

    def _media(self, place: dict[str, str], query: dict[str, str], request: Request) -> Reply:
        held = self._held(place["bucket"], place["name"], query.get("generation"))
        if held is None:
            return _error(404, f"No such object: {place['bucket']}/{place['name']}")
        headers = {"content-type": "application/octet-stream", "x-goog-generation": held.resource["generation"]}
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", request.headers.get("range", ""))
        if asked is None:
            return Reply(200, held.data, headers)
        start, size = int(asked[1]), len(held.data)
        if start >= size:
            return _error(416, "The requested range cannot be satisfied.")
        part = held.data[start : int(asked[2]) + 1]
        return Reply(206, part, {**headers, "content-range": f"bytes {start}-{start + len(part) - 1}/{size}"})

    def _begin(self, place: dict[str, str], query: dict[str, str], request: Request) -> Reply:
        """What is larger than one request comes in parts: https://cloud.google.com/storage/docs/resumable-uploads"""
        upload = str(len(self.uploads) + 1)
        about = {**request.json(), "contentType": request.headers.get("x-upload-content-type", "")}
        self.uploads[upload] = (place["bucket"], query, about, bytearray())
        host, path = request.headers["host"], urlsplit(request.path).path
        return Reply(200, {}, {"location": f"http://{host}{path}?uploadType=resumable&upload_id={upload}"})

    def _go_on(self, _: dict[str, str], query: dict[str, str], request: Request) -> Reply:
        bucket, asked, about, held = self.uploads[query["upload_id"]]
        held += request.body
        if int(request.headers["content-range"].rpartition("/")[2]) > len(held):
            return Reply(308, {}, {"range": f"bytes=0-{len(held) - 1}"})
        content_type, expected = about["contentType"], asked.get("ifGenerationMatch")
        resource = self.put(bucket, about["name"], bytes(held), content_type, about.get("metadata"), expected)
        return Reply(200, resource) if resource else _error(412, "At least one of the pre-conditions did not hold.")

    def _upload(self, place: dict[str, str], query: dict[str, str], request: Request) -> Reply:
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        _, about, content = BytesParser(policy=policy.default).parsebytes(head + request.body).walk()
        resource = json.loads(about.get_content())
        # Not by the parser: it would normalise the line ends of a picture.
        boundary = re.search(r'boundary="?([^";]+)"?', request.headers["content-type"])
        assert boundary is not None
        data = request.body.split(b"--" + boundary[1].encode())[2].split(b"\r\n\r\n", 1)[1][:-2]
        name = resource["name"]
        resource = self.put(
            place["bucket"],
            name,
            data,
            content.get_content_type(),
            resource.get("metadata"),
            query.get("ifGenerationMatch"),
        )
        return Reply(200, resource) if resource else _error(412, "At least one of the pre-conditions did not hold.")

    def _rewrite(self, place: dict[str, str], query: dict[str, str], _: Request) -> Reply:
        held = self._held(place["bucket"], place["name"], query.get("sourceGeneration"))
        if held is None:
            return _error(404, f"No such object: {place['bucket']}/{place['name']}")
        resource = self.put(place["to_bucket"], place["to_name"], held.data, held.resource["contentType"])
        size = str(len(held.data))
        return Reply(200, {"done": True, "totalBytesRewritten": size, "objectSize": size, "resource": resource})


def _error(code: int, message: str) -> Reply:
    return Reply(code, {"error": {"code": code, "message": message, "errors": [{"message": message}]}})
