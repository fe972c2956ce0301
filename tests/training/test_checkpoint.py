"""Checkpoints: whole or not used, on a disk and on an object store."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch

from gansearch.errors import UserError
from gansearch.run.paths import checkpoint_name, join
from gansearch.training.checkpoint import About, CheckpointDir
from gansearch.training.storage import Storage

CPU = torch.device("cpu")
FILES = ("last.pt", "best.safetensors", "checkpoint.json")


def save(checkpoints: CheckpointDir, images: int, size: int = 10) -> None:
    """A checkpoint whose content tells its number."""
    about = About(
        config={}, images=images, channels=3, classes=["a", "b"], best_fid=images / 8, best_kimg=images / 1000
    )
    filled = torch.full((size,), float(images))
    checkpoints.save({"shown": images, "weights": filled}, {"w": filled}, about)


def assert_whole(checkpoints: CheckpointDir) -> int:
    """Reads all of the newest checkpoint; returns its number."""
    found = checkpoints.last(CPU)
    assert found is not None
    last, same = found
    best, about = checkpoints.best()
    assert same.keys() == best.keys() and all(torch.equal(same[name], best[name]) for name in best)
    assert last["shown"] == about.images and about.best_fid == about.images / 8
    assert (last["weights"] == about.images).all() and (best["w"] == about.images).all()
    return about.images


def test_the_newest_and_the_one_before_are_kept(tmp_path: Path) -> None:
    checkpoints = CheckpointDir(tmp_path / "deep" / "0001")
    assert checkpoints.last(CPU) is None
    images = [640, 1280, 99_999_999, 999_999_999, 1_000_000_000]  # names sort as numbers, not as texts
    for number, now in enumerate(images):
        save(checkpoints, now)
        assert assert_whole(checkpoints) == now
        kept = images[max(0, number - 1) : number + 1]
        folders = list((tmp_path / "deep" / "0001").iterdir())
        assert {path.name for path in folders} == {checkpoint_name(one) for one in kept}
        for path in folders:
            assert sorted(file.name for file in path.iterdir()) == sorted(FILES)


def test_what_a_killed_writer_had_begun_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_000000640").mkdir()
    (tmp_path / "checkpoint_000000640" / "last.pt").write_bytes(b"half")
    checkpoints = CheckpointDir(tmp_path)
    assert checkpoints.last(CPU) is None
    save(checkpoints, 640)
    assert assert_whole(checkpoints) == 640
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_000000640"]


def test_without_a_checkpoint_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no checkpoint under {tmp_path}: it was removed, or the trial"):
        CheckpointDir(tmp_path).best()


def test_what_is_saved_again_stays_as_it_was(tmp_path: Path) -> None:
    checkpoints = CheckpointDir(tmp_path)
    save(checkpoints, 640)
    (tmp_path / "checkpoint_000000640" / "note").write_text("")
    save(checkpoints, 640)
    assert assert_whole(checkpoints) == 640
    assert (tmp_path / "checkpoint_000000640" / "note").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_000000640"]


def test_code_is_never_unpickled(tmp_path: Path) -> None:
    checkpoints = CheckpointDir(tmp_path)
    checkpoints.save(
        {"shown": Path("x")}, {}, About(config={}, images=1, channels=1, classes=[], best_fid=1.0, best_kimg=1.0)
    )
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        checkpoints.last(CPU)


def _save_forever(root: str, first: int) -> None:
    torch.set_num_threads(1)
    checkpoints = CheckpointDir(root)
    for images in range(first, 10**9):
        save(checkpoints, images, size=1_000_000)


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    checkpoints, rng, reached = CheckpointDir(tmp_path), random.Random(0), 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for _ in range(8):
        process = context.Process(target=_save_forever, args=(str(tmp_path), reached + 1))
        process.start()
        deadline = time.monotonic() + 60
        while all(path.parent.name <= checkpoint_name(reached) for path in tmp_path.glob("*/checkpoint.json")):
            assert process.is_alive() and time.monotonic() < deadline
        time.sleep(rng.choice([0, rng.uniform(0, 0.03)]))  # at once: is the new one whole when it appears?
        process.kill()
        process.join()
        now = assert_whole(checkpoints)
        assert now > reached
        reached = now


@pytest.mark.parametrize(
    ("root", "parts", "joined"),
    [
        ("runs/a", ("0001",), "runs/a/0001"),
        ("/runs/a/", ("b", "0001"), "/runs/a/b/0001"),
        ("s3://bucket", ("a",), "s3://bucket/a"),
        ("s3://bucket/prefix/", ("a", "0001"), "s3://bucket/prefix/a/0001"),
        ("s3://bucket/p?region=x&scheme=http", ("a",), "s3://bucket/p/a?region=x&scheme=http"),
        (
            "s3://bucket/p?endpoint_override=http://127.0.0.1:5000&scheme=http",
            ("a",),
            "s3://bucket/p/a?endpoint_override=http://127.0.0.1:5000&scheme=http",
        ),
        ("file:///runs/a", ("0001",), "file:///runs/a/0001"),
        ("file:///", ("0001",), "file:///0001"),
        ("what?/a", ("b",), "what?/a/b"),
    ],
)
def test_parts_are_joined_before_the_query(root: str, parts: tuple[str, ...], joined: str) -> None:
    assert join(root, *parts) == joined


def test_a_storage_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"storage nothing://x: .*; give a path or s3://bucket/prefix"):
        CheckpointDir("nothing://x")


def test_a_file_uri_is_a_path(tmp_path: Path) -> None:
    save(CheckpointDir(f"file://{tmp_path}/0001"), 640)
    assert assert_whole(CheckpointDir(tmp_path / "0001")) == 640


def test_an_object_store_keeps_them_too(bucket: str) -> None:
    root = join(bucket, "kept", "0001")
    checkpoints = CheckpointDir(root)
    assert checkpoints.last(CPU) is None
    with pytest.raises(UserError, match="no checkpoint under s3://bucket/prefix/kept/0001"):
        checkpoints.best()
    for images in (640, 1280, 1920):
        save(checkpoints, images)
    assert assert_whole(CheckpointDir(root)) == 1920
    assert Storage(root).folders() == ["checkpoint_000001280", "checkpoint_000001920"]
    assert CheckpointDir(join(bucket, "kept", "0002")).last(CPU) is None


def test_a_checkpoint_that_a_crash_cut_short_does_not_count(bucket: str) -> None:
    """The file that is written last shows whether the others are there."""
    root = join(bucket, "cut", "0001")
    checkpoints, storage = CheckpointDir(root), Storage(root)
    save(checkpoints, 640)
    for file in ("last.pt", "best.safetensors"):
        storage.write(f"checkpoint_000001280/{file}", b"half")
    assert assert_whole(checkpoints) == 640
    save(checkpoints, 1280)
    assert assert_whole(checkpoints) == 1280
    assert storage.folders() == ["checkpoint_000000640", "checkpoint_000001280"]
