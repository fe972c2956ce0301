"""torch-fidelity's Inception v3, compatible with the network of the FID paper, made faster."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

# Few images at a time: their activations fit the caches of a CPU.
_CPU_BATCH = 8
# oneDNN's matrix product, which torch.compile uses. F.linear and 1 x 1 convolutions use MKL, slow on AMD processors.
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Pointwise(nn.Module):
    """A convolution of 1 x 1, stride 1, as a matrix product over the pixels of channels-last images."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach()[:, :, 0, 0].contiguous())
        self.bias = conv.bias

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 2, 3, 1)
        if _ONEDNN and pixels.device.type == "cpu" and pixels.dtype == torch.float32:
            product = torch.ops.mkldnn._linear_pointwise(pixels, self.weight, self.bias, "none", [], "")
        else:
            product = F.linear(pixels, self.weight, self.bias)
        return product.permute(0, 3, 1, 2)


class Inception(FeatureExtractorInceptionV3):
    """torch-fidelity's layers and weights: uint8 (N, 3, H, W) to the 2,048 features after the last pooling.

    Faster: batch norms are folded into the convolutions before them, images are resized by two matrix products, and
    tensors are channels-last. But for rounding the features are those of torch-fidelity's class
    (tests/metrics/test_inception.py).
    """

    def prepare(self, dtype: torch.dtype) -> "Inception":
        """Folds the batch norms into the loaded weights and casts these; to be called once."""
        for layer in self.modules():
            if isinstance(layer, BasicConv2d):
                conv = fuse_conv_bn_eval(layer.conv, layer.bn)
                layer.conv = Pointwise(conv) if conv.kernel_size == (1, 1) else conv
                layer.bn = nn.Identity()
        del self.fc
        return self.to(dtype=dtype, memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        parts = images.split(_CPU_BATCH if images.device.type == "cpu" else len(images))
        return (torch.cat([self._features(part) for part in parts]),)

    def _features(self, images: Tensor) -> Tensor:
        height, width = (_stretch(size, self.INPUT_IMAGE_SIZE, images.device) for size in images.shape[2:])
        with torch.autocast(images.device.type, enabled=False):  # the network alone may be in bf16
            x = height @ ((images.float() - 128) / 128) @ width.T
        x = x.to(next(self.parameters()).dtype, memory_format=torch.channels_last)
        for layer in self.children():  # the base class defines the layers in the order in which it applies them
            x = layer(x)
        return x.flatten(1).float()


@lru_cache(maxsize=8)
def _stretch(size: int, to: int, device: torch.device) -> Tensor:
    """Returns a matrix (to, size) of TensorFlow 1's linear interpolation, whose first sample lies at 0."""
    at = torch.arange(to) * (torch.tensor(size, dtype=torch.float32) / to)
    low = at.long()
    share = at - low
    rows = torch.arange(to)
    matrix = torch.zeros(to, size)
    matrix[rows, low] += 1 - share
    matrix[rows, (low + 1).clamp_max(size - 1)] += share
    return matrix.to(device)
