"""Pictures of cameras that reach no shared folder: each is stored whole or not at all, and then is an upload like any other.

What it shows is judged by the gate: what is no picture gets its verdict, ERROR, of which the line hears. Refused here is only
what did not come as it was sent.
"""

import asyncio
import base64
import binascii
import hashlib
import re
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore, Lock
from typing import BinaryIO, Final, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from linegate import links
from linegate.errors import ObjectMissingError
from linegate.inspection import ObjectRef
from linegate.logs import log
from linegate.station.api import told
from linegate.station.api.operation import ROOT, Operation, Path, given
from linegate.station.problems import ProblemError
from linegate.station.site import Site, site_of
from linegate.station.tokens import machine_of, sees
from linegate.station_section import May
from linegate.texts import visible

# Of each picture that is coming in, so much is in memory; the rest lies in a temporary file.
IN_MEMORY: Final = 1 << 20
AT_ONCE: Final = 32
# Nothing comes for so long, or not all of it: the camera tries again.
SILENCE_S, LONGEST_S = 15.0, 120.0
# A part of a name may have 255 bytes where it becomes a file; the extension needs some of them.
MOST_NAME_BYTES: Final = 200
# By how a picture begins (at, what, extension); what begins otherwise is for the guard to refuse.
BEGINNINGS: Final = (
    (0, b"\xff\xd8", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (8, b"WEBP", "webp"),
    (0, b"II*\0", "tif"),
    (0, b"MM\0*", "tif"),
    (0, b"BM", "bmp"),
)
NO_PICTURE: Final = "bin"
TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
}
_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):", re.IGNORECASE)

_coming = BoundedSemaphore(AT_ONCE)
# Nobody puts another picture between the look at what stands there and the put.
_storing = Lock()


async def upload(request: Request) -> Response:
    """Name and headers are looked at before a byte of the picture is taken."""
    site = site_of(request)
    line, station, serial = (request.path_params[part] for part in ("line", "station", "serial"))
    _named(request, site, line, station, serial)
    most = site.settings.images.max_bytes
    declared = _declared(request, most)
    wanted = _wanted_digest(request)
    if not _coming.acquire(blocking=False):
        raise ProblemError.of(503, "busy", "Many pictures are coming in.", "Send it again.", {"Retry-After": "1"})
    try:
        with SpooledTemporaryFile(IN_MEMORY) as spool:
            file = cast("BinaryIO", spool)
            size, digest = await _received(request, file, declared, most)
            if wanted is not None and wanted != digest:
                raise ProblemError.of(
                    422,
                    "digest-differs",
                    "What came does not fit its Content-Digest; nothing was stored.",
                    "Send it again.",
                )
            return await run_in_threadpool(_stored, request, site, (line, station, serial), file, size, digest.hex())
    finally:
        _coming.release()


def _named(request: Request, site: Site, line: str, station: str, serial: str) -> None:
    """Raises ProblemError for a name that is no plain part of a path, and for a line that may not be uploaded to."""
    if not sees(request, line):
        raise ProblemError.of(
            403, "not-this-line", f"This token may not upload to line {line[:60]!r}.", "Use its own token."
        )
    if site.settings.recipe_of(line) is None:
        known = ", ".join(sorted(site.settings.lines))
        raise ProblemError.of(404, "no-line", f"Line {line[:60]!r} is not in the configuration.", f"There is {known}.")
    for what, name in (("station", station), ("serial", serial)):
        fault = _fault(name)
        if fault:
            raise ProblemError.of(
                400, "bad-name", f"The {what} {fault}.", "Name it by plain letters, digits and signs."
            )


def _fault(name: str) -> str:
    """Why it can't be a part of an object's name; empty where it can."""
    if visible(name) != name or name != name.strip() or not name:
        return "holds what can't be seen, or begins or ends with a space"
    if len(name.encode()) > MOST_NAME_BYTES:
        return f"is longer than {MOST_NAME_BYTES} bytes"
    if name.startswith(".") or "/" in name or "\\" in name:
        return "begins with a dot, or holds a slash"
    return ""


