"""The kernel inception distance (KID) between two sets of features: unbiased for any number of images, unlike FID.

Binkowski et al. 2018, "Demystifying MMD GANs", as torch-fidelity computes it.
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from gansearch.errors import UserError

SUBSETS, SUBSET_SIZE = 100, 1000
_SEED = 2020  # the default of torch-fidelity


@dataclass(frozen=True, kw_only=True)
class KID:
    """Mean and standard deviation, over `subsets` pairs of subsets of `subset_size` images, of the squared MMD.

    The mean may be below 0 for similar sets. The deviation is not the standard error of the mean: the subsets share
    images.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int


def kid(reference: Tensor, features: Tensor, subset_size: int = SUBSET_SIZE) -> KID:
    """Computes the KID of `features` to `reference` with the kernel (x y / D + 1)^3.

    The result is that of `torch_fidelity.calculate_metrics(input1=generated, input2=real, kid=True)`: torch-fidelity's
    own code in float32, with 100 subsets and the default seed.

    Args:
        reference: The features (M, D) of the real images, float32.
        features: The features (N, D) of the generated images, float32.
        subset_size: The number of images in a subset.

    Raises:
        UserError: If a set is smaller than a subset.
        ValueError: If features are not finite, or the two sets differ in dimension.
    """
    reason = too_few_images(len(reference), len(features), subset_size)
    if reason:
        raise UserError(f"{reason}: use more images, or another subset_size")
    if reference.shape[1] != features.shape[1]:
        raise ValueError(f"features of {reference.shape[1]} and of {features.shape[1]} dimensions")
    metrics = kid_features_to_metric(
        features, reference, kid_subsets=SUBSETS, kid_subset_size=subset_size, rng_seed=_SEED, verbose=False
    )
    mean, std = metrics[KEY_METRIC_KID_MEAN], metrics[KEY_METRIC_KID_STD]
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise ValueError("the features are not finite, or too large for a kernel in float32")
    return KID(mean=mean, std=std, subsets=SUBSETS, subset_size=subset_size)


def too_few_images(real: int, generated: int, subset_size: int = SUBSET_SIZE) -> str | None:
    """Returns why so many images are too few for a KID, or None where they suffice."""
    if subset_size < 2:  # the unbiased MMD divides by subset_size - 1
        return f"KID needs subsets of at least 2 images, not of {subset_size}"
    if min(real, generated) >= subset_size:
        return None
    short = f"{real:,} real" if real < subset_size else f"{generated:,} generated"
    return f"KID needs subsets of {subset_size:,} images, there are {short} ones"
