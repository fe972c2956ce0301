"""Extractors of torch-fidelity's registry whose weights are one file with a known hash."""

import pickle
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from safetensors import SafetensorError
from torch import nn

from gansearch.cache import sha256
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import Extractor
from gansearch.registry import component

# The errors, besides OSError, of reading a file of other content or another layout.
_NO_WEIGHTS = (
    *(RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, EOFError),
    *(SafetensorError, pickle.UnpicklingError),
)


@component
class FromFile(Extractor, ABC):
    """An extractor whose `name` is a name of torch-fidelity's registry."""

    feature_name: ClassVar[str]
    """The name of the module's features that are compared."""
    own_sha256: ClassVar[str]
    """SHA-256 of the extractor's own, published weights."""

    @abstractmethod
    def own_weights(self) -> Path:
        """Returns the extractor's own weights file, after a download if needed; UserError where that fails."""

    def readable_weights(self, path: Path) -> Any:
        """Returns the argument by which the module's constructor gets the weights of `path`, a checked file."""
        return str(path)

    def module(self, path: Path) -> nn.Module:
        """Builds the module with the weights of the checked file `path`; raises one of _NO_WEIGHTS for a wrong file."""
        # Imported late, because it loads torchvision: whoever only checks a configuration needs neither.
        from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

        return FEATURE_EXTRACTORS_REGISTRY[self.name](
            self.name, [self.feature_name], feature_extractor_weights_path=self.readable_weights(path)
        )

    def weights_hash(self) -> str:
        """Returns the SHA-256 of the weights file; UserError where the file is missing or is not the expected one."""
        return sha256(self._checked_weights())

    def missing(self) -> str | None:
        self._checked_weights()
        return None

    def build(self) -> nn.Module:
        path = self._checked_weights()
        try:
            return self.module(path)
        except UserError:
            raise
        except _NO_WEIGHTS as error:
            raise UserError(
                f"{path} holds no weights of {self.name} ({one_line(error)[:200]}): give the right file with "
                "--set metrics.weights=FILE"
            ) from error

    def _checked_weights(self) -> Path:
        path = Path(self.weights).expanduser() if self.weights else self.own_weights()
        if not path.is_file():
            raise UserError(f"metrics.weights={path}: there is no such file; give the path of the weights file")
        try:
            found = sha256(path)
        except OSError as error:
            raise UserError(f"metrics.weights={path} cannot be read ({error.strerror}): fix its permissions") from None
        expected = (self.weights_sha256 or self.own_sha256).lower()
        if found != expected:
            fix = "delete it, or install gansearch again"
            if self.weights:
                fix = "give the right file with --set metrics.weights=FILE"
            raise UserError(
                f"{path} is not the weights file of {self.name}: expected SHA-256 {expected[:12]}..., found "
                f"{found[:12]}...; {fix}, or, if you want this file, --set metrics.weights_sha256={found}"
            )
        return path
