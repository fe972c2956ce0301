"""The images and the FID that all sides have in common, so that their numbers mean the same."""

from collections.abc import Callable
from functools import cache
from statistics import fmean

import torch
from torch import Tensor

from gansearch.config import TrialConfig
from gansearch.data.base import to_float, to_uint8
from gansearch.data.loader import load_images
from gansearch.metrics.scorer import Scorer, scorer_for
from gansearch.run.protocol import Protocol
from gansearch.search.find_space import find_space

SPACE = "digits"
_DRAWS = 8


def real_images() -> Tensor:
    """Returns the training images of the space `digits`, float32 (1437, 1, 32, 32) in [-1, 1]."""
    return to_float(load_images(_base().data, "train").pixels)


def num_images() -> int:
    """Returns how many generated images an FID is measured on."""
    return protocol().num_fake


def protocol() -> Protocol:
    return _scorer().protocol


def fid(images: Tensor) -> float:
    """Returns the FID of `num_images()` generated images, float (N, 1, 32, 32) in [-1, 1]."""
    return _scorer().fid([to_uint8(images)])


@torch.no_grad()
def fid_anew(generate: Callable[[int, int], Tensor]) -> float:
    """Returns the mean FID over new draws of z.

    The lowest of many FIDs on the same z is lower than what the generator is worth; new draws tell how much.

    Args:
        generate: Returns images as `fid` takes them, from their number and a seed.
    """
    return fmean(fid(generate(num_images(), seed)) for seed in range(1, 1 + _DRAWS))


@cache
def _base() -> TrialConfig:
    return find_space(SPACE).base


@cache
def _scorer() -> Scorer:
    return scorer_for(_base(), torch.device("cpu"))
