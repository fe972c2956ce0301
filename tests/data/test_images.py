"""What all data sets share: resizing, conversion to and from floats, fingerprints."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gansearch.data.base import Images, resize, to_float, to_uint8


def noise(n: int = 3, channels: int = 3, size: int = 16, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def test_every_byte_survives_the_way_to_floats_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert to_float(pixels).amin() == -1 and to_float(pixels).amax() == 1
    assert torch.equal(to_uint8(to_float(pixels)), pixels)


def test_floats_outside_the_range_are_clamped() -> None:
    assert to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


@settings(max_examples=25)
@given(value=st.integers(0, 255), size=st.integers(8, 40), resolution=st.integers(8, 40))
def test_resizing_preserves_a_constant_image(value: int, size: int, resolution: int) -> None:
    pixels = torch.full((2, 3, size, size), value, dtype=torch.uint8)
    assert torch.equal(resize(pixels, resolution), torch.full((2, 3, resolution, resolution), value, dtype=torch.uint8))


def test_resizing_clamps_where_bicubic_overshoots() -> None:
    edge = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    large = resize(edge, 64)
    assert large[..., :24].amax() == 0 and large[..., 40:].amin() == 255


def test_shrinking_is_antialiased() -> None:
    # Averaging 8 x 8 independent pixels brings the noise down by about 8; picking single ones would not.
    large = noise(n=4, size=64).float()
    assert resize(large.to(torch.uint8), 8).float().std() < large.std() / 5


def test_chunks_make_no_difference() -> None:
    many = noise(n=600, channels=1, size=8)
    assert torch.equal(resize(many, 12)[500:], resize(many[500:], 12))


def test_the_fingerprint_is_of_bytes_shape_and_labels() -> None:
    pixels, labels = noise(), torch.tensor([0, 1, 2])
    same = Images(pixels.clone(memory_format=torch.channels_last), labels.clone()).fingerprint
    assert Images(pixels, labels).fingerprint == same
    others = [
        Images(pixels).fingerprint,
        Images(pixels, labels.flip(0)).fingerprint,
        Images(pixels.flip(0), labels).fingerprint,
        Images(pixels.reshape(9, 1, 16, 16), labels).fingerprint,
    ]
    assert len({same, *others}) == 5


def test_a_known_fingerprint_is_not_computed_again() -> None:
    assert Images(noise(), known_fingerprint="known").fingerprint == "known"


def test_images_are_counted_by_class_and_a_class_without_any_counts() -> None:
    images = Images(noise(5), torch.tensor([2, 0, 2, 2, 0]), ("cat", "cow", "dog", "eel"))
    assert images.counts == (2, 0, 3, 0)
    assert Images(noise()).counts == ()
