"""Layers with initialised weights and, where it is asked for, spectral norm."""

from collections.abc import Callable

from torch import Tensor, nn

from gansearch.models.spectral_norm import spectral_norm

INIT_STD = 0.02
Init = Callable[[Tensor], Tensor]


def dcgan_init(weight: Tensor) -> Tensor:
    """Initialises weights from N(0, 0.02) (Radford et al. 2016, section 3)."""
    return nn.init.normal_(weight, 0.0, INIT_STD)


glorot_init: Init = nn.init.xavier_uniform_
"""Initialises weights uniformly with variance 2 / (fan in + fan out), for networks without normalisation.

Glorot & Bengio 2010, equation 16.
"""

INITS: dict[str, Init] = {"normal": dcgan_init, "glorot": glorot_init}


def conv(
    cin: int,
    cout: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    *,
    bias: bool = True,
    sn: bool = False,
    init: Init = dcgan_init,
) -> nn.Module:
    """Returns a convolution, with spectral norm if `sn` is set."""
    return initialised(nn.Conv2d(cin, cout, kernel, stride, padding, bias=bias), sn=sn, init=init)


def conv_transpose(cin: int, cout: int, *, bias: bool = True, sn: bool = False, init: Init = dcgan_init) -> nn.Module:
    """Returns a transposed convolution, with a kernel of 4 x 4, that doubles the resolution."""
    return initialised(nn.ConvTranspose2d(cin, cout, 4, 2, 1, bias=bias), sn=sn, init=init)


def dense(cin: int, cout: int, *, bias: bool = True, sn: bool = False, init: Init = dcgan_init) -> nn.Module:
    """Returns a fully connected layer, with spectral norm if `sn` is set."""
    return initialised(nn.Linear(cin, cout, bias=bias), sn=sn, init=init)


def batch_norm(channels: int, dims: int = 2) -> nn.Module:
    """Returns batch norm over maps, or over vectors if `dims` is 1; the scale starts from N(1, 0.02)."""
    layer = nn.BatchNorm2d(channels) if dims == 2 else nn.BatchNorm1d(channels)
    nn.init.normal_(layer.weight, 1.0, INIT_STD)
    return layer


class ToMaps(nn.Module):
    """Reshapes vectors (N, C * size * size) to maps (N, C, size, size).

    The channels of a position are neighbours in the vector, so that nothing is copied where the layout is channels
    last, neither here nor in `FromMaps`.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.size, self.size, -1).permute(0, 3, 1, 2)


class FromMaps(nn.Module):
    """Reshapes maps (N, C, H, W) to vectors (N, H * W * C), the inverse of `ToMaps`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def initialised(
    layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding, *, sn: bool, init: Init = dcgan_init
) -> nn.Module:
    """Initialises a layer and, if `sn` is set, puts spectral norm on it (Miyato et al. 2018).

    A layer on the meta device gets none: it has no values to normalise.
    """
    init(layer.weight)
    bias = getattr(layer, "bias", None)
    if bias is not None:
        nn.init.zeros_(bias)
    if sn and not layer.weight.is_meta:
        spectral_norm(layer)
    return layer
