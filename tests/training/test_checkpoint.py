"""Checkpoints: whole or absent, on a disk and on an object store."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch

from gansearch.errors import UserError
from gansearch.run.paths import join
from gansearch.training.checkpoint import About, CheckpointDir
from gansearch.training.storage import open_storage

CPU = torch.device("cpu")


def save(checkpoints: CheckpointDir, images: int, size: int = 10) -> None:
    """A checkpoint whose content tells its number."""
    about = About(
        config={}, images=images, channels=3, classes=["a", "b"], best_fid=images / 8, best_kimg=images / 1000
    )
    filled = torch.full((size,), float(images))
    checkpoints.save({"shown": images, "weights": filled}, {"w": filled}, about)


def assert_whole(checkpoints: CheckpointDir) -> int:
    """Reads all of the newest checkpoint; returns its number."""
    last, same = checkpoints.last(CPU)
    best, about = checkpoints.best()
    assert same.keys() == best.keys() and all(torch.equal(same[name], best[name]) for name in best)
    assert last["shown"] == about.images and about.best_fid == about.images / 8
    assert (last["weights"] == about.images).all() and (best["w"] == about.images).all()
    newest = checkpoints.newest()
    assert newest is not None and newest.endswith(f"checkpoint_{about.images:09d}")
    return about.images


def test_the_newest_alone_is_kept(tmp_path: Path) -> None:
    checkpoints = CheckpointDir(tmp_path / "deep" / "0001")
    assert checkpoints.newest() is None
    for images in (640, 1280, 99_999_999):
        save(checkpoints, images)
        assert assert_whole(checkpoints) == images
        (newest,) = (tmp_path / "deep" / "0001").iterdir()
        assert sorted(file.name for file in newest.iterdir()) == ["best.safetensors", "checkpoint.json", "last.pt"]


def test_what_a_killed_writer_had_begun_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint_000000640.0badcafe").mkdir(parents=True)
    checkpoints = CheckpointDir(tmp_path)
    assert checkpoints.newest() is None
    save(checkpoints, 640)
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
        while all(path.name <= f"checkpoint_{reached:09d}" for path in tmp_path.glob("checkpoint_*")):
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
        open_storage("nothing://x")


def test_a_file_uri_is_a_path(tmp_path: Path) -> None:
    save(CheckpointDir(f"file://{tmp_path}/0001"), 640)
    assert assert_whole(CheckpointDir(tmp_path / "0001")) == 640


def test_an_object_store_keeps_the_newest_whole_checkpoint(bucket: str) -> None:
    checkpoints = CheckpointDir(join(bucket, "run", "0001"))
    assert checkpoints.newest() is None
    with pytest.raises(UserError, match="no checkpoint under s3://bucket/prefix/run/0001"):
        checkpoints.best()
    save(checkpoints, 640)
    save(checkpoints, 1280)
    assert assert_whole(CheckpointDir(join(bucket, "run", "0001"))) == 1280
    assert checkpoints._names() == ["checkpoint_000001280"]
    assert CheckpointDir(join(bucket, "run", "0002")).newest() is None


def test_a_checkpoint_that_a_crash_cut_short_does_not_count(bucket: str) -> None:
    """An object store has no rename: the file that is written last shows whether the others are there."""
    checkpoints = CheckpointDir(join(bucket, "cut", "0001"))
    save(checkpoints, 640)
    for file in ("last.pt", "best.safetensors"):
        with checkpoints._fs.open_output_stream(f"{checkpoints._path}/checkpoint_000001280/{file}") as stream:
            stream.write(b"half")
    assert assert_whole(checkpoints) == 640
    save(checkpoints, 1280)
    assert assert_whole(checkpoints) == 1280
    assert checkpoints._names() == ["checkpoint_000001280"]
