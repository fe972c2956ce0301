"""Every mode, orientation and size an image file may have, and files that are cut."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from gansearch.data.decode import UnusableError, _available_cores, square, squares

SIZE = 16


def decoded(path: Path, image: Image.Image, **options: object) -> torch.Tensor:
    image.save(path, **options)  # type: ignore[arg-type]
    return square(path, SIZE)


def one_colour(pixels: torch.Tensor) -> list[int]:
    """The colour of an image that has but one."""
    assert pixels.shape == (3, SIZE, SIZE) and pixels.dtype == torch.uint8 and pixels.is_contiguous()
    assert torch.equal(pixels, pixels[:, :1, :1].expand_as(pixels))
    return pixels[:, 0, 0].tolist()


def test_the_centre_is_cropped_and_the_rest_resized(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, 32:64] = 200
    assert one_colour(decoded(tmp_path / "wide.png", Image.fromarray(wide))) == [200] * 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, dtype: type) -> None:
    pixels = np.zeros((SIZE, SIZE), dtype=dtype)
    pixels[:8] = np.iinfo(dtype).max
    exif = Image.Exif()
    exif[0x0112] = 3
    top, bottom = decoded(tmp_path / "photo.png", Image.fromarray(pixels), exif=exif)[0].split(8)
    assert top.amax() == 0 and bottom.amin() == 255


@pytest.mark.parametrize(
    ("mode", "colour", "name", "seen"),
    [
        ("L", 90, "a.png", [90, 90, 90]),
        ("1", 1, "a.png", [255, 255, 255]),
        ("RGB", (10, 20, 30), "a.png", [10, 20, 30]),
        ("RGBA", (10, 20, 30, 255), "a.png", [10, 20, 30]),
        ("RGBA", (10, 20, 30, 0), "a.png", [255, 255, 255]),
        ("RGBA", (0, 100, 200, 51), "a.webp", [204, 224, 244]),
        ("LA", (0, 51), "a.png", [204, 204, 204]),
        ("CMYK", (255, 0, 0, 0), "a.tif", [0, 255, 255]),
        ("I;16", 257 * 90, "a.png", [90, 90, 90]),
        ("I;16", 257 * 90 + 129, "a.tif", [91, 91, 91]),
        ("I", 257 * 90 + 128, "a.tif", [90, 90, 90]),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], name: str, seen: list[int]
) -> None:
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    image = Image.new(mode, (SIZE, SIZE), colour)
    assert one_colour(decoded(tmp_path / name, image, **options)) == seen


def test_a_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    seen = one_colour(decoded(tmp_path / "a.jpg", Image.new("CMYK", (SIZE, SIZE), (255, 0, 0, 0))))
    assert max(abs(value - wanted) for value, wanted in zip(seen, [0, 255, 255], strict=True)) < 4


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_is_looked_up_and_its_transparent_colour_is_white(tmp_path: Path, transparent: bool) -> None:
    image = Image.new("P", (SIZE, SIZE), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    options = {"transparency": 1} if transparent else {}
    assert one_colour(decoded(tmp_path / "a.png", image, **options)) == ([255] * 3 if transparent else [10, 20, 30])


def test_16_bits_are_rounded_to_the_nearest_of_8(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        assert np.array_equal(square(tmp_path / name, 256)[1].numpy(), np.rint(values / 257).astype(np.uint8))
    big = Image.frombytes("I;16B", (256, 256), values.astype(">u2").tobytes())
    big.save(tmp_path / "big.tif")
    assert torch.equal(square(tmp_path / "big.tif", 256), square(tmp_path / "a.tif", 256))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((SIZE, SIZE), 70_000, np.int32), r"from 70000 to 70000 are beyond 16 bits: convert"),
        (np.full((SIZE, SIZE), -1, np.int32), r"from -1 to -1 are beyond 16 bits"),
        (np.zeros((SIZE, SIZE), np.float32), r"floats of unknown range: convert"),
    ],
)
def test_a_range_that_is_not_known_is_refused(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    with pytest.raises(UnusableError, match=reason):
        decoded(tmp_path / "a.tif", Image.fromarray(values))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Thumbs.db").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "empty.jpg").touch()
    for name in ("Thumbs.db", "empty.jpg"):
        with pytest.raises(UnusableError, match="none of JPEG, PNG"):
            square(tmp_path / name, SIZE)
    with pytest.raises(UnusableError, match="No such file"):
        square(tmp_path / "nowhere.png", SIZE)


def test_a_cut_image_is_refused_even_where_a_library_asked_pillow_for_leniency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoded("JPEG", progressive=False)
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    [found] = squares([tmp_path / "a.jpg"], SIZE)
    assert isinstance(found, UnusableError) and "truncated" in str(found)


def encoded(kind: str, progressive: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **({"progressive": True} if progressive else {}))
    return buffer.getvalue()


@settings(max_examples=60)
@given(
    kind=st.sampled_from([("JPEG", False), ("JPEG", True), ("PNG", False), ("WEBP", False), ("BMP", False)]),
    share=st.floats(0, 1),
)
@example(kind=("JPEG", True), share=0.5)
@example(kind=("JPEG", False), share=0.99)
def test_a_cut_file_gives_no_image_or_the_whole_one(
    tmp_path_factory: pytest.TempPathFactory, kind: tuple[str, bool], share: float
) -> None:
    whole = encoded(*kind)
    path = tmp_path_factory.mktemp("cut") / "image"
    path.write_bytes(whole)
    expected = square(path, SIZE)
    path.write_bytes(whole[: int(share * len(whole))])
    [found] = squares([path], SIZE)
    assert isinstance(found, UnusableError) or torch.equal(found, expected)


def test_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    for number, path in enumerate(paths):
        Image.new("L", (8, 8), number % 256).save(path)
    values = [int(found[0, 0, 0]) for found in squares(paths, 8) if not isinstance(found, UnusableError)]
    assert values == [number % 256 for number in range(300)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_only_the_cores_of_the_process_are_used() -> None:
    allowed = os.sched_getaffinity(0)
    assert _available_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, [min(allowed)])
        assert _available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
