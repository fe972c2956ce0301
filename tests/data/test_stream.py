"""Images that are too large for a GPU: streamed, they come in the same order, bit by bit."""

import gc
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gansearch.config import DataConfig
from gansearch.data import loader
from gansearch.data.base import Images
from gansearch.data.loader import Batches
from gansearch.data.stream import Stream
from gansearch.errors import UserError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def images_of(count: int) -> Images:
    rng = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=rng)
    return Images(pixels, torch.arange(count) % 3, ("a", "b", "c"))


def batches_of(images: Images, batch: int, *, streamed: bool) -> Batches:
    batches = Batches(images, batch, torch.Generator().manual_seed(7))
    assert batches._stream is None, "on one device nothing is streamed"
    if streamed:
        batches._stream = Stream(images.pixels, CPU)
    return batches


@given(count=st.integers(1, 40), batch=st.integers(1, 9), taken=st.integers(0, 12))
def test_what_is_streamed_is_what_is_indexed_after_a_resume_too(count: int, batch: int, taken: int) -> None:
    batch, images = min(count, batch), images_of(count)
    near, far = (batches_of(images, batch, streamed=streamed) for streamed in (False, True))
    for _ in range(taken):
        for mine, theirs in zip(near.next(), far.next(), strict=True):
            assert mine is not None and theirs is not None and torch.equal(mine, theirs)
    assert torch.equal(near.state_dict()["order"], far.state_dict()["order"])
    resumed = batches_of(images, batch, streamed=True)
    resumed.load_state_dict(far.state_dict())
    resumed._rng.set_state(far._rng.get_state())
    for _ in range(5):
        mine, theirs = near.next(), resumed.next()
        assert torch.equal(mine[0], theirs[0]) and torch.equal(mine[1], theirs[1])  # type: ignore[arg-type]


def test_no_thread_is_left_when_a_trial_is_gone() -> None:
    batches = batches_of(images_of(20), 4, streamed=True)
    batches.next()
    assert any(thread.name.startswith("images") for thread in threading.enumerate())
    del batches
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("images"):
            thread.join(timeout=30)
    assert not any(thread.name.startswith("images") for thread in threading.enumerate())


def loaded_for_a_gpu(monkeypatch: pytest.MonkeyPatch, free: int) -> Images:
    """What `device_images` makes of 40 images of 64 bytes for a GPU with so much free memory."""
    images = Images(images_of(40).pixels)
    moved = []

    class Pixels(torch.Tensor):
        def to(self, device: torch.device) -> torch.Tensor:  # type: ignore[override]
            moved.append(device)
            return self

    pixels = images.pixels.as_subclass(Pixels)
    monkeypatch.setattr(loader, "load_images", lambda *_: Images(pixels))
    monkeypatch.setattr(loader, "free_memory", lambda _: free)
    loader._on_device.cache_clear()
    found = loader.device_images(DataConfig(), GPU)
    loader._on_device.cache_clear()
    assert moved == ([GPU] if free >= 4 * 40 * 64 else [])
    return found


@pytest.mark.parametrize("free", [4 * 40 * 64, 4 * 40 * 64 - 1])
def test_pixels_that_would_fill_a_quarter_of_the_memory_stay_where_they_are(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(loaded_for_a_gpu(monkeypatch, free)) == 40


def test_pixels_that_fit_neither_the_gpu_nor_the_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's memory counts when a data set is loaded, before a GPU is asked."""
    monkeypatch.setattr("gansearch.data.base.os.sysconf", lambda _: 1000)  # a million bytes
    loader._load.cache_clear()
    with pytest.raises(UserError, match=r"data\.resolution=32: 1437 images take 0\.0 GiB, and this machine has 0\.0"):
        loader.device_images(DataConfig(), GPU)
    loader._load.cache_clear()


@pytest.mark.gpu
def test_on_a_gpu_the_batches_are_those_of_images_that_lie_there() -> None:
    images, rng = images_of(50), torch.Generator(GPU)
    near = Batches(Images(images.pixels.cuda(), images.labels.cuda(), images.classes), 8, rng.manual_seed(3))  # type: ignore[union-attr]
    far = Batches(Images(images.pixels, near._images.labels, images.classes), 8, torch.Generator(GPU).manual_seed(3))
    for _ in range(20):
        assert torch.equal(near.next()[0], far.next()[0])
