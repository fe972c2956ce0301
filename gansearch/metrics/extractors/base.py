"""The base class of feature extractors: a torch module that is loaded once per process."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gansearch.device import Precision, float32_arithmetic
from gansearch.errors import UserError
from gansearch.registry import component


@component
class Extractor(ABC):
    """Turns images into features. The registry finds a subclass in a file of its own."""

    name: str
    """The name of the extractor in a protocol."""
    weights: str | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    precision: Precision = "float32"

    @abstractmethod
    def weights_hash(self) -> str:
        """Returns a SHA-256 of everything but the images that decides the features: weights, and code that may change.

        Downloads weights that are missing. Raises UserError where they cannot be downloaded or are not the right ones.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """Builds the module: uint8 (N, 3, H, W) to features (N, D), or to a tuple of the features alone.

        Raises UserError where the weights are missing or do not fit.
        """

    def version(self) -> str:
        """Returns a text that changes where a process must load the module again."""
        return self.weights_hash()

    def missing(self) -> str | None:
        """Describes the files that a start would have to download; None where all are here. Downloads nothing.

        Raises UserError where a file that is here is not the right one.
        """
        self.weights_hash()
        return None

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def features(self, module: nn.Module, images: Tensor) -> Tensor:
        """Computes float32 features (N, D) of uint8 images (N, 1 or 3, H, W); grey is repeated over three channels.

        The precision is the extractor's, whatever that of the training around this call: with TF32 a GPU's features
        would differ from a CPU's by 0.1 %. The device is the
        module's, or the images' where the module holds no tensors. Raises UserError where the output of the module
        is not a tensor of real numbers (N, D).
        """
        _, tensor = next(tensors(module), ("", images))
        device = tensor.device
        colour = images.to(device).expand(-1, 3, -1, -1)
        fast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), float32_arithmetic(tf32=False), fast:
            found = module(colour)
        features = found[0] if isinstance(found, tuple) else found
        if not isinstance(features, Tensor):
            raise UserError(f"{self.name} returned {type(features).__name__} for images: make it return a tensor")
        if features.dim() != 2 or len(features) != len(images) or not features.numel() or features.is_complex():
            raise UserError(
                f"{self.name} returned {features.dtype} {tuple(features.shape)} for {len(images)} images: make it "
                "return real numbers (N, features)"
            )
        return features.float()


def tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields the parameters and buffers of `module`, each with its name."""
    return itertools.chain(module.named_parameters(), module.named_buffers())


def loaded(extractor: Extractor, device: torch.device) -> nn.Module:
    """Returns the extractor's module on `device`, ready for inference; builds it once per process, with `build`."""
    return _loaded(extractor, extractor.version(), device)


@lru_cache(maxsize=2)
def _loaded(extractor: Extractor, version: str, device: torch.device) -> nn.Module:
    # A trial that builds the extractor must draw the same random numbers as a trial that finds the extractor built. And
    # the weights that a factory draws must be the same in every process.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = extractor.build()
    return module.to(device).eval().requires_grad_(False)


def unload() -> None:
    """Frees all modules and their GPU memory."""
    _loaded.cache_clear()
    torch.cuda.empty_cache()