def _declared(request: Request, most: int) -> int | None:
    """How many bytes are to come, where it says so. Raises ProblemError for what could not be taken."""
    headers = request.headers
    if headers.get("content-range"):
        raise ProblemError.of(400, "in-parts", "A picture comes whole, not in parts.", "Leave Content-Range out.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError.of(415, "encoded", "The body is encoded.", "Send the picture's own bytes.")
    if headers.get("content-type", "").lower().startswith(("multipart/", "application/x-www-form-urlencoded")):
        raise ProblemError.of(415, "a-form", "The body is a form.", "Send the picture itself as the body.")
    if headers.get("if-none-match", "*").strip() != "*":
        raise ProblemError.of(400, "bad-condition", "If-None-Match may only be *.", "Send * or leave it out.")
    length = headers.get("content-length")
    if length is None:
        return None
    if int(length) > most:  # the server has seen to it that it is a number
        raise _too_large(most)
    return int(length)


def _wanted_digest(request: Request) -> bytes | None:
    """What Content-Digest says (RFC 9530). Who asks for a check that can't be made is refused."""
    said = request.headers.get("content-digest")
    if said is None:
        return None
    found = _DIGEST.search(said)
    with suppress(binascii.Error):
        digest = base64.b64decode(found[1], validate=True) if found else b""
        if len(digest) == hashlib.sha256().digest_size:
            return digest
    raise ProblemError.of(
        400, "bad-digest", "Content-Digest holds no SHA-256.", "Send sha-256=:BASE64: or leave it out."
    )


async def _received(request: Request, file: BinaryIO, declared: int | None, most: int) -> tuple[int, bytes]:
    """The whole body in the file; its size and SHA-256. Raises ProblemError where it is not whole, or too large."""
    digest, size, held = hashlib.sha256(), 0, bytearray()

    def keep() -> None:
        digest.update(held)
        file.write(held)

    chunks = request.stream().__aiter__()
    try:
        async with asyncio.timeout(LONGEST_S):
            while True:
                async with asyncio.timeout(SILENCE_S):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                held += chunk
                if len(held) >= IN_MEMORY:
                    await run_in_threadpool(keep)
                    held.clear()
    except (ClientDisconnect, TimeoutError) as error:
        log.warning("upload.cut_short", bytes=size, expected=declared)
        raise ProblemError.of(
            408, "cut-short", "The picture broke off; nothing was stored.", "Send it again."
        ) from error
    if declared is not None and size != declared:
        raise ProblemError.of(
            400, "cut-short", f"{size} of {declared} bytes came; nothing was stored.", "Send it again."
        )
    if not size:
        raise ProblemError.of(400, "empty", "The body is empty.", "Send the picture as the body.")
    await run_in_threadpool(keep)
    return size, digest.digest()


def _stored(
    request: Request, site: Site, place: tuple[str, str, str], file: BinaryIO, size: int, digest: str
) -> Response:
    images, bucket = site.context.images, site.settings.storage.uploads_bucket
    file.seek(0)
    name, kind = _object_name(place, file.read(16))
    if request.headers.get("if-none-match", "").strip() == "*":
        _none_yet(site, ObjectRef(bucket, name, 0), digest)
    file.seek(0)
    with _storing:
        _taken_up(site, ObjectRef(bucket, name, 0), digest)
        generation, new = images.put(bucket, name, file, digest, kind)
    image = ObjectRef(bucket, name, generation)
    machine = machine_of(request)
    log.info(
        "upload.received",
        object=name,
        inspection_id=image.inspection_id,
        bytes=size,
        repeated=not new,
        token=machine.name if machine else "",
    )
    where = f"{ROOT}/inspections/{image.inspection_id}"
    answer = told.Uploaded(
        inspection_id=image.inspection_id,
        object_name=name,
        generation=str(generation),
        sha256=digest,
        bytes=size,
        repeated=not new,
        inspection=where,
        page=links.board_page(site.station.address or "", image.inspection_id),
    )
    return given(answer, 201 if new else 200, {"Location": where, "ETag": f'"{generation}"'})


def _object_name(place: tuple[str, str, str], begins: bytes) -> tuple[str, str]:
    """The name of the object, with its extension: the serial's own where it is a picture's, else by what the picture is."""
    line, station, serial = place
    own = serial.rpartition(".")[2].lower() if "." in serial else ""
    if own in TYPES:
        return f"uploads/{line}/{station}/{serial}", TYPES[own]
    found = next((extension for at, mark, extension in BEGINNINGS if begins.startswith(mark, at)), NO_PICTURE)
    return f"uploads/{line}/{station}/{serial}.{found}", TYPES.get(found, "application/octet-stream")


def _none_yet(site: Site, image: ObjectRef, digest: str) -> None:
    """If-None-Match: * (RFC 9110): only where no picture of that name came before, but for this very one."""
    images = site.context.images
    try:
        standing = images.newest(image.bucket, image.name)
        same = hashlib.sha256(images.read(standing)).hexdigest() == digest
    except ObjectMissingError:
        return
    if not same:
        raise ProblemError.of(
            412,
            "there-is-one",
            "Another picture of this name came before; nothing was stored.",
            "Send it under another serial, or without If-None-Match to have it inspected as well.",
            inspection=f"{ROOT}/inspections/{standing.inspection_id}",
            generation=str(standing.generation),
        )


def _taken_up(site: Site, image: ObjectRef, digest: str) -> None:
    """Beside a line nobody hears of a picture that is overwritten before it was taken up: another one has to wait for that.

    Cloud Storage tells of each.
    """
    if site.settings.cloud:
        return
    images = site.context.images
    try:
        standing = images.newest(image.bucket, image.name)
        if site.context.inspections.get(standing.inspection_id) is not None:
            return
        if hashlib.sha256(images.read(standing)).hexdigest() == digest:
            return
    except ObjectMissingError:
        return
    raise ProblemError.of(
        503,
        "not-taken-up",
        "Another picture of this name came before, and has not been taken up yet; nothing was stored.",
        "Send it again. Does the gate run?",
        {"Retry-After": "1"},
    )


def _too_large(most: int) -> ProblemError:
    return ProblemError.of(
        413, "too-large", f"The picture holds more than {most:,} bytes.", "Send less, or raise images.max_bytes."
    )


OPERATIONS: Final = (
    Operation(
        "upload",
        "PUT",
        f"{ROOT}/uploads/{{line}}/{{station}}/{{serial}}",
        "Send the picture of a product; the body is the picture itself. Sent again, it is the same inspection.",
        May.UPLOAD,
        {201: (told.Uploaded, "It is stored, and will be inspected."), 200: (told.Uploaded, "It had come before.")},
        stream=upload,
        parts=(
            Path("line", "Of the configuration.", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", 63),
            Path("station", "Where on the line it was taken.", r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
            Path("serial", "Of the product, with or without a picture's extension.", r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
        ),
        headers=(
            (
                "Content-Digest",
                "sha-256 of the picture (RFC 9530); what does not fit is refused.",
                r"^sha-256=:[A-Za-z0-9+/]{43}=:$",
            ),
            ("If-None-Match", "`*`: only where no other picture of this name came before.", r"^\*$"),
        ),
        problems={
            404: "The line is not in the configuration.",
            408: "It broke off, or came too slowly; nothing was stored.",
            412: "Another picture of this name came before (If-None-Match).",
            413: "It is larger than `images.max_bytes`.",
            415: "It is no picture's own bytes: a form, or encoded.",
            422: "It does not fit its Content-Digest; nothing was stored.",
        },
    ),
)
