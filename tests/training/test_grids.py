"""Grids of images: every pixel as it is, readable text, real images in the places of generated ones, and GIFs."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from gansearch.data.base import Images, to_uint8
from gansearch.training import grids
from gansearch.training.lettering import drawable

GAP = 2


@given(st.integers(0, 200))
def test_classes_are_spread_evenly(count: int) -> None:
    classes = [f"class {number}" for number in range(count)]
    made = grids.latents(4, classes)
    if not count:
        assert made.labels is None and made.z.shape == (64, 4) and len(made.z.unique(dim=0)) == 64
        assert sorted(made.diagonal(4).tolist()) == [0, 9, 18, 27]
        return
    assert made.labels is not None
    rows = made.labels.view(-1, 8)
    assert len(rows) == min(count, 16) and (rows == rows[:, :1]).all()
    chosen = rows[:, 0].tolist()
    assert chosen[0] == 0 and (chosen[-1] == count - 1)
    gaps = set(np.diff(chosen).tolist())
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
    assert made.names == tuple(classes[label] for label in chosen)
    assert (made.z.view(-1, 8, 4) == made.z[:8]).all()
    shown = made.diagonal(4)
    assert len(made.z[shown].unique(dim=0)) == 4
    assert len(made.labels[shown].unique()) == min(4, count)


def test_latents_are_the_same_at_every_call_and_nobodys_else() -> None:
    before = torch.get_rng_state()
    assert torch.equal(grids.latents(4).z, grids.latents(4).z)
    assert torch.equal(torch.get_rng_state(), before)


def tiles(picture: Image.Image, rows: int, size: int) -> np.ndarray:
    """The images (rows, 8, size, size, channels) of a grid; fails where a pixel is not drawn as a square of its own."""
    pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    factor = -(-512 // (8 * size))
    step = size * factor + GAP
    top = picture.height - rows * step
    left = picture.width - 8 * step  # a caption is never wider than the images here
    body = pixels[top:, left : left + 8 * step].reshape(rows, step, 8, step, -1).swapaxes(1, 2)
    assert (body[:, :, -GAP:] == 255).all() and (body[:, :, :, -GAP:] == 255).all(), "the gaps"
    shown = body[:, :, :-GAP, :-GAP]
    small = shown[:, :, ::factor, ::factor]
    assert (small.repeat(factor, 2).repeat(factor, 3) == shown).all()
    return small


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [5, 32, 100])
@pytest.mark.parametrize("names", [(), ("cat", "a dog of no known race", "猫 \udc80\n")])
def test_a_grid_shows_every_image_as_it_is(channels: int, size: int, names: tuple[str, ...]) -> None:
    images = torch.rand(24, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    picture = Image.open(io.BytesIO(grids.png(grids.grid(images, "1.5 kimg, FID 3.20", names))))
    assert picture.width >= 512 and picture.height >= 512 * 3 / 8
    shown = tiles(picture, 3, size)
    assert (shown.reshape(24, size, size, channels) == to_uint8(images).permute(0, 2, 3, 1).numpy()).all()
    pixels = np.asarray(picture)
    body = len(pixels) - 3 * (size * -(-512 // (8 * size)) + GAP)
    assert (pixels[:body] < 100).any(), "the caption"
    left = picture.width - 8 * (size * -(-512 // (8 * size)) + GAP)
    assert (pixels[body:, :left] < 100).any() == bool(names), "the names"


@given(st.text())
def test_every_name_can_be_drawn(name: str) -> None:
    short = drawable(name)
    assert short.isascii() and len(short) <= 20 and "\n" not in short
    assert drawable(short) == short


def test_names_keep_their_letters() -> None:
    names = ("Löwenzähnchen", "crème brûlée", "犬", "n02085620-Chihuahua")
    assert [drawable(name) for name in names] == ["Lowenzahnchen", "creme brulee", "?", "n02085620-Chihuahua"]


def labelled(counts: list[int]) -> Images:
    """Images whose pixels are their number, with `counts` images of each class, which alternate as long as they can."""
    labels = [label for turn in range(max(counts)) for label, count in enumerate(counts) if turn < count]
    pixels = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()
    return Images(pixels, torch.tensor(labels), tuple(f"class {label}" for label in range(len(counts))))


def test_real_images_stand_in_the_rows_of_their_classes() -> None:
    images = labelled([20, 3, 0, 8])
    shown = tiles(grids.real(images), 4, 8)[:, :, 0, 0, 0].tolist()
    assert images.labels is not None
    members = [(images.labels == label).nonzero().flatten().tolist() for label in range(4)]
    assert [shown[0][0], shown[0][-1]] == [members[0][0], members[0][-1]] and set(shown[0]) <= set(members[0])
    assert len(set(shown[0])) == 8
    assert shown[1:] == [members[1] + [255] * 5, [255] * 8, members[3]]
    generated = grids.latents(4, images.classes)
    assert generated.labels is not None and generated.labels[::8].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [1, 9, 64, 200])
def test_real_images_without_labels_fill_a_grid(count: int) -> None:
    images = Images(torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous())
    rows = min(8, -(-count // 8))
    shown = tiles(grids.real(images), rows, 8)[:, :, 0, 0, 0].flatten().tolist()
    found = [value for value in shown if value != 255]
    assert found == sorted(set(found)) and len(found) == min(count, 64)
    assert (found[0], found[-1]) == (0, count - 1)


@pytest.mark.parametrize("names", [(), ("a class of a long name",) * 8])
@pytest.mark.parametrize("size", [32, 128])
def test_the_frames_of_a_gif_are_of_one_size_and_their_captions_readable(size: int, names: tuple[str, ...]) -> None:
    images = torch.zeros(64, 1, size, size)
    captions = ("0.8 kimg, FID 300.00", "1234.567 kimg, FID 0.7031")
    gif = gif_of([grids.grid(images, caption, names) for caption in captions])
    frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(gif)]
    assert len({frame.shape for frame in frames}) == 1 and frames[0].shape[1] <= 800
    heights = []
    for frame in frames:
        step = frame.shape[1] // 10
        ink = np.flatnonzero((frame[:step] < 140).any(1))
        heights.append(ink[ink < 40].max() - ink.min())
    assert min(heights) >= 10, "pixels from the highest to the lowest letter"


def gif_of(frames: list[Image.Image]) -> Image.Image:
    return Image.open(io.BytesIO(grids.gif([grids.png(frame) for frame in frames])))


def test_a_gif_shows_the_grids_in_order_and_rests_on_the_last() -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (30, 40), dtype=np.uint8)) for _ in range(5)]
    gif = gif_of(frames)
    assert gif.info["loop"] == 0
    shown = [(frame.info["duration"], np.asarray(frame.convert("RGB"))) for frame in ImageSequence.Iterator(gif)]
    assert [duration for duration, _ in shown] == [500, 500, 500, 500, 3000]
    for (_, pixels), frame in zip(shown, frames, strict=True):
        assert (pixels == np.asarray(frame.convert("RGB"))).all(), "grey stays as it is"


def test_a_long_trial_makes_no_long_gif() -> None:
    gif = gif_of([Image.new("L", (10, 10), shade) for shade in range(200)])
    durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
    assert durations == [80] * 199 + [3000]


def test_a_coloured_gif_is_near_its_grids_and_its_gaps_stay_white() -> None:
    """Smooth colours, of which there are far more than 256."""
    red, green = np.mgrid[0:128, 0:128].astype(np.uint8)
    frames = []
    for blue in (0, 90, 180):
        pixels = np.stack([red * 2, green * 2, np.full_like(red, blue)], axis=-1)
        pixels[::16] = 255
        frames.append(Image.fromarray(pixels))
    for frame, shown in zip(frames, ImageSequence.Iterator(gif_of(frames)), strict=True):
        wanted, pixels = np.asarray(frame).astype(int), np.asarray(shown.convert("RGB")).astype(int)
        assert (pixels[::16] == 255).all()
        error = ((pixels - wanted) ** 2).mean()
        assert 10 * np.log10(255**2 / error) > 28


def test_wide_grids_make_a_smaller_gif() -> None:
    assert gif_of([Image.new("RGB", (2000, 1000), colour) for colour in ("red", "blue")]).size == (667, 334)
