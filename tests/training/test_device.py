"""Training on a GPU that need not be there: by fake tensors, which refuse to mix devices.

Backward passes, and so a gradient penalty, can't run there.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.losses.base import Loss
from gansearch.models.base import ImageShape
from gansearch.training.build import build_players
from gansearch.training.ema import EMA

BATCH, CLASSES = 4, 3
CPU, GPU = torch.device("cpu"), torch.device("cuda")
MODELS: list[dict[str, Any]] = [
    *({"model.name": name} for name in sorted(registry.classes("model"))),
    {"model.attention_at": 8, "model.spectral_norm": True},
    {"model.name": "sagan", "model.attention_at": 16},
    *({"model.conditioning": how} for how in ("concat", "projection", "acgan")),
]


def on_gpu(net: nn.Module, fake: FakeTensorMode) -> None:
    """Moves what a net says it consists of: what it keeps beside that stays behind and is found."""
    for part in net.modules():
        for name, parameter in part.named_parameters(recurse=False):
            part._parameters[name] = nn.Parameter(fake.from_tensor(parameter.detach()).to(GPU))
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = fake.from_tensor(buffer).to(GPU)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("loss_name", sorted(registry.classes("loss")))
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("changes", MODELS, ids=str)
def test_every_forward_pass_stays_on_the_device(changes: dict[str, Any], precision: str, loss_name: str) -> None:
    small = {"model.features": 8, "train.precision": precision, "loss.name": loss_name}
    config = registry.resolve(TrialConfig().override(small | changes))
    loss: Loss = registry.build("loss", config.loss)
    G, D = build_players(config, ImageShape(3, 32, CLASSES), CPU)
    ema = EMA(G, 1.0)
    rng: Any = None  # a generator of a GPU can't be made without one
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        for net in (G, D, ema.model):
            on_gpu(net, fake)
        labels = torch.zeros(BATCH, dtype=torch.int64, device=GPU)
        z = torch.empty(BATCH, registry.build("model", config.model).z_dim, device=GPU)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bf16"):
            images: Tensor = G(z, labels)
            verdict = D(images, labels)
            logits = verdict.logits.float()
            terms = [loss.real(logits, rng), loss.fake(logits, rng), loss.generator(logits)]
            terms.append(logits.mean() + loss.auxiliary(verdict.classes, labels))
            ema.model(z, labels)
        assert images.shape == (BATCH, 3, 32, 32)
        assert {value.device.type for value in (images, logits, *terms)} == {"cuda"}
        with pytest.raises(RuntimeError, match="device"):
            D(images.cpu(), labels)  # so that a tensor left behind is found
