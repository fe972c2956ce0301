"""Decoded images are cached once for all starts and processes, and never taken for other images."""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansearch import logs
from gansearch.cache import cache_dir
from gansearch.data import decoded as decoded_module
from gansearch.data.base import Images
from gansearch.data.cifar10 import Cifar10
from gansearch.data.image_folder import ImageFolder
from gansearch.errors import UserError
from tests.data.processes import Companions

SIZE = 32


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """32 images of noise in two classes."""
    rng = np.random.default_rng(0)
    for number in range(32):
        path = tmp_path / "photos" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def load(folder: Path, **options: bool) -> Images:
    return ImageFolder(dir=str(folder), resolution=SIZE, **options).load("train")  # type: ignore[arg-type]


def cached(suffix: str = ".npy") -> list[Path]:
    return sorted(cache_dir().glob(f"images/*/[!.]*{suffix}"))


def same(one: Images, other: Images) -> bool:
    assert one.labels is not None and other.labels is not None
    return (
        torch.equal(one.pixels, other.pixels)
        and torch.equal(one.labels, other.labels)
        and one.classes == other.classes
        and one.fingerprint == other.fingerprint
    )


def test_a_second_start_reads_no_image(folder: Path) -> None:
    first = load(folder)
    for path in folder.rglob("*.png"):
        state = path.stat()
        path.write_bytes(b"\0" * state.st_size)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert same(first, load(folder))
    [array] = cached()
    assert array.stat().st_size - np.load(array).nbytes == 128


def test_the_cache_holds_what_was_decoded(folder: Path) -> None:
    direct = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in sorted(folder.rglob("*.png"))]
    load(folder)
    assert torch.equal(load(folder).pixels, torch.stack(direct))


def change_time(folder: Path) -> None:
    os.utime(folder / "class0" / "00.png", ns=(0, 1))


def grow(folder: Path) -> None:
    file = folder / "class0" / "00.png"
    state = file.stat()
    file.write_bytes(file.read_bytes() + b"\0")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def rename(folder: Path) -> None:
    (folder / "class0" / "00.png").rename(folder / "class0" / "renamed.png")


def rename_class(folder: Path) -> None:
    (folder / "class0").rename(folder / "class9")


