"""Inception v3 in the published layout with random weights: speed and arithmetic do not depend on the weights."""

import io
import math
from pathlib import Path
from typing import Any

import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class _Blank(FeatureExtractorInceptionV3):
    """The network before any weights are loaded."""

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return None


def write_weights(path: Path, seed: int = 0) -> Path:
    """Writes a weights file whose features keep unit size; under torch's own initialisation they vanish."""
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    state = _Blank("blank", ["2048"], feature_extractor_weights_path=empty).state_dict()
    generator = torch.Generator().manual_seed(seed)
    for tensor in state.values():
        if tensor.dim() >= 2:
            tensor.normal_(0, math.sqrt(2 / tensor[0].numel()), generator=generator)
    torch.save(state, path)
    return path
