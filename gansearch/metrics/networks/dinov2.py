"""torch-fidelity's features of DINOv2, of a network whose code and weights are pinned."""

from pathlib import Path

import torch
from torch import nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2


class DINOv2(FeatureExtractorDinoV2):
    """torch-fidelity's extractor, but for the constructor, which would take the newest code and unchecked weights."""

    def __init__(self, name: str, features_list: list[str], network: nn.Module, weights: Path) -> None:
        FeatureExtractorBase.__init__(self, name, features_list)
        self.feature_extractor_internal_dtype = torch.float32
        self.model = network
        self.model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
