"""The cache: where it lies, that its files are whole, and that work is done once."""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gansearch.cache import atomic_write, cache_dir, compute_once, locked, make_once, sha256, without_empty_folders


@pytest.fixture
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GANSEARCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == tmp_path / ".cache" / "gansearch"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "gansearch"
    monkeypatch.setenv("GANSEARCH_CACHE", "~/own")
    assert cache_dir() == tmp_path / "own"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"

    def succeed(target: Path) -> None:
        target.write_text("first")

    def fail(target: Path) -> None:
        target.write_text("half")
        raise OSError("disk full")

    atomic_write(path, succeed)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_a_cached_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    atomic_write(tmp_path / "file", lambda target: target.touch())
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_hash_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert sha256(path).startswith("e3b0c44298fc")
    path.write_bytes(b"abc")
    assert sha256(path).startswith("ba7816bf8f01")


def test_the_second_waits_for_the_first_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # In one process: the lock is between file handles.
    order = []

    def second() -> None:
        with locked(tmp_path / "deep" / ".lock", "the second's work"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "deep" / ".lock", "the first's work"):
        thread.start()
        deadline = time.monotonic() + 30
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert caplog.messages == ["waiting for another process: the second's work"] and order == ["first", "second"]


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path / ".lock", "work"):
            raise KeyError


def test_every_user_may_take_a_lock_whatever_the_umask(tmp_path: Path, private_umask: None) -> None:
    with locked(tmp_path / ".lock", "work"):
        pass
    assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o666  # all may open it for writing, as a lock needs


def read_number(path: Path) -> Callable[[], int]:
    return lambda: int(path.read_text())


def number(path: Path, compute: Callable[[], int], what: str = "the work") -> int:
    return compute_once(
        path,
        what=what,
        read=read_number(path),
        compute=compute,
        write=lambda value, file: file.write_text(str(value)),
    )


def test_a_result_is_computed_once_and_a_damaged_one_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "deep" / "number"
    assert number(path, lambda: 1) == number(path, lambda: 2) == 1
    path.write_text("one")
    for value in (3, 4):
        assert number(path, lambda value=value: value) == 3  # type: ignore[misc]
    assert path.read_text() == "3"
    [message] = caplog.messages
    assert message.startswith(f"{path} cannot be read (invalid literal") and message.endswith("the work is repeated")


def test_what_was_made_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "number"

    def read() -> int | None:
        if (tmp_path / ".number.lock").exists():  # as if another process had had the lock before
            path.write_text("1")
        return int(path.read_text()) if path.exists() else None

    assert make_once(path, what="the work", read=read, make=lambda: pytest.fail("made again")) == 1


def test_a_result_is_read_without_the_lock(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "number").write_text("1")
    (tmp_path / ".number.lock").mkdir()  # so that there can be no lock file
    assert number(tmp_path / "number", lambda: 2) == 1 and caplog.messages == []


@pytest.mark.parametrize("obstacle", ["folder", "file"])
def test_a_result_that_cannot_be_cached_is_returned_with_a_warning(
    obstacle: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "below" / "number"
    if obstacle == "folder":
        path.parent.touch()  # neither the lock nor the file can be made
    else:
        path.mkdir(parents=True)  # the lock can, and the file is not put in place
    computed: list[int] = []

    def compute() -> int:
        computed.append(1)
        return 1

    assert number(path, compute, f"the {obstacle} work") == 1 and computed == [1]
    assert caplog.text.count(f"the {obstacle} work cannot be cached in {path.parent}") == 1


def test_an_error_of_the_work_is_not_taken_for_one_of_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def compute() -> int:
        raise FileNotFoundError("no weights")

    with pytest.raises(FileNotFoundError, match="no weights"):
        number(tmp_path / "number", compute)
    assert caplog.messages == [] and not (tmp_path / "number").exists()


def test_work_that_needs_its_file_fails_where_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "below").touch()
    path = tmp_path / "below" / "number"
    with pytest.raises(OSError, match="below"):
        make_once(path, what="a download", read=read_number(path), make=lambda: pytest.fail("made without a lock"))


def test_folders_that_were_made_in_vain_are_removed_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with without_empty_folders(tmp_path / "old" / "a" / "b", tmp_path / "c"):
        (tmp_path / "old" / "a" / "b").mkdir(parents=True)
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "file").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c", "file", "old"]
