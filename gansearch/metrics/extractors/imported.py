"""`metrics.name=MODULE:FACTORY`: an extractor of one's own."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from gansearch.cache import sha256
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.registry import component


@component
class Imported(Extractor):
    """What a factory makes: a torch module from uint8 images (N, 3, H, W) to float features (N, D).

    The factory is called without arguments, or with the path of `metrics.weights` where that is given. Its module is
    looked for in the current folder first. Its source file and all tensors of what it makes are hashed.
    """

    name: Annotated[str, Field(pattern=r"^\w+(\.\w+)*:\w+$")]

    def weights_hash(self) -> str:
        source = inspect.getsourcefile(self._factory())
        digest = hashlib.sha256(sha256(Path(source)).encode() if source else b"")
        for name, tensor in loaded(self, torch.device("cpu")).state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        found = digest.hexdigest()
        if self.weights_sha256 and found != self.weights_sha256.lower():
            raise UserError(
                f"{self.name} with its tensors hashes to {found[:12]}..., not to the {self.weights_sha256[:12]}... of "
                "metrics.weights_sha256: leave that out, or take the code and weights that it was of"
            )
        return found

    def version(self) -> str:
        return ""  # its code is imported once anyway

    def build(self) -> nn.Module:
        if self.weights and not Path(self.weights).expanduser().is_file():
            raise UserError(f"metrics.weights={self.weights}: there is no such file; give the path of the weights file")
        made = self._factory()(*([str(Path(self.weights).expanduser())] if self.weights else []))
        if not isinstance(made, nn.Module) or next(made.parameters(), None) is None:
            raise UserError(f"metrics.name={self.name} made {type(made).__name__}: it has to make a torch module")
        return made

    def _factory(self) -> Callable[..., Any]:
        module_name, _, attribute = self.name.partition(":")
        here = str(Path.cwd())
        if here not in sys.path:  # as `python -m` does
            sys.path.insert(0, here)
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"metrics.name={self.name} cannot be imported ({one_line(error)}): give MODULE:FACTORY, the module in "
                "the current folder or installed"
            ) from error
