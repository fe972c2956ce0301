"""A storage that is away for a while is waited for; what no waiting mends is raised at once."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gansearch.training import storage
from gansearch.training.storage import Storage, StorageError


def failing(monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> list[int]:
    """Lets the disk fail for some writes; returns a list that grows with each of them."""
    failed: list[int] = []
    real: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        if len(failed) < times:
            failed.append(code)
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return failed


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.001)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EBUSY])
def test_a_hiccup_is_waited_for(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = failing(monkeypatch, code, 3)
    Storage(str(tmp_path)).write("a/b", b"content")
    assert len(failed) == 3 and (tmp_path / "a/b").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert caplog.text.count(f"{os.strerror(code)}; trying again in 0.0 s") == 3, "each wait is logged once"


def test_after_its_patience_it_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failing(monkeypatch, errno.EIO, 10**9)
    with pytest.raises(StorageError, match=rf"^{tmp_path}: .*Input/output error"):
        Storage(str(tmp_path), patience=0.1).write("a", b"")
    assert len(failed) > 2, "it has tried again"
    monkeypatch.setattr(storage, "PATIENCE", 0)
    with pytest.raises(StorageError):
        Storage(str(tmp_path)).write("a", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
def test_what_lasts_is_raised_at_once(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failing(monkeypatch, code, 10**9)
    with pytest.raises(OSError, match=os.strerror(code)) as told:
        Storage(str(tmp_path)).write("a", b"")
    assert len(failed) == 1 and told.value.errno == code and not isinstance(told.value, StorageError)


def test_a_real_full_disk_is_raised_at_once(full_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left") as told:
        Storage(str(full_disk)).write("a/b", b"content")
    assert told.value.errno in storage.DISK_FULL
    assert list(full_disk.rglob("*.part")) == []


def test_what_is_missing_is_not_waited_for(tmp_path: Path, bucket: str) -> None:
    for root in (str(tmp_path / "none"), bucket):
        missing = Storage(root)
        with pytest.raises(FileNotFoundError):
            missing.read("none/file")
        assert missing.names("none") == []
        missing.delete("none")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        Storage(str(tmp_path)).read("folder")
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").write_bytes(b"")
        Storage(str(tmp_path)).names("file")


def test_an_object_store_that_is_away(bucket: str) -> None:
    """Nobody listens at the port: an error without a number, so it may pass."""
    host, port = bucket.partition("http://")[2].partition("&")[0].split(":")
    away = Storage(bucket.replace(f"{host}:{port}", f"{host}:9"), patience=0)
    with pytest.raises(StorageError, match=r"^s3://bucket/prefix"):
        away.read("a")
