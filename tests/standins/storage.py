"""A stand-in for Cloud Storage's JSON API that keeps generations and enforces preconditions, as no emulator at hand does."""

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

    def put(
        self, bucket: str, name: str, data: bytes, content_type: str = "", metadata: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Store an object as a client of the service would; its resource."""
        with self.lock:
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
            ("POST", UPLOAD, self._upload),
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

    def _media(self, place: dict[str, str], query: dict[str, str], _: Request) -> Reply:
        held = self._held(place["bucket"], place["name"], query.get("generation"))
        if held is None:
            return _error(404, f"No such object: {place['bucket']}/{place['name']}")
        headers = {"content-type": "application/octet-stream", "x-goog-generation": held.resource["generation"]}
        return Reply(200, held.data, headers)

    def _upload(self, place: dict[str, str], query: dict[str, str], request: Request) -> Reply:
        head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        _, about, content = BytesParser(policy=policy.default).parsebytes(head + request.body).walk()
        resource = json.loads(about.get_content())
        # Not by the parser: it would normalise the line ends of a picture.
        boundary = re.search(r'boundary="?([^";]+)"?', request.headers["content-type"])
        assert boundary is not None
        data = request.body.split(b"--" + boundary[1].encode())[2].split(b"\r\n\r\n", 1)[1][:-2]
        name = resource["name"]
        if query.get("ifGenerationMatch") == "0" and (place["bucket"], name) in self.objects:
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        return Reply(200, self.put(place["bucket"], name, data, content.get_content_type()))

    def _rewrite(self, place: dict[str, str], query: dict[str, str], _: Request) -> Reply:
        held = self._held(place["bucket"], place["name"], query.get("sourceGeneration"))
        if held is None:
            return _error(404, f"No such object: {place['bucket']}/{place['name']}")
        resource = self.put(place["to_bucket"], place["to_name"], held.data, held.resource["contentType"])
        size = str(len(held.data))
        return Reply(200, {"done": True, "totalBytesRewritten": size, "objectSize": size, "resource": resource})


def _error(code: int, message: str) -> Reply:
    return Reply(code, {"error": {"code": code, "message": message, "errors": [{"message": message}]}})
