"""Layers with the DCGAN initialisation: weights from N(0, 0.02) (Radford et al. 2016, section 3)."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

INIT_STD = 0.02


def conv(cin: int, cout: int, kernel: int, stride: int = 1, padding: int = 0, *, sn: bool = False) -> nn.Module:
    """A convolution; with `sn` under spectral norm (Miyato et al. 2018), one power iteration a forward pass.

    Not on the meta device: there is nothing to normalise, and the first iterations would take most of a check's time.
    """
    return _initialised(nn.Conv2d(cin, cout, kernel, stride, padding), sn)


def conv_transpose(cin: int, cout: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """A transposed convolution without bias: a batch norm follows."""
    return _initialised(nn.ConvTranspose2d(cin, cout, kernel, stride, padding, bias=False), False)


def batch_norm(channels: int) -> nn.Module:
    """Batch norm with its scale from N(1, 0.02)."""
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, INIT_STD)
    return layer


class Reshape(nn.Module):
    """Views (N, ...) as (N, *shape)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


def _initialised(layer: nn.Conv2d | nn.ConvTranspose2d, sn: bool) -> nn.Module:
    nn.init.normal_(layer.weight, 0.0, INIT_STD)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return spectral_norm(layer) if sn and not layer.weight.is_meta else layer
