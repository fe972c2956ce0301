"""The numbers that torch-fidelity itself computes, for comparison."""

import torch_fidelity
from torch import Tensor
from torch.utils.data import TensorDataset


class _Listed(TensorDataset):
    def __getitem__(self, index: int) -> Tensor:
        return self.tensors[0][index].expand(3, -1, -1)


def torch_fidelitys(real: Tensor, fake: Tensor, **options: object) -> dict[str, float]:
    """Returns what `calculate_metrics` computes for uint8 images (N, 1 or 3, H, W)."""
    quiet = {"cuda": False, "cache": False, "save_cpu_ram": True, "verbose": False}
    return torch_fidelity.calculate_metrics(input1=_Listed(fake), input2=_Listed(real), **quiet, **options)
