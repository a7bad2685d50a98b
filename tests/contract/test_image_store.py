"""The port ImageStore: what every adapter must do."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from linegate.adapters.local.database import Database
from linegate.adapters.local.storage import FolderStore
from linegate.errors import ObjectMissingError
from linegate.inspection import ObjectRef
from linegate.ports import ImageStore

HOSTILE = [
    "uploads/smt-1/aoi/plain.jpg",
    "../outside.jpg",
    "uploads/../../outside.jpg",
    "/absolute.jpg",
    "uploads/./dot.jpg",
    "uploads//double.jpg",
    "uploads/smt-1/aoi/nul\0byte.jpg",
    "uploads/smt-1/aoi/new\nline.jpg",
    "uploads/" + "😀" * 254,
    "uploads/smt-1/aoi/" + "x" * 300 + ".jpg",
    "linegate.db",
    ".lock",
    "uploads/ü/ß/𝄞.jpg",
]


@pytest.fixture(params=["folder", "Cloud Storage stand-in"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageStore]:
    if request.param != "folder":
        yield request.getfixturevalue("cloud_images")
        return
    with closing(Database(tmp_path / "bucket" / "linegate.db")) as database:
        yield FolderStore(database, tmp_path / "bucket")


def put(store: ImageStore, name: str, data: bytes) -> ObjectRef:
    return ObjectRef("b", name, store.write("b", name, data, "image/jpeg"))


def test_what_is_written_can_be_read(store: ImageStore) -> None:
    ref = put(store, "uploads/l/s/1.jpg", b"one")
    assert (store.read(ref), store.size(ref)) == (b"one", 3)


def test_the_newest_version_is_read_without_its_generation(store: ImageStore) -> None:
    put(store, "results/a/r1.jpg", b"one")
    put(store, "results/a/r1.jpg", b"two")
    assert store.latest("b", "results/a/r1.jpg") == b"two"
    with pytest.raises(ObjectMissingError):
        store.latest("b", "results/a/r2.jpg")


def test_a_part_of_it_is_read_alone(store: ImageStore) -> None:
    ref = put(store, "uploads/l/s/1.jpg", b"0123456789")
    assert [store.part(ref, *asked) for asked in ((0, 4), (4, 100), (10, 5), (3, 0))] == [b"0123", b"456789", b"", b""]
    put(store, "uploads/l/s/1.jpg", b"other")
    with pytest.raises(ObjectMissingError):
        store.part(ref, 0, 4)


def test_the_newest_version_of_a_name_is_known(store: ImageStore) -> None:
    put(store, "results/a/r1.jpg", b"one")
    second = put(store, "results/a/r1.jpg", b"two")
    assert store.newest("b", "results/a/r1.jpg") == second
    with pytest.raises(ObjectMissingError):
        store.newest("b", "results/a/r2.jpg")


def give(store: ImageStore, data: bytes, name: str = "uploads/l/s/1.jpg") -> tuple[int, bool]:
    return store.put("b", name, io.BytesIO(data), hashlib.sha256(data).hexdigest(), "image/jpeg")


def test_what_is_put_again_is_the_same_version_and_other_content_is_a_new_one(store: ImageStore) -> None:
    first, new = give(store, b"one")
    assert new
    assert store.read(ObjectRef("b", "uploads/l/s/1.jpg", first)) == b"one"
    assert give(store, b"one") == (first, False)
    second, new = give(store, b"two")
    assert new
    assert second > first
    assert store.read(ObjectRef("b", "uploads/l/s/1.jpg", second)) == b"two"
    third, new = give(store, b"one")
    assert new, "a product may be taken as it was before"
    assert third > second


def test_what_is_large_is_put_whole(store: ImageStore) -> None:
    data = bytes(range(256)) * (36 * 1024)  # 9 MiB: more than one request holds
    generation, _ = give(store, data)
    assert store.read(ObjectRef("b", "uploads/l/s/1.jpg", generation)) == data


def test_of_those_who_put_the_same_at_the_same_time_one_is_first(store: ImageStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: give(store, b"one" * 1000), range(8))]
    assert len({generation for generation, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1


def test_an_empty_object_is_an_object(store: ImageStore) -> None:
    ref = put(store, "uploads/l/s/1.jpg", b"")
    assert (store.read(ref), store.size(ref)) == (b"", 0)


def test_each_version_has_a_higher_generation_and_the_old_one_is_gone(store: ImageStore) -> None:
    first = put(store, "uploads/l/s/1.jpg", b"one")
    second = put(store, "uploads/l/s/1.jpg", b"two")
    assert second.generation > first.generation
    assert store.read(second) == b"two"
    with pytest.raises(ObjectMissingError):
        store.read(first)
    with pytest.raises(ObjectMissingError):
        store.size(first)


def test_an_unknown_object_is_missing(store: ImageStore) -> None:
    with pytest.raises(ObjectMissingError):
        store.read(ObjectRef("b", "uploads/l/s/never.jpg", 1))
    with pytest.raises(ObjectMissingError):
        store.copy(ObjectRef("b", "uploads/l/s/never.jpg", 1), "b", "quarantine/x")


def test_create_writes_only_where_nothing_stands(store: ImageStore) -> None:
    assert store.create("b", "results/x/r1.jpg", b"first", "image/jpeg")
    assert not store.create("b", "results/x/r1.jpg", b"second", "image/jpeg")


def test_write_overwrites_what_create_made(store: ImageStore) -> None:
    store.create("b", "results/x/r1.jpg", b"first", "image/jpeg")
    assert store.read(put(store, "results/x/r1.jpg", b"second")) == b"second"


def test_a_copy_lives_on_when_its_original_is_replaced(store: ImageStore, tmp_path: Path) -> None:
    ref = put(store, "uploads/l/s/1.jpg", b"one")
    store.copy(ref, "b", "quarantine/x")
    put(store, "uploads/l/s/1.jpg", b"two")
    assert not store.create("b", "quarantine/x", b"other", "")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_is_stored_apart_and_inside_the_bucket(store: ImageStore, tmp_path: Path, name: str) -> None:
    neighbours = [put(store, other, other.encode()) for other in HOSTILE if other != name]
    ref = put(store, name, b"content")
    assert store.read(ref) == b"content"
    assert [store.read(other) for other in neighbours] == [other.name.encode() for other in neighbours]
    assert {path.name for path in tmp_path.iterdir()} <= {"bucket"}
    assert not Path("/absolute.jpg").exists()
