"""What the demo's cameras upload: drawn boards or other products, or the pictures of a folder."""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from linegate.errors import UsageError
from linegate.files import golden_picture
from linegate.inspection import place_of
from linegate.samples import DEFECTS, golden_board, jpeg, sample
from linegate.samples.product import Drawn, Product

GOLDEN_FOLDER: Final = "golden"
BOARDS_FOLDER: Final = "boards"
SEED: Final = 7
PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a camera will upload under `name`; `truth` is the verdict it deserves, where that is known."""

    name: str
    source: Path
    truth: str | None = None
    defects: tuple[str, ...] = ()

    @property
    def serial(self) -> str:
        """As the gate reads it from the object name."""
        return place_of(f"uploads/line/station/{self.name}", {}).serial


def drawn(count: int, folder: Path, seed: int = SEED) -> list[Upload]:
    """`count` drawn boards of one design, a third of them clean, and two files that can't be inspected."""
    boards, golden = folder / BOARDS_FOLDER, folder / GOLDEN_FOLDER
    boards.mkdir()
    golden.mkdir()
    board = golden_board(SEED)
    (golden / "board").write_bytes(jpeg(board.picture, 97))
    rng = np.random.default_rng(seed)
    uploads = []
    for number, defects in zip(range(1, count + 1), _defects(), strict=False):
        upload = Upload(
            f"board-{number:04}.jpg", boards / f"board-{number:04}.jpg", "FAIL" if defects else "PASS", defects
        )
        upload.source.write_bytes(jpeg(sample(board, rng, defects).picture))
        _lay_golden(golden, upload.serial, golden / "board")
        uploads.append(upload)
    _break_two(uploads, boards)
    return uploads


def of_product(product: Product, count: int, folder: Path, seed: int = SEED) -> list[Upload]:
    """`count` drawn pictures of a product, a third of them good, and two files that can't be inspected."""
    pictures = folder / product.name
    pictures.mkdir()
    rng = np.random.default_rng(seed)
    uploads = []
    for number, faults in zip(range(1, count + 1), _faults(product.faults), strict=False):
        name = f"{product.name}-{number:04}.jpg"
        one = _drawn(product, rng, faults)
        (pictures / name).write_bytes(jpeg(one.picture))
        shown = tuple(fault for fault, _ in one.truth)
        uploads.append(Upload(name, pictures / name, "FAIL" if shown else "PASS", shown))
    _break_two(uploads, pictures)
    return uploads


def _drawn(product: Product, rng: np.random.Generator, faults: tuple[str, ...]) -> Drawn:
    """With the first of the faults alone, where one product can't have all of them."""
    try:
        return product.draw(rng, faults)
    except ValueError:
        return product.draw(rng, faults[:1])


def _break_two(uploads: list[Upload], folder: Path) -> None:
    """Among the others, not after them: a bad file must not hold up the line."""
    whole = uploads[0].source.read_bytes()
    for name, content in {"truncated.jpg": whole[: len(whole) // 2], "notes.jpg": b"This is no picture.\n"}.items():
        (folder / name).write_bytes(content)
        uploads.insert(len(uploads) // 2, Upload(name, folder / name, "ERROR"))


def _defects() -> Iterator[tuple[str, ...]]:
    """Clean, one defect, another … in turn; every class comes, some boards have two."""
    number = 0
    while True:
        yield ()
        yield (DEFECTS[number % len(DEFECTS)],)
        yield (DEFECTS[(number + 1) % len(DEFECTS)], DEFECTS[(number + 4) % len(DEFECTS)])
        number += 1


def _faults(classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Good, one fault, two of them … in turn; every class comes."""
    for number in itertools.count():
        yield ()
        yield (classes[number % len(classes)],)
        yield tuple(dict.fromkeys(classes[(number + off) % len(classes)] for off in (1, 2)))


def check_folder(images: Path, golden: Path | None) -> None:
    """Raises UsageError for what is wrong with these before anything is made."""
    if not images.is_dir():
        raise UsageError(f"there is no folder {images}")
    if golden:
        golden_picture(golden)


def from_folder(images: Path, golden: Path | None, folder: Path) -> list[Upload]:
    """The pictures of `images`, each with its golden picture laid where the recipe looks for it.

    `NAME_test.*` is compared with `NAME_temp.*` beside it, anything else with `golden`. A list of its defects
    `NAME.txt` (one a line, as DeepPCB has them) tells the truth. Raises UsageError.
    """
    pictures = sorted(
        path for path in images.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )
    by_stem = {path.stem: path for path in pictures}
    tested = [path for path in pictures if not path.stem.endswith("_temp")]
    if not tested:
        raise UsageError(f"{images} holds no pictures ({', '.join(sorted(PICTURES))})")
    (folder / GOLDEN_FOLDER).mkdir()
    uploads: list[Upload] = []
    alone: list[str] = []
    for path in tested:
        name = path.stem.removesuffix("_test")
        reference = by_stem.get(f"{name}_temp") or golden
        if reference is None:
            alone.append(path.name)
            continue
        labels = images / f"{name}.txt" if path.stem != name else None
        upload = Upload(f"{name}{path.suffix}", path, *_truth(labels))
        if upload.serial in {known.serial for known in uploads}:  # a.jpg beside a.png, or beside a_test.jpg
            upload = replace(upload, name=f"{name}-{len(uploads)}{path.suffix}")
        _lay_golden(folder / GOLDEN_FOLDER, upload.serial, reference.resolve())
        uploads.append(upload)
    if alone:
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        raise UsageError(
            f"no golden picture for {', '.join(alone[:3])}{more}: put NAME_temp beside NAME_test, or give --golden FILE"
        )
    return uploads


def _truth(labels: Path | None) -> tuple[str | None, tuple[str, ...]]:
    if labels is None or not labels.is_file():
        return None, ()
    lines = [line for line in labels.read_text("utf-8", "replace").splitlines() if line.strip()]
    return ("FAIL" if lines else "PASS"), tuple(f"type {line.split()[-1]}" for line in lines)


def _lay_golden(folder: Path, serial: str, reference: Path) -> None:
    """Make `reference` the golden picture of one board."""
    try:
        (folder / serial).symlink_to(reference)
    except FileExistsError:
        raise  # copying would follow the link that stands there, into somebody's picture
    except OSError:  # a file system without links
        shutil.copyfile(reference, folder / serial)
