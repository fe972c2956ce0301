"""`digits-classifier`: the penultimate activation of a small classifier of handwritten digits, shipped here.

`scripts/train_classifier.py` has trained it and printed the hash below.
"""

from pathlib import Path
from typing import ClassVar

from torch import nn

from gansearch.metrics.extractors.from_file import FromFile
from gansearch.registry import component

NAME = "digits-classifier"
FEATURES = 64
WEIGHTS = Path(__file__).parents[1] / "weights" / "digits_classifier.safetensors"


@component
class DigitsClassifier(FromFile):
    """64 features of a classifier; the shipped weights are of the embedded digits. Fast on a CPU."""

    name: str = NAME
    feature_name: ClassVar[str] = str(FEATURES)
    own_sha256: ClassVar[str] = "2e7a4a57268bb3ac378570c1e93a0da40b115ffc41929ff9a4e4cd1c9feea056"

    def own_weights(self) -> Path:
        return WEIGHTS

    def module(self, path: Path) -> nn.Module:
        from gansearch.metrics.networks.classifier import ClassifierFeatures

        return ClassifierFeatures(self.name, [self.feature_name], str(path))
