"""What a feature extractor is: a torch-fidelity module, a weights file of known hash, and how images go through it."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from gansearch.cache import sha256
from gansearch.errors import UserError, one_line
from gansearch.registry import component

# What reading a file of other content or another layout raises, besides OSError.
_NO_WEIGHTS = (RuntimeError, KeyError, TypeError, ValueError, EOFError, SafetensorError, pickle.UnpicklingError)


def register(name: str, module: type[FeatureExtractorBase]) -> None:
    """Makes `module` known to torch-fidelity as `name`, once per process."""
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, module)


@component
class Extractor(ABC):
    """Turns images into features. A subclass in a file of its own is found by the registry."""

    weights: str | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None

    name: ClassVar[str]
    """Its name in torch-fidelity's registry."""
    feature_name: ClassVar[str]
    """Which of the module's features the distance is taken over."""
    own_sha256: ClassVar[str]
    """SHA-256 of the extractor's own, published weights."""

    @abstractmethod
    def own_weights(self) -> Path:
        """The extractor's own weights file, fetched if need be; UserError where it cannot be had."""

    def readable_weights(self, path: Path) -> Any:
        """What the module's constructor is given as its weights file; `path` has been checked."""
        return str(path)

    def weights_hash(self) -> str:
        """SHA-256 of the weights file that is used; UserError where it is missing or is not the expected one."""
        return sha256(self._checked_weights())

    def load(self, device: torch.device) -> FeatureExtractorBase:
        """The module on `device`, ready for inference. UserError where its weights are missing or do not fit."""
        path = self._checked_weights()
        try:
            # A trial that happens to build the extractor must draw the same numbers as one that finds it ready.
            with torch.random.fork_rng(devices=[]):
                module = FEATURE_EXTRACTORS_REGISTRY[self.name](
                    self.name, [self.feature_name], feature_extractor_weights_path=self.readable_weights(path)
                )
        except _NO_WEIGHTS as error:
            raise UserError(
                f"{path} holds no weights of {self.name} ({one_line(error)[:200]}): give the right file with "
                "--set metrics.weights=FILE"
            ) from error
        return module.to(device).eval().requires_grad_(False)

    def features(self, module: FeatureExtractorBase, images: Tensor) -> Tensor:
        """float32 features (N, D) of uint8 images (N, 1 or 3, H, W); grey ones are repeated over three channels.

        Always in full float32, whatever precision the training around it runs in.
        """
        device = next(module.parameters()).device
        colour = images.to(device).expand(-1, 3, -1, -1)
        with torch.inference_mode(), torch.autocast(device.type, enabled=False), _full_float32():
            (features,) = module(colour)
        return features.float()

    def _checked_weights(self) -> Path:
        path = Path(self.weights).expanduser() if self.weights else self.own_weights()
        if not path.is_file():
            raise UserError(f"metrics.weights={path}: there is no such file; give the path of the weights file")
        try:
            found = sha256(path)
        except OSError as error:
            raise UserError(f"metrics.weights={path} cannot be read ({error.strerror}): mend its permissions") from None
        expected = (self.weights_sha256 or self.own_sha256).lower()
        if found != expected:
            mend = (
                "give the right file with --set metrics.weights=FILE" if self.weights else "delete it, or install anew"
            )
            raise UserError(
                f"{path} is not the weights file of {self.name}: expected SHA-256 {expected[:12]}..., found "
                f"{found[:12]}...; {mend}, or, if you mean this one, --set metrics.weights_sha256={found}"
            )
        return path


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 on a GPU, whatever the training has set: its features differ from a CPU's by a part in a thousand."""
    matmul = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
