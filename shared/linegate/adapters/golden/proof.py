"""What a golden picture was proven to show: the smallest defects that are found on it for certain, kept in its own file.

It is a private chunk of the PNG, so that both are copied, replaced and read together, and it names what it was made of: of
another picture, another comparison or another confidence it proves nothing. Needs no other package to be read.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

# Of its letters' cases: may be skipped, private, of version 1, to be dropped when the picture is changed.
CHUNK: Final = b"lgPF"
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Of the golden picture and what goes with it; a proof holds for these.
CONTENT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"lgVR", b"lgVB"})
VERSION: Final = "5"  # of the comparison: another one has to be proven anew
RATE: Final = 0.95  # of the defects, that must be found for certain where a recipe demands it
# What of the self-test's rows a demand for a class is about; the worst of them counts.
ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "open_circuit": ("cut",),
    "short": ("bridge",),
    "mouse_bite": ("bite",),
    "spur": ("spur",),
    "spurious_copper": ("island",),
    "pin_hole": ("void",),
    "missing_hole": ("filled hole",),
    "foreign": ("spot", "scratch"),
    "missing": ("print lost",),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """`smallest` is by row: the least size in pixels (or grey levels, of stains) that is found for certain, None if none is.

    `absent` are rows of which nothing could be planted.
    """

    content: str  # see `content_of`
    copper: str
    confidence: float  # the highest that a finding needed to count
    tries: int
    rate: float
    certainty: float
    seed: int
    smallest: Mapping[str, float | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Demand:
    """Defects of this class must be found from this size on, in pixels of the pictures; `said` as the file says it."""

    class_name: str
    pixels: float
    said: str


def as_text(proof: Proof) -> str:
    return json.dumps(asdict(proof), separators=(",", ":"))


def summary(proof: Proof) -> str:
    """In one sentence, for a person."""
    found = ", ".join(f"{name} from {size:g}" for name, size in proof.smallest.items() if size and "stain" not in name)
    never = ", ".join(name for name, size in proof.smallest.items() if size is None)
    said = f"at least {proof.rate:.0%} are found for certain, in px: {found or 'nothing'}"
    return f"{said}; of no size that was tried: {never}" if never else said


def kept_in(file: bytes, proof: Proof) -> bytes:
    """The PNG with the proof in it, and nothing else changed. Raises ValueError for what is no PNG."""
    data = as_text(proof).encode()
    made = [SIGNATURE]
    for kind, body in _chunks(file):
        if kind != CHUNK:
            made.append(_chunk(kind, body))
        if kind == b"IHDR":
            made.append(_chunk(CHUNK, data))
    return b"".join(made)


def text_of(file: bytes) -> str:
    """The proof in a golden picture's file as JSON; empty where there is none that belongs to it."""
    try:
        chunks = list(_chunks(file))
    except ValueError:
        return ""
    kept = next((body for kind, body in chunks if kind == CHUNK), b"")
    proof = parsed(kept.decode("utf-8", "replace"))
    return kept.decode() if proof is not None and proof.content == content_of(file) else ""


def parsed(text: str) -> Proof | None:
    """None for what is no proof, or one of another version."""
    try:
        read: dict[str, Any] = json.loads(text)
        proof = Proof(**{**read, "absent": tuple(read["absent"])})
        sizes = {str(name): None if size is None else float(size) for name, size in proof.smallest.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    sound = all(size is None or size > 0 for size in sizes.values())
    return proof if sound and proof.version == VERSION else None


def content_of(file: bytes) -> str:
    """What tells this golden picture from all others. Raises ValueError for what is no PNG."""
    digest = hashlib.sha256()
    for kind, body in _chunks(file):
        if kind in CONTENT:
            digest.update(kind + struct.pack(">I", len(body)) + body)
    return digest.hexdigest()


def shortfalls(
    text: str, demands: tuple[Demand, ...], copper: str, confidence: float, scale: float = 1.0
) -> tuple[str, ...]:
    """Why each of the demands is not proven to be met, as sentences; empty where all are.

    `confidence` is the highest that a finding needs to count; `scale` is how many pixels of the golden picture there are for
    one of the pictures.
    """
    if not demands:
        return ()
    proof = parsed(text)
    if proof is None:
        why = "the golden picture was never proven to show it, or the comparison changed since"
    elif proof.rate < RATE:
        why = f"the golden picture was tried in short only, on {proof.tries} of each size"
    elif confidence > proof.confidence:
        why = f"the golden picture was tried with confidence {proof.confidence:g}, not {confidence:g}"
    elif copper != proof.copper:
        why = f"the golden picture was tried with copper {proof.copper!r}, not {copper!r}"
    else:
        return tuple(reason for demand in demands if (reason := _shortfall(proof, demand, scale)))
    return tuple(f"Nobody knows whether {one.class_name} of {one.said} is found: {why}." for one in demands)


def _shortfall(proof: Proof, demand: Demand, scale: float) -> str:
    wanted = demand.pixels * scale
    asked = f"{demand.class_name} of {demand.said} ({wanted:.1f} px of the golden picture)"
    for row in ROWS[demand.class_name]:
        names = [name for name in (*proof.smallest, *proof.absent) if name == row or name.startswith(f"{row},")]
        for name in names:
            if name in proof.absent:
                return f"Nobody knows whether {asked} is found: the golden picture shows nothing to try it on ({name})."
            size = proof.smallest[name]
            if size is None:
                return f"{asked} is not found for certain: none of any size is ({name})."
            if size > wanted:
                return f"{asked} is not found for certain: only from {size:g} px on ({name})."
        if not names:
            return f"Nobody knows whether {asked} is found: the self-test has no {row}."
    return ""


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not file.startswith(SIGNATURE):
        raise ValueError("no PNG")
    at = len(SIGNATURE)
    while at + 12 <= len(file):
        (length,) = struct.unpack_from(">I", file, at)
        kind, body = file[at + 4 : at + 8], file[at + 8 : at + 8 + length]
        if len(body) < length:
            raise ValueError("the PNG is truncated")
        yield kind, body
        at += 12 + length
        if kind == b"IEND":
            return
    raise ValueError("the PNG is truncated")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
