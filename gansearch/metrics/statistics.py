"""Statistics of real images that somebody has measured already, from a file.

Two formats are known: that of TTUR (Heusel et al. 2017, `mu` and `sigma`), which pytorch-fid, clean-fid and EDM write
as well, and the sums of StyleGAN (`FeatureStats` of Karras et al. 2020: `raw_mean`, `raw_cov`, `num_items`).
"""

import zipfile
from pathlib import Path

import numpy as np
import torch

from gansearch.cache import sha256
from gansearch.errors import UserError, one_line
from gansearch.metrics.fid import Moments

_SYMMETRIC = 1e-6  # the greatest difference from a symmetric matrix, as a share of the largest value
_OF_STYLEGAN = ("raw_mean", "raw_cov", "num_items")


def file_hash(file: str) -> str:
    """Returns the SHA-256 of a file of statistics; raises UserError where it can't be read."""
    try:
        return sha256(Path(file))
    except OSError as error:
        raise UserError(f"metrics.statistics={file}: can't read it ({one_line(error)})") from None


def read_statistics(file: str) -> tuple[Moments, int]:
    """Reads the moments in a file, in float64, and of how many images they are, 0 where the file does not tell.

    Raises:
        UserError: The file can't be read, or has no statistics.
    """
    fault = f"metrics.statistics={file}"
    if file.endswith((".pkl", ".pickle")):
        raise UserError(f"{fault}: a pickle can run any code; save {', '.join(_OF_STYLEGAN)} of it by numpy.savez")
    if not Path(file).is_file():  # a pipe would be waited for
        raise UserError(f"{fault}: no such file")
    if not zipfile.is_zipfile(file):
        raise UserError(f"{fault}: this is no .npz file")
    try:
        with np.load(file, allow_pickle=False) as content:
            found = {name: np.asarray(content[name], dtype=np.float64) for name in content.files if name in _KNOWN}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, MemoryError, zipfile.BadZipFile) as error:
        raise UserError(f"{fault}: not a readable .npz file ({one_line(error)})") from None
    count = 0
    if found.keys() >= {"mu", "sigma"}:
        mean, covariance = found["mu"], found["sigma"]
    elif found.keys() >= set(_OF_STYLEGAN) and found["num_items"].size == 1 and found["num_items"].item() >= 2:
        count = int(found["num_items"].item())
        mean = found["raw_mean"] / count
        scatter = found["raw_cov"] - count * np.multiply.outer(mean, mean)
        covariance = scatter / (count - 1)  # unbiased, as those of TTUR and of torch-fidelity
    else:
        raise UserError(f"{fault}: it has neither mu and sigma nor {', '.join(_OF_STYLEGAN)}; take another file")
    if mean.ndim != 1 or covariance.shape != 2 * mean.shape or not mean.size:
        raise UserError(f"{fault}: a mean of shape {mean.shape} and a covariance of {covariance.shape} don't fit")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{fault}: not all of its values are finite; take another file")
    if (
        np.abs(covariance - covariance.T).max() > _SYMMETRIC * np.abs(covariance).max()
        or covariance.diagonal().min() < 0
    ):
        raise UserError(f"{fault}: its matrix is no covariance; take another file")
    # Of moments that are known the number of images is not used.
    return Moments(torch.from_numpy(mean), max(2, count), covariance=torch.from_numpy(covariance)), count


_KNOWN = {"mu", "sigma", *_OF_STYLEGAN}
