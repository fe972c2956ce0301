"""`inception-v3-compat`: torch-fidelity's Inception v3, compatible with the network of the FID paper, made faster."""

from pathlib import Path
from typing import ClassVar

from torch import nn

from gansearch.metrics.extractors.published import Published
from gansearch.registry import component


@component
class InceptionV3Compat(Published):
    """The 2,048 features after the last pooling, with which published FIDs are measured. Slow without a GPU."""

    name: str = "inception-v3-compat"
    feature_name: ClassVar[str] = "2048"
    url: ClassVar[str] = (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    )
    mib: ClassVar[int] = 91
    own_sha256: ClassVar[str] = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

    def module(self, path: Path) -> nn.Module:
        from gansearch.metrics.networks.inception import Inception

        made = Inception(self.name, [self.feature_name], feature_extractor_weights_path=self.readable_weights(path))
        return made.prepare(self.dtype)
