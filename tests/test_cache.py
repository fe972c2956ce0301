"""Where things are kept, and that they are whole."""

import stat
from pathlib import Path

import pytest

from gansearch.cache import atomic_write, cache_dir, sha256


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


def test_others_may_read_what_is_kept(tmp_path: Path) -> None:
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
