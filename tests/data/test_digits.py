"""The embedded digits: the split is stratified, disjoint, whole, and the same on every machine."""

import hashlib

import torch
from sklearn.datasets import load_digits

from gansearch.data.base import resize
from gansearch.data.digits import Digits


def test_split_is_stratified_and_complete() -> None:
    train, test = Digits(resolution=8).load("train"), Digits(resolution=8).load("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.labels is not None and test.labels is not None
    assert set(test.labels.bincount().tolist()) <= {35, 36, 37}
    raw = torch.from_numpy(load_digits().images * (255 / 16)).round().to(torch.uint8)
    joined = torch.cat([train.pixels, test.pixels]).squeeze(1)
    assert sorted(map(_digest, joined)) == sorted(map(_digest, raw))


def test_the_images_are_the_same_everywhere() -> None:
    assert Digits().load("train").fingerprint.startswith("fb9fc88fe319")
    assert Digits().load("test").fingerprint.startswith("3ca5ad280069")


def test_resizing_preserves_the_picture() -> None:
    small, large = Digits(resolution=8).load("test").pixels, Digits(resolution=32).load("test").pixels
    assert large.shape == (360, 1, 32, 32)
    both = torch.stack([small.flatten(), resize(large, 8).flatten()]).float()
    assert torch.corrcoef(both)[0, 1] > 0.98
    assert large.amax() == 255 and large.amin() == 0


def _digest(image: torch.Tensor) -> str:
    return hashlib.sha256(image.numpy().tobytes()).hexdigest()
