"""`clip-vit-b-32`: the image embedding of CLIP, from torch-fidelity's implementation."""

import warnings
from pathlib import Path
from typing import Any, ClassVar

from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS

from gansearch.metrics.extractors.published import Published
from gansearch.registry import component

_NAME = "clip-vit-b-32"


@component
class CLIPViTB32(Published):
    """512 features, learnt from captions and not from the classes of ImageNet (Kynkaanniemi et al. 2023)."""

    name: str = _NAME
    feature_name: ClassVar[str] = "clip"
    url: ClassVar[str] = MODEL_URLS[_NAME]
    mib: ClassVar[int] = 338
    own_sha256: ClassVar[str] = MODEL_METADATA[_NAME]["hash"]

    def readable_weights(self, path: Path) -> Any:
        return str(path)  # a TorchScript archive, from which torch-fidelity reads the tensors

    def module(self, path: Path) -> FeatureExtractorBase:
        with warnings.catch_warnings():
            # CLIP is published as a TorchScript archive.
            warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
            return super().module(path)
