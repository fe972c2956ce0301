"""`dinov2-vit-b-14`: the class token of DINOv2, as in torch-fidelity, but with pinned code and weights."""

import hashlib
import http.client
import os
import sys
import warnings
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from gansearch.cache import make_once, sha256
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.published import Published
from gansearch.registry import component

_NAME = "dinov2-vit-b-14"
# A commit that public repositories pin: the code of a branch can change any day.
CODE = "facebookresearch/dinov2:7764ea0f912e53c92e82eb78a2a1631e92725fc8"


def _folder() -> Path:
    """Returns the folder to which torch.hub downloads the code."""
    return Path(torch.hub.get_dir()) / CODE.replace("/", "_").replace(":", "_")


def _network() -> nn.Module:
    """Builds the network without weights."""
    try:
        return _from_hub(str(_code()), source="local")
    except (ImportError, SyntaxError, AttributeError, OSError, RuntimeError, TypeError) as error:
        raise UserError(
            f"the code of {_NAME} in {_folder()} does not run ({one_line(error)[:200]}): delete that folder, and it is "
            "downloaded again"
        ) from error


def _code() -> Path:
    """Returns the folder of the network's code; downloads the code where there is none.

    Raises UserError where the code cannot be downloaded.
    """
    folder = _folder()

    def download() -> Path:
        _from_hub(CODE, source="github")
        return folder

    try:
        return make_once(
            folder,
            what="the download of DINOv2's code",
            read=lambda: folder if folder.is_dir() else None,
            make=download,
        )
    except (OSError, http.client.HTTPException, zipfile.BadZipFile) as error:
        raise UserError(
            f"the code of {_NAME} cannot be downloaded from GitHub to {folder} ({one_line(error)}): copy that folder "
            "from a machine with a network, or choose another metrics.name"
        ) from error


def _from_hub(place: str, source: str) -> nn.Module:
    # Where xFormers is installed, the code would use it for attention: other features on some machines.
    os.environ["XFORMERS_DISABLED"] = "1"
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="xFormers")  # the code warns of it with and without it
        return torch.hub.load(
            place,
            "dinov2_vitb14",
            source=source,
            trust_repo=True,
            skip_validation=True,
            verbose=False,
            pretrained=False,
        )


@component
class DINOv2ViTB14(Published):
    """768 features of a network trained without labels; close to human judgement (Stein et al. 2023)."""

    name: str = _NAME
    feature_name: ClassVar[str] = "dinov2"
    url: ClassVar[str] = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth"
    mib: ClassVar[int] = 330
    own_sha256: ClassVar[str] = "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"

    def weights_hash(self) -> str:
        """Returns a SHA-256 of the weights file and of the code; downloads what is missing."""
        weights = super().weights_hash()
        code = _code()
        digest = hashlib.sha256(weights.encode())
        for path in sorted(code.rglob("*.py")):
            digest.update(f"{path.relative_to(code)} {sha256(path)}".encode())
        return digest.hexdigest()

    def missing(self) -> str | None:
        weights = super().missing()
        if _folder().is_dir():
            return weights
        code = f"the code of {self.name} is not in {_folder().parent}: {CODE} from https://github.com"
        return f"{weights}; {code}" if weights else code

    def module(self, path: Path) -> nn.Module:
        from gansearch.metrics.networks.dinov2 import DINOv2

        return DINOv2(self.name, [self.feature_name], _network(), path)
