"""What a feature extractor is: a torch module that is loaded once per process, and how images go through it."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gansearch.errors import UserError
from gansearch.registry import component

Precision = Literal["float32", "bf16"]


@component
class Extractor(ABC):
    """Turns images into features. A subclass in a file of its own is found by the registry."""

    name: str
    """How a protocol names it."""
    weights: str | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    precision: Precision = "float32"

    @abstractmethod
    def weights_hash(self) -> str:
        """SHA-256 of what decides the features besides the images; fetched if need be, UserError where it can't be."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The module, uint8 (N, 3, H, W) to features (N, D) or a tuple of them alone; UserError as `weights_hash`."""

    def version(self) -> str:
        """What changes where a process that has loaded the module must load it again."""
        return self.weights_hash()

    def missing(self) -> str | None:
        """What a start would have to fetch; None where all is here. Fetches nothing; UserError as `weights_hash`."""
        self.weights_hash()
        return None

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def features(self, module: nn.Module, images: Tensor) -> Tensor:
        """float32 features (N, D) of uint8 images (N, 1 or 3, H, W); grey ones are repeated over three channels.

        In the extractor's own precision, whatever that of the training around it is, and on the module's device, or,
        where it holds no tensors, on that of the images. UserError where the module gives something else.
        """
        _, tensor = next(tensors(module), ("", images))
        device = tensor.device
        colour = images.to(device).expand(-1, 3, -1, -1)
        fast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), _full_float32(), fast:
            found = module(colour)
        features = found[0] if isinstance(found, tuple) else found
        if not isinstance(features, Tensor):
            raise UserError(f"{self.name} made {type(features).__name__} of images: it has to give a tensor")
        if features.dim() != 2 or len(features) != len(images) or not features.numel() or features.is_complex():
            raise UserError(
                f"{self.name} made {features.dtype} {tuple(features.shape)} of {len(images)} images: it has to give "
                "real numbers (N, features)"
            )
        return features.float()


def tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of `module` by name."""
    return itertools.chain(module.named_parameters(), module.named_buffers())


def loaded(extractor: Extractor, device: torch.device) -> nn.Module:
    """The extractor's module on `device`, ready for inference; built once per process. UserError as `build` says."""
    return _loaded(extractor, extractor.version(), device)


@lru_cache(maxsize=2)
def _loaded(extractor: Extractor, version: str, device: torch.device) -> nn.Module:
    # A trial that happens to build the extractor must draw the same numbers as one that finds it ready; and weights
    # that a factory draws are the same in every process.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = extractor.build()
    return module.to(device).eval().requires_grad_(False)


def unload() -> None:
    """Lets go of all modules, and of the GPU memory that they held."""
    _loaded.cache_clear()
    torch.cuda.empty_cache()


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
