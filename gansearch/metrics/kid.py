"""The kernel distance between two sets of features: unbiased whatever the number of images, as an FID is not.

Binkowski et al. 2018, "Demystifying MMD GANs" (KID), as torch-fidelity computes it.
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from gansearch.errors import UserError

SUBSETS, SUBSET_SIZE = 100, 1000
_SEED = 2020


@dataclass(frozen=True, kw_only=True)
class KID:
    """Mean and standard deviation, over `subsets` pairs of subsets of `subset_size` images, of the squared MMD.

    The mean may fall below 0 where the sets are near. The deviation is not the mean's error: subsets share images.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int


def kid(reference: Tensor, features: Tensor, subset_size: int = SUBSET_SIZE) -> KID:
    """KID of `features` (N, D) to `reference` (M, D), float32, by the kernel (x y / D + 1)^3.

    What `torch_fidelity.calculate_metrics(input1=generated, input2=real, kid=True)` gives: its own arithmetic in
    float32, 100 subsets, its seed. They are drawn by NumPy's `RandomState`, whose stream is frozen. UserError where
    either set is smaller than a subset, ValueError where features are not finite or their dimensions differ.
    """
    missing = too_few(len(reference), len(features), subset_size)
    if missing:
        raise UserError(f"{missing}: take more images, or another subset_size")
    if reference.shape[1] != features.shape[1]:
        raise ValueError(f"features of {reference.shape[1]} and of {features.shape[1]} dimensions")
    found = kid_features_to_metric(
        features, reference, kid_subsets=SUBSETS, kid_subset_size=subset_size, rng_seed=_SEED, verbose=False
    )
    mean, std = found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise ValueError("the features are not finite, or too large for a kernel in float32")
    return KID(mean=mean, std=std, subsets=SUBSETS, subset_size=subset_size)


def too_few(real: int, generated: int, subset_size: int = SUBSET_SIZE) -> str | None:
    """Why there is no KID of so many images, None where there is one. A subset of one has no unbiased distance."""
    if subset_size < 2:
        return f"KID takes subsets of 2 images at least, not of {subset_size}"
    if min(real, generated) >= subset_size:
        return None
    short = f"{real:,} real" if real < subset_size else f"{generated:,} generated"
    return f"KID takes subsets of {subset_size:,} images, there are {short} ones"
