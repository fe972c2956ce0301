"""Training on a GPU that need not be there: by fake tensors, which refuse to mix devices.

Backward passes, and so optimisers and a gradient penalty, can't run there.
"""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gansearch import registry
from gansearch.config import ReplayConfig, TrialConfig
from gansearch.data.base import Images
from gansearch.data.loader import Batches
from gansearch.losses.base import Loss
from gansearch.models.attention import SelfAttention
from gansearch.models.base import ImageShape
from gansearch.models.spectral_norm import SpectralNorms
from gansearch.training.build import build_networks
from gansearch.training.ema import EMA
from gansearch.training.replay import Replay
from tests.fake_gpu import GPU, GPUGenerator, autocasting, move

BATCH, CLASSES = 4, 3
MODELS: list[dict[str, Any]] = [
    *({"model.name": name} for name in sorted(registry.classes("model"))),
    {"model.attention_at": 8, "model.spectral_norm": True},
    {"model.name": "sagan", "model.attention_at": 16},
    *({"model.conditioning": how} for how in ("concat", "projection", "acgan")),
]
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),
]


PRECISIONS = {"float32": "float32", "bf16": "bfloat16"}
LOSSES = sorted(registry.classes("loss"))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("changes", "loss_name"),  # each loss with one model, and each model with the losses in turn
    [*((MODELS[0], name) for name in LOSSES), *zip(MODELS[1:], itertools.cycle(LOSSES), strict=False)],
    ids=str,
)
def test_every_forward_pass_stays_on_the_device(changes: dict[str, Any], precision: str, loss_name: str) -> None:
    small = {"model.features": 8, "train.precision": precision, "loss.name": loss_name}
    config = registry.resolve(TrialConfig().override(small | changes))
    loss: Loss = registry.build("loss", config.loss)
    G, D = build_networks(config, ImageShape(3, 32, CLASSES), torch.device("cpu"))
    rng = GPUGenerator()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, autocasting():
        move(G, fake)
        move(D, fake)
        ema = EMA(G, 1.0)
        labels = torch.zeros(BATCH, dtype=torch.int64, device=GPU)
        z = torch.empty(BATCH, registry.build("model", config.model).z_dim, device=GPU)
        norms = SpectralNorms(G), SpectralNorms(D)
        for one in norms:
            one.iterate()
        autocast = torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bf16")
        with norms[0].held(), norms[1].held(), autocast:
            images: Tensor = G(z, labels)
            output = D(images, labels)
            logits = output.logits.float()
            terms = [*loss.discriminator(logits, logits, rng), loss.generator(logits, logits, rng)]
            terms.append(logits.mean() + loss.auxiliary(output.classes, labels))
        loss.constrain(D)
        ema.update(2 * BATCH, BATCH)
        averaged = ema.model(z, labels)
        assert images.shape == (BATCH, 3, 32, 32)
        assert (images.dtype, averaged.dtype) == (getattr(torch, PRECISIONS[precision]), torch.float32)
        assert {value.device.type for value in (images, logits, averaged, *terms)} == {"cuda"}
        with pytest.raises(RuntimeError, match="device"):
            D(images.float().cpu(), labels)  # so that a tensor left behind is found


@pytest.mark.parametrize(("loss", "expected"), [("hinge", True), ("wgan-gp", False)])
def test_attention_is_fused_on_a_gpu_where_no_second_derivative_is_needed(
    loss: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, calls = SelfAttention.fused, []

    def counted(layer: SelfAttention, x: Tensor) -> Tensor:
        calls.append(layer)
        return fused(layer, x)

    monkeypatch.setattr(SelfAttention, "fused", counted)
    small = {"model.features": 8, "model.attention_at": 8, "loss.name": loss}
    config = registry.resolve(TrialConfig().override(small))
    G, D = build_networks(config, ImageShape(3, 32), torch.device("cpu"))
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        move(G, fake)
        move(D, fake)
        images = G(torch.empty(BATCH, registry.build("model", config.model).z_dim, device=GPU))
        assert len(calls) == 1, "G never needs a second derivative"
        D(images)
        assert len(calls) == 1 + expected


def test_noise_in_labels_is_drawn_on_the_device() -> None:
    config = registry.resolve(TrialConfig().override({"loss.smoothing": 0.1, "loss.label_noise": 0.1}))
    loss: Loss = registry.build("loss", config.loss)
    with FakeTensorMode():
        logits = torch.empty(BATCH, device=GPU)
        assert {term.device.type for term in loss.discriminator(logits, logits, GPUGenerator())} == {"cuda"}


def test_replayed_fakes_stay_on_the_device() -> None:
    """Three batches, so that the buffer is filled, mixed in and written over."""
    with FakeTensorMode():
        replay = Replay(ReplayConfig(every=1, capacity=BATCH + 1), GPUGenerator())
        fakes, labels = torch.empty(BATCH, 3, 8, 8, device=GPU), torch.zeros(BATCH, dtype=torch.int64, device=GPU)
        for _ in range(3):
            mixed, theirs = replay.mix(fakes, labels)
            assert theirs is not None and (mixed.device.type, theirs.device.type) == ("cuda", "cuda")


def test_batches_are_chosen_on_the_device() -> None:
    with FakeTensorMode():
        pixels, labels = torch.zeros(10, 3, 8, 8, dtype=torch.uint8, device=GPU), torch.zeros(10, device=GPU).long()
        batches = Batches(Images(pixels, labels, ("a", "b")), BATCH, GPUGenerator())
        real, theirs = batches.next()
        drawn = batches.labels(GPUGenerator(), BATCH)
        assert theirs is not None and drawn is not None
        assert {value.device.type for value in (real, theirs, drawn)} == {"cuda"}
