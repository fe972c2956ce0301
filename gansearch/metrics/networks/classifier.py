"""A small classifier of images whose penultimate activation is the features of `digits-classifier`.

`scripts/train_classifier.py` trained the classifier. The script trains other classifiers of the same layout, grey or
colour, on any labelled data set; `metrics.weights` takes their files.
"""

from collections.abc import Mapping
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from gansearch.metrics.extractors.digits_classifier import FEATURES, NAME, WEIGHTS


class Classifier(nn.Module):
    """A convolutional classifier: float (N, channels, 32, 32) in [-1, 1] to features (N, 64) and logits (N, classes).

    `width` is the number of maps after the first convolution; each of the other two convolutions doubles the number.
    """

    resolution = 32

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)
        self.hidden = nn.Linear(4 * width * 4 * 4, FEATURES)
        self.logits = nn.Linear(FEATURES, classes)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Self:
        """Builds the classifier that a state dict belongs to; its size follows from the shapes of the tensors.

        Raises KeyError, ValueError or RuntimeError where the state dict has another layout.
        """
        width, channels, _, _ = state["conv1.weight"].shape
        if channels not in {1, 3}:
            raise ValueError(f"its classifier has {channels} channels, not 1 or 3")
        net = cls(channels, len(state["logits.bias"]), width)
        net.load_state_dict(state)
        return net

    @property
    def channels(self) -> int:
        return self.conv1.in_channels

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv1(images))
        x = F.relu(self.conv2(x))
        x = F.avg_pool2d(F.relu(self.conv3(x)), 2)
        # No ReLU: a ReLU left a third of the features at 0, and the distance less sensitive to blur and repetition.
        features = self.hidden(x.flatten(1))
        return features, self.logits(features)


class ClassifierFeatures(FeatureExtractorBase):
    """The classifier with torch-fidelity's interface: uint8 (N, 3, H, W) to a tuple of the requested features."""

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, features_list)
        state = load_file(feature_extractor_weights_path or WEIGHTS)
        self.net = Classifier.of(state)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.float()
        if self.net.channels == 1:
            pixels = pixels.mean(1, keepdim=True)
        pixels = pixels / 127.5 - 1
        size = (self.net.resolution, self.net.resolution)
        if pixels.shape[2:] != size:
            pixels = F.interpolate(pixels, size=size, mode="bicubic", antialias=True)
        features, logits = self.net(pixels)
        found = {str(FEATURES): features, "logits": logits}
        return tuple(found[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return str(FEATURES), "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else str(FEATURES)

    @staticmethod
    def can_be_compiled() -> bool:
        return True

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 32, 32, dtype=torch.uint8)


if NAME not in FEATURE_EXTRACTORS_REGISTRY:  # which refuses a name twice, as where this module is imported anew
    register_feature_extractor(NAME, ClassifierFeatures)
