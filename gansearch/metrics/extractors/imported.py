"""`metrics.name=MODULE:FACTORY`: an extractor that the user brings."""

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gansearch import foreign
from gansearch.cache import sha256
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import Extractor, loaded, tensors
from gansearch.registry import component


@component
class Imported(Extractor):
    """An extractor that a factory makes: a torch module from uint8 images (N, 3, H, W) to features (N, D).

    The factory is called without arguments, or with the path of `metrics.weights` where that is given. Python looks for
    MODULE in the current folder first. The hash covers the source files of MODULE and of the factory, and all
    parameters and buffers of the torch module. The hash does not cover other files that these files import.
    """

    name: str

    def weights_hash(self) -> str:
        digest = hashlib.sha256("".join(self._sources()).encode())
        for name, tensor in tensors(loaded(self, torch.device("cpu"))):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
        found = digest.hexdigest()
        if self.weights_sha256 and found != self.weights_sha256.lower():
            raise UserError(
                f"{self.name} with its tensors hashes to {found[:12]}..., not to the {self.weights_sha256[:12]}... of "
                "metrics.weights_sha256: leave that option out, or use the code and weights that it belongs to"
            )
        return found

    def version(self) -> str:
        # The code does not count: a process imports it only once.
        return "".join(map(sha256, map(Path, self._arguments())))

    def missing(self) -> str | None:
        # The factory is not called: it may download weights of its own.
        self._factory()
        self._arguments()
        return None

    def build(self) -> nn.Module:
        factory, arguments = self._factory(), self._arguments()
        try:
            inspect.signature(factory).bind(*arguments)
        except TypeError as error:
            given = "the path of metrics.weights" if arguments else "no argument, since metrics.weights is not given"
            raise UserError(f"metrics.name={self.name}: {error}; it is called with {given}") from None
        made = factory(*arguments)
        if not isinstance(made, nn.Module):
            raise UserError(f"metrics.name={self.name} made {type(made).__name__}: make it return a torch module")
        return made

    def _arguments(self) -> list[str]:
        if not self.weights:
            return []
        path = Path(self.weights).expanduser()
        if not path.is_file():
            raise UserError(f"metrics.weights={path}: there is no such file; give the path of the weights file")
        return [str(path)]

    def _factory(self) -> Callable[..., Any]:
        return foreign.find("metrics.name", self.name)

    def _sources(self) -> list[str]:
        """Returns the SHA-256 of the source files of MODULE and of the factory, which can be the same file."""
        factory = inspect.unwrap(self._factory())
        names = [self.name.partition(":")[0], *([factory.__module__] if hasattr(factory, "__qualname__") else [])]
        files = [getattr(sys.modules.get(name), "__file__", None) for name in names]
        return [sha256(Path(file)) for file in dict.fromkeys(files) if file]


def adapt(found: Any) -> type[Extractor] | None:
    """Returns the component for a factory, None for what can't be called."""
    return Imported if callable(found) and not isinstance(found, nn.Module) else None
