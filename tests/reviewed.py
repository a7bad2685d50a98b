"""A gate's folder with inspections that people have reviewed, as the real store keeps them; no gate runs."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.storage import FolderStore
from linegate.adapters.local.store import SqliteInspections
from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.deciders import Decider
from linegate.inspection import Check, Detection, Inspection, Manifest, Place, Result, Revision
from linegate.verdict import answered, decide, rejected
from tests.contract.examples import board
from tests.fakes import START

WORDS = {"P": Result.PASS, "F": Result.FAIL, "U": Result.UNSURE}


def judged(manifest: Manifest | None, results: str, at: datetime = START) -> Revision:
    """The machine's revision: P, F or U for each finding; ERROR without a manifest."""
    if manifest is None:
        return Revision(1, Decider.parse("detect"), at, rejected("no picture"))
    checks = {index: Check(index, WORDS[letter], "=so") for index, letter in enumerate(results)}
    return Revision(1, Decider.parse("check:0"), at, decide(manifest, checks), "results/x/r1.jpg")


def ruled(
    manifest: Manifest | None,
    standing: Revision,
    rulings: dict[int, Disposition],
    *missed: Missed,
    author: str = "Ada",
    identity: str = "x",
    comment: str = "",
) -> Revision:
    """The next revision, by a person who looked at the whole product and said this."""
    at = standing.decided_at + timedelta(seconds=60)
    words = tuple(Ruling(index, word) for index, word in rulings.items())
    review = Review(identity, author, "api", standing.number, at, words, tuple(missed), looked=True, comment=comment)
    return Revision(
        standing.number + 1,
        Decider.person(author),
        at,
        answered(manifest, standing, review),
        "results/x/r2.jpg",
        review=review,
    )


def inspected(number: int, serial: str, line: str = "l", manifest: Manifest | None = None) -> Inspection:
    """Received a minute after the one before."""
    return replace(
        board(f"{number:032x}"),
        place=Place(line, "aoi", serial),
        received_at=START + timedelta(minutes=number),
        manifest=manifest,
    )


@dataclass
class Gate:
    """What `linegate edge` leaves in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.config = self.folder / "linegate.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "edge": {"data": "data"},
                    "roboflow": {"workspace": "plant", "api_key": "rf-stand-in"},
                    "recipes": {"pcb": {"golden": "golden.png"}},
                    "lines": {"l": {"recipe": "pcb"}},
                }
            )
        )
        with closing(Database(self.data / DATABASE)):
            pass

    def add(
        self,
        number: int,
        picture: bytes,
        size: tuple[int, int] | None,
        found: Sequence[Detection] = (),
        results: str = "",
        rulings: dict[int, Disposition] | None = None,
        *missed: Missed,
        serial: str | None = None,
        line: str = "l",
    ) -> Inspection:
        """An upload with its verdict and, where there are `rulings`, a person's; `size` None is a picture that was refused."""
        with closing(Database(self.data / DATABASE)) as database:
            images, inspections = FolderStore(database, self.data), SqliteInspections(database)
            one = inspected(number, serial or f"B{number}", line)
            name = f"uploads/{line}/aoi/{number}.png"
            ref = replace(one.image, name=name, generation=images.write("uploads", name, picture, ""), bucket="uploads")
            manifest = Manifest.of(found, width=size[0], height=size[1]) if size else None
            one = replace(one, image=ref, inspection_id=ref.inspection_id)
            inspections.open(one)
            if manifest:
                inspections.store_manifest(one.inspection_id, manifest, 1)
            one = replace(one, manifest=manifest)
            first = judged(manifest, results)
            assert inspections.commit(replace(one, revision=first), first, [])
            return self.answer(replace(one, revision=first), rulings, *missed) if rulings is not None else one

    def answer(self, one: Inspection, rulings: dict[int, Disposition], *missed: Missed) -> Inspection:
        """A person says this of the revision that stands."""
        assert one.revision is not None
        revision = ruled(one.manifest, one.revision, rulings, *missed, identity=one.inspection_id)
        with closing(Database(self.data / DATABASE)) as database:
            assert SqliteInspections(database).commit(replace(one, revision=revision), revision, [])
        return replace(one, revision=revision)
