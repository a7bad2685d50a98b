"""The port ImageStore in Cloud Storage. Every read is pinned to a generation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from google.api_core import exceptions
from google.cloud.storage import Blob, Client

from linegate.adapters.gcp.errors import BUDGET_S, RETRY, mapped
from linegate.errors import ObjectMissingError, TransientError
from linegate.inspection import ObjectRef

SERVICE: Final = "Cloud Storage"
# Among an object's metadata: what it held when it was put
DIGEST: Final = "sha256"
# Nobody loses that often against others who put the same name.
MOST_TRIES: Final = 10


class CloudImages:
    """Safe to share between threads."""

    def __init__(self, project: str) -> None:
        with mapped(SERVICE):
            self._client = Client(project=project)

    def close(self) -> None:
        self._client.close()

    def size(self, ref: ObjectRef) -> int:
        blob = self._blob(ref)
        with mapped(SERVICE), _missing(ref):
            blob.reload(retry=RETRY, timeout=BUDGET_S)
        return int(blob.size or 0)

    def read(self, ref: ObjectRef) -> bytes:
        with mapped(SERVICE), _missing(ref):
            return bytes(self._blob(ref).download_as_bytes(retry=RETRY, timeout=BUDGET_S))

    def part(self, ref: ObjectRef, start: int, count: int) -> bytes:
        if count <= 0:
            return b""
        with mapped(SERVICE), _missing(ref):
            try:
                return bytes(
                    self._blob(ref).download_as_bytes(
                        start=start, end=start + count - 1, checksum=None, retry=RETRY, timeout=BUDGET_S
                    )
                )
            except exceptions.RequestRangeNotSatisfiable:  # behind its end
                return b""

    def newest(self, bucket: str, name: str) -> ObjectRef:
        blob = self._client.bucket(bucket).blob(name)
        with mapped(SERVICE), _missing(ObjectRef(bucket, name, 0)):
            blob.reload(retry=RETRY, timeout=BUDGET_S)
        return ObjectRef(bucket, name, int(blob.generation or 0))

    def latest(self, bucket: str, name: str) -> bytes:
        with mapped(SERVICE), _missing(ObjectRef(bucket, name, 0)):
            return bytes(self._client.bucket(bucket).blob(name).download_as_bytes(retry=RETRY, timeout=BUDGET_S))

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        blob = self._client.bucket(bucket).blob(name)
        with mapped(SERVICE):
            # Repeating is harmless: the same bytes under the same name, a generation more.
            blob.upload_from_string(data, content_type=content_type, retry=RETRY, timeout=BUDGET_S)
        return int(blob.generation or 0)

    def put(self, bucket: str, name: str, file: BinaryIO, digest: str, content_type: str) -> tuple[int, bool]:
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        with mapped(SERVICE):
            for _ in range(MOST_TRIES):
                standing = self._client.bucket(bucket).get_blob(name, retry=RETRY, timeout=BUDGET_S)
                if standing is not None and (standing.metadata or {}).get(DIGEST) == digest:
                    return int(standing.generation or 0), False
                blob = self._client.bucket(bucket).blob(name)
                blob.metadata = {DIGEST: digest}
                file.seek(start)
                try:
                    # In place of what was seen only: of two who put the same, the second finds the first one's.
                    blob.upload_from_file(
                        file,
                        size=size,
                        content_type=content_type,
                        if_generation_match=int(standing.generation or 0) if standing else 0,
                        retry=RETRY,
                        timeout=BUDGET_S,
                    )
                except exceptions.PreconditionFailed:
                    continue
                return int(blob.generation or 0), True
        raise TransientError(f"{name!r} could not be stored: others always came first")

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        blob = self._client.bucket(bucket).blob(name)
        with mapped(SERVICE):
            try:
                blob.upload_from_string(
                    data, content_type=content_type, if_generation_match=0, retry=RETRY, timeout=BUDGET_S
                )
            except exceptions.PreconditionFailed:
                return False
        return True

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        source, target = self._blob(ref), self._client.bucket(bucket).blob(name)
        with mapped(SERVICE), _missing(ref):
            token, *_ = target.rewrite(source, retry=RETRY, timeout=BUDGET_S)
            while token is not None:  # a large object is copied in several calls
                token, *_ = target.rewrite(source, token=token, retry=RETRY, timeout=BUDGET_S)

    def _blob(self, ref: ObjectRef) -> Blob:
        return self._client.bucket(ref.bucket).blob(ref.name, generation=ref.generation)


@contextmanager
def _missing(ref: ObjectRef) -> Iterator[None]:
    """An object that is not there in this generation (any more) is an ObjectMissingError."""
    try:
        yield
    except exceptions.NotFound as error:
        where = f"{ref.bucket}/{ref.name} of generation {ref.generation}"
        raise ObjectMissingError(f"the object {where} is gone or was replaced") from error
