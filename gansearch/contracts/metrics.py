"""The contract of an extractor. Its weights are loaded, and downloaded where they are missing."""

import torch
from torch import Tensor

from gansearch.contracts.base import changed, holds, require
from gansearch.metrics.extractors.base import Extractor, loaded

SUBJECT = Extractor

_BATCH = 6
_CPU = torch.device("cpu")


def _images(channels: int = 3, size: int = 32) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (_BATCH, channels, size, size), dtype=torch.uint8, generator=rng)


def _features(extractor: Extractor, images: Tensor) -> Tensor:
    return extractor.features(loaded(extractor, _CPU), images)


@holds("Features are finite and as many for grey as for coloured images, of any resolution.")
def features_are_finite(extractor: Extractor) -> None:
    found = {(c, size): _features(extractor, _images(c, size)) for c in (1, 3) for size in (16, 32, 64)}
    for (channels, size), features in found.items():
        at = f"for images of {channels} x {size} x {size}"
        require(features.isfinite().all(), f"{at} the features are not finite")
        require(features.shape == found[3, 32].shape, f"{at} the features have the shape {tuple(features.shape)}")


@holds("Other images have other features.")
def features_tell_images_apart(extractor: Extractor) -> None:
    require(_features(extractor, _images()).std(0).max() > 0, "all images have the same features")


@holds("The features of an image do not depend on the other images.")
def features_are_of_one_image(extractor: Extractor) -> None:
    images = _images()
    together = _features(extractor, images)
    alone = torch.cat([_features(extractor, image[None]) for image in images])
    # bf16 keeps 8 bits, and a batch of another size is added up in another order.
    atol = (0.05 if extractor.precision == "bf16" else 1e-3) * together.abs().max().item()
    require(torch.allclose(together, alone, rtol=0, atol=atol), "an image alone has other features than in a batch")


@holds("Features repeat themselves and draw no random numbers.")
def features_repeat_themselves(extractor: Extractor) -> None:
    before = torch.get_rng_state()
    first, again = (_features(extractor, _images()) for _ in range(2))
    require(torch.equal(first, again), "the same images have other features the second time")
    require(torch.equal(torch.get_rng_state(), before), "it draws from torch's global generator")


@holds("The hash of its weights is a SHA-256 that stays the same.")
def the_hash_stays(extractor: Extractor) -> None:
    first, again = extractor.weights_hash(), changed(extractor).weights_hash()
    require(first == again, f"the hash is {first} and then {again}")
    digits = len(first) == 64 and set(first.lower()) <= set("0123456789abcdef")
    require(digits, f"{first} is no SHA-256: return 64 hexadecimal digits")
    require(extractor.missing() is None, f"its weights are loaded, and it reports as missing: {extractor.missing()}")