def move_folder(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.with_name("moved").joinpath("class0", "00.png").touch()
    folder.symlink_to("moved")


def remove(folder: Path) -> None:
    (folder / "class1" / "31.png").unlink()


@pytest.mark.parametrize("change", [change_time, grow, rename, rename_class, move_folder, remove])
def test_a_changed_folder_is_decoded_anew(change: Callable[[Path], None], folder: Path) -> None:
    load(folder)
    before = cached()
    change(folder)
    changed = load(folder)
    assert len(cached()) == len(before) + 1
    fresh = Images(changed.pixels, changed.labels)
    assert changed.fingerprint == fresh.fingerprint and sum(changed.counts) == len(list(folder.rglob("*.png")))


def test_folders_of_equal_names_sizes_and_times_are_distinguished(tmp_path: Path) -> None:
    for place, value in (("a", 10), ("b", 20)):
        (tmp_path / place / "photos").mkdir(parents=True)
        path = tmp_path / place / "photos" / "0.bmp"
        Image.new("RGB", (SIZE, SIZE), (value,) * 3).save(path)
        os.utime(path, ns=(0, 0))
        assert load(tmp_path / place / "photos").pixels.unique().tolist() == [value]


def test_each_size_and_option_has_an_array_of_its_own(folder: Path) -> None:
    load(folder)
    load(folder, skip_broken=True)
    ImageFolder(dir=str(folder), resolution=8).load("train")
    ImageFolder(dir=str(folder), resolution=8, test_share=0.5).load("train")
    ImageFolder(dir=str(folder), resolution=8, test_share=0.5).load("test")
    assert len(cached()) == len(cached(".json")) == len({path.parent for path in cached()}) == 5


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def other_shape(path: Path) -> None:
    np.save(path, np.zeros((3, 3, SIZE, SIZE), np.uint8))


@pytest.mark.parametrize(
    ("damage", "suffix"),
    [(cut, ".npy"), (empty, ".npy"), (scribble, ".npy"), (other_shape, ".npy"), (cut, ".json"), (empty, ".json")],
)
def test_a_damaged_array_is_made_again_with_one_warning(
    damage: Callable[[Path], None], suffix: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Images(load(folder).pixels.clone(), load(folder).labels)  # away from the file that is damaged below
    [path] = cached(suffix)
    caplog.clear()
    damage(path)
    again = load(folder)
    assert torch.equal(again.pixels, first.pixels) and again.fingerprint == first.fingerprint
    assert same(load(folder), again) and caplog.text.count(f"the decoding of {folder} is repeated") == 1


def test_a_record_of_other_files_is_refused(folder: Path) -> None:
    (folder / "class1" / "31.png").write_text("no image")
    first = load(folder, skip_broken=True)
    [record] = cached(".json")
    record.write_text(json.dumps({"fingerprint": "0" * 64, "skipped": {"99": "broken"}}))
    assert same(load(folder, skip_broken=True), first)


def test_a_class_of_the_other_split_that_moves_the_labels_counts(folder: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    (split / "test" / "class1").mkdir(parents=True)
    folder.rename(split / "train")
    first = load(split)
    Image.new("RGB", (SIZE, SIZE)).save(split / "test" / "class1" / "0.png")
    assert same(load(split), first)
    (split / "test" / "class1").rename(split / "test" / "a-class")
    moved = load(split)
    assert moved.counts == (0, 16, 16) and torch.equal(moved.pixels, first.pixels)
    assert moved.fingerprint == Images(moved.pixels, moved.labels).fingerprint != first.fingerprint


def test_a_long_decoding_is_announced_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load(folder)
    assert caplog.messages == []
    monkeypatch.setattr(logs, "_SILENT_SECONDS", 0)
    load(folder, skip_broken=True)
    assert caplog.text.count(f"decoding 32 images of {folder}: about") == 1


def test_an_array_without_its_record_does_not_count(folder: Path) -> None:
    first = load(folder)
    np.lib.format.open_memmap(cached()[0])[:] = 0
    cached(".json")[0].unlink()
    assert load(folder).fingerprint == first.fingerprint and load(folder).pixels.amax() > 0


def test_skipped_files_stay_skipped(folder: Path) -> None:
    whole = load(folder)
    for number in (0, 5, 31):
        next(folder.rglob(f"{number:02}.png")).write_text("no image")
    first, again = load(folder, skip_broken=True), load(folder, skip_broken=True)
    assert same(first, again) and len(again) == 29 and again.counts == (15, 14)
    names = [path.stem for path in sorted(folder.rglob("*.png"))]
    usable = [number for number, name in enumerate(names) if name not in {"00", "05", "31"}]
    assert torch.equal(again.pixels, whole.pixels[usable])


def test_a_cache_that_cannot_be_written_is_done_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load(folder)
    caplog.clear()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "file" / "cache"))
    assert same(load(folder), expected) and same(load(folder), expected)
    assert caplog.text.count("decoded images cannot be cached in") == 1
    (folder / "class1" / "31.png").write_text("no image")
    assert len(load(folder, skip_broken=True)) == 31


def test_a_disk_that_fills_up_leaves_nothing_behind(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        limited = load(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "decoded images cannot be cached in" in caplog.text
    assert list(cache_dir().glob("images/*/*")) == []
    assert same(limited, load(folder)) and len(cached()) == 1


def test_old_arrays_of_a_folder_go_and_recent_ones_stay(folder: Path, tmp_path: Path) -> None:
    def age(days: float) -> None:
        for path in cached(".json"):
            os.utime(path, (path.stat().st_mtime - days * 86400,) * 2)

    times = iter(range(10))

    def next_content() -> None:
        os.utime(folder / "class0" / "00.png", ns=(0, next(times)))
        load(folder)

    for _ in range(4):
        next_content()
    assert len(cached()) == 4
    old = cached()
    age(days=2)
    (cached()[0].parent / ".half.npy.0123456789ab").touch()
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "other.png")
    next_content()
    assert len(cached()) == len(cached(".json")) == 2 and len(set(cached()) & set(old)) == 1
    assert not list(cached()[0].parent.glob(".half*"))
    age(days=2)
    load(folder)  # used again: not old any more
    next_content()
    next_content()
    assert len(cached()) == 3


IMPORTS = """
import json, re
from pathlib import Path
from gansearch.data.image_folder import ImageFolder
"""
START = """
print("ready", flush=True)
sys.stdin.readline()
images = ImageFolder(dir=sys.argv[1], resolution=128).load("train")
print(images.fingerprint, int(images.pixels.sum()), flush=True)
sys.stdin.readline()
smaps = Path("/proc/self/smaps")
blocks = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read_text()) if smaps.exists() else []
mapped = [dict(re.findall(r"(?m)^(\\w+): +(\\d+) kB", block)) for block in blocks if ".npy\\n" in block]
print(json.dumps(mapped), flush=True)
sys.stdin.readline()
"""


def test_two_processes_decode_once_and_share_the_pages(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(64):
        # Large ones, so that one process is still at it when the other begins.
        noise = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / f"{number}.bmp")
    companions = Companions(IMPORTS, START, str(tmp_path / "photos"))
    assert companions.step() == ["ready", "ready"]
    [found] = set(companions.step())
    mapped = [json.loads(line) for line in companions.step()]
    assert not any("Warning" in error for error in companions.end())
    images = ImageFolder(dir=str(tmp_path / "photos"), resolution=128).load("train")
    assert found == f"{images.fingerprint} {int(images.pixels.sum())}"
    if sys.platform != "linux":
        pytest.skip("only Linux shows which pages are shared")
    array_kb = images.pixels.numel() / 1024
    for [mapping] in mapped:
        kb = {name: int(value) for name, value in mapping.items()}
        assert kb["Rss"] >= array_kb and kb["Private_Clean"] + kb["Private_Dirty"] == 0
        assert kb["Pss"] <= 0.51 * kb["Rss"]


def test_more_images_than_the_memory_holds_are_refused_before_one_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 32 * 3 * SIZE**2 - 1)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"data\.resolution=32: 32 images take .* GiB"):
        load(folder)
    with pytest.raises(UserError, match=r"data\.resolution=32: 50000 images take .* GiB"):
        Cifar10(resolution=SIZE, dir=str(folder)).load("train")
    monkeypatch.setenv("GANSEARCH_CACHE", "/proc/cache")
    with pytest.raises(UserError, match=r"data\.resolution=32: 32 images take .* GiB"):
        load(folder)
    assert not cached()


def test_a_cache_without_room_is_known_before_it_is_full(
    folder: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (full_disk / "old").write_bytes(b"")
    monkeypatch.setenv("GANSEARCH_CACHE", str(full_disk))
    decoded: list[int] = []
    original = decoded_module._decode
    monkeypatch.setattr(decoded_module, "_decode", lambda *all: [decoded.append(1), original(*all)][1])
    assert len(load(folder)) == 32 and decoded == [1], "once, into memory"
    assert "No space left on device" in caplog.text and "decoded images cannot be cached in" in caplog.text
