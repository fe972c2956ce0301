"""Statistics of real images that somebody has measured already, from a file.

Two formats are known: that of TTUR (Heusel et al. 2017, `mu` and `sigma`), which pytorch-fid, clean-fid and EDM write
as well, and the sums of StyleGAN (`FeatureStats` of Karras et al. 2020: `raw_mean`, `raw_cov`, `num_items`).
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from gansearch.cache import sha256
from gansearch.errors import UserError, one_line
from gansearch.metrics.fid import Moments

_SYMMETRIC = 1e-6  # the greatest difference from a symmetric matrix, as a share of the largest value
_OF_TTUR, _OF_STYLEGAN = ("mu", "sigma"), ("raw_mean", "raw_cov", "num_items")
_KNOWN = {*_OF_TTUR, *_OF_STYLEGAN}
# What numpy and the readers of zip files raise for a file that is damaged, encrypted or of another kind.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, AttributeError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

Array = npt.NDArray[np.float64]


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
    except _UNREADABLE as error:
        raise UserError(f"{fault}: not a readable .npz file ({one_line(error)})") from None
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise UserError(f"{fault}: not all values of {name} are finite; take another file")
    mean, covariance, count = _moments_of(found, fault)
    skew = np.abs(covariance - covariance.T).max()
    if skew > _SYMMETRIC * np.abs(covariance).max() or covariance.diagonal().min() < 0:
        raise UserError(f"{fault}: its matrix is no covariance; take another file")
    # Of moments that are known the number of images is not used.
    return Moments(torch.from_numpy(mean), max(2, count), covariance=torch.from_numpy(covariance)), count


def _moments_of(found: dict[str, Array], fault: str) -> tuple[Array, Array, int]:
    """Returns the mean (D,), the unbiased covariance (D, D), and the number of images or 0."""
    names = next((names for names in (_OF_TTUR, _OF_STYLEGAN) if found.keys() >= set(names)), None)
    if names is None:
        expected = " nor ".join(" and ".join(names) for names in (_OF_TTUR, _OF_STYLEGAN))
        raise UserError(f"{fault}: it has neither {expected}; take another file")
    mean, matrix, *counts = (found[name] for name in names)
    if mean.ndim != 1 or matrix.shape != 2 * mean.shape or not mean.size:
        raise UserError(f"{fault}: a mean of shape {mean.shape} and a matrix of {matrix.shape} don't fit")
    if not counts:
        return mean, matrix, 0
    if counts[0].size != 1 or counts[0].item() < 2:
        raise UserError(f"{fault}: num_items is no number of images; take another file")
    count = int(counts[0].item())
    mean = mean / count
    # Unbiased, as those of TTUR and of torch-fidelity.
    return mean, (matrix - count * np.multiply.outer(mean, mean)) / (count - 1), count
