"""`digits-classifier`: the penultimate activation of a small classifier; one of handwritten digits is shipped here.

`scripts/train_classifier.py` trained it and printed the hash that stands below. It trains others of the same layout,
grey or colour, on any labelled data set, to be given as `metrics.weights`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gansearch.metrics.extractors.from_file import FromFile, register
from gansearch.registry import component

NAME = "digits-classifier"
FEATURES = 64
WEIGHTS = Path(__file__).parents[1] / "weights" / "digits_classifier.safetensors"


class Classifier(nn.Module):
    """Images, float (N, channels, 32, 32) in [-1, 1], to features (N, 64) and logits (N, classes).

    `width` is the number of maps after the first convolution; each of the two further ones doubles it.
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
        """The classifier that a state dict belongs to, its size read off the tensors' shapes.

        KeyError, ValueError or RuntimeError where it is of another layout.
        """
        width, channels, _, _ = state["conv1.weight"].shape
        if channels not in {1, 3}:
            raise ValueError(f"a classifier of {channels} channels, not of 1 or 3")
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
        # No ReLU: it left a third of the features dead, and the distance blinder to blur and to repetition.
        features = self.hidden(x.flatten(1))
        return features, self.logits(features)


class ClassifierFeatures(FeatureExtractorBase):
    """The classifier as torch-fidelity wants it: uint8 (N, 3, H, W) in, a tuple of the requested features out."""

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


register(NAME, ClassifierFeatures)


@component
class DigitsClassifier(FromFile):
    """64 features that tell a data set's classes apart; its own weights those of the embedded digits. Fast on a CPU."""

    name: str = NAME
    feature_name: ClassVar[str] = str(FEATURES)
    own_sha256: ClassVar[str] = "2e7a4a57268bb3ac378570c1e93a0da40b115ffc41929ff9a4e4cd1c9feea056"

    def own_weights(self) -> Path:
        return WEIGHTS
