"""`vgg16`: the activations of the second dense layer of VGG-16, from torch-fidelity's implementation."""

from typing import ClassVar

from gansearch.metrics.extractors.published import Published
from gansearch.registry import component


@component
class VGG16(Published):
    """4,096 features of a classifier of ImageNet, with torchvision's weights."""

    name: str = "vgg16"
    feature_name: ClassVar[str] = "fc2_relu"
    url: ClassVar[str] = "https://download.pytorch.org/models/vgg16-397923af.pth"
    mib: ClassVar[int] = 528
    own_sha256: ClassVar[str] = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
