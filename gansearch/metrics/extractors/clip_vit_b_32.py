"""`clip-vit-b-32`: the image embedding of CLIP, from torch-fidelity's implementation."""

import warnings
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from gansearch.metrics.extractors.published import Published
from gansearch.registry import component

_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"


@component
class CLIPViTB32(Published):
    """512 features, learnt from captions and not from the classes of ImageNet (Kynkaanniemi et al. 2023)."""

    name: str = "clip-vit-b-32"
    feature_name: ClassVar[str] = "clip"
    url: ClassVar[str] = f"https://openaipublic.azureedge.net/clip/models/{_SHA256}/ViT-B-32.pt"
    mib: ClassVar[int] = 338
    own_sha256: ClassVar[str] = _SHA256

    def readable_weights(self, path: Path) -> Any:
        return str(path)  # a TorchScript archive, from which torch-fidelity reads the tensors

    def module(self, path: Path) -> nn.Module:
        with warnings.catch_warnings():
            # CLIP is published as a TorchScript archive.
            warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
            return super().module(path)
