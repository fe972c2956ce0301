"""One D step and one G step. Variants differ in the loss, the model and the replay buffer, not in these functions."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam

from gansearch.config import OptimConfig, TrialConfig
from gansearch.losses.base import Loss
from gansearch.models.spectral_norm import SpectralNorms
from gansearch.training.compiled import Forward, forwards
from gansearch.training.replay import Replay


@dataclass(frozen=True)
class TrainState:
    """The two networks, their optimisers, the loss, and all else that a training step reads or changes.

    `g_forward` and `d_forward` are the forward passes of G and D, compiled or not, for steps that need one derivative.
    """

    G: nn.Module
    D: nn.Module
    g_forward: Forward
    d_forward: Forward
    g_optimizer: Adam
    d_optimizer: Adam
    g_norms: SpectralNorms
    d_norms: SpectralNorms
    loss: Loss
    replay: Replay
    rng: Generator
    bfloat16: bool

    @classmethod
    def create(cls, config: TrialConfig, G: nn.Module, D: nn.Module, loss: Loss, rng: Generator) -> "TrainState":
        """Returns the state at the start of training for networks that lie on the device of `rng`."""
        g_forward, d_forward = forwards(config.train, (G, D), rng.device)
        return cls(
            G=G,
            D=D,
            g_forward=g_forward,
            d_forward=d_forward,
            g_optimizer=_adam(G, config.optim.g_lr, config.optim),
            d_optimizer=_adam(D, config.optim.d_lr, config.optim),
            g_norms=SpectralNorms(G),
            d_norms=SpectralNorms(D),
            loss=loss,
            replay=Replay(config.replay, rng),
            rng=rng,
            bfloat16=config.train.precision == "bf16",
        )

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.rng.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def generate(self, z: Tensor, labels: Tensor | None, *, for_g: bool) -> Tensor:
        """Returns images (N, C, H, W) of z (N, z_dim) and labels (N,), with a graph for `g_step` if `for_g` is set."""
        with torch.set_grad_enabled(for_g), self.g_norms.held(), self.autocast():
            return self.g_forward(z, labels)


def d_step(state: TrainState, real: Tensor, labels: Tensor | None, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Makes one step of D.

    A gradient penalty is measured between `real` and `fake`, so between images of one class, even at steps where the
    replay buffer gives D earlier fakes.

    Args:
        state: The state of training; D and its optimiser change.
        real: Real images (N, C, H, W).
        labels: The labels (N,) of `real`, and of `fake` too.
        fake: As many images of G.

    Returns:
        The terms of real and of fake images: detached scalars on the device, so that nothing waits for them.
    """
    loss, D, rng = state.loss, state.D, state.rng
    fake = fake.detach()
    with state.d_norms.held(), state.autocast():
        mixed, mixed_labels = state.replay.mix(fake, labels)
        on_real, on_fake = state.d_forward(real, labels), state.d_forward(mixed, mixed_labels)
        real_term, fake_term = loss.discriminator(on_real.logits.float(), on_fake.logits.float(), rng)
        total = real_term + fake_term
        total = total + loss.auxiliary(on_real.classes, labels) + loss.auxiliary(on_fake.classes, mixed_labels)
        penalty = loss.penalty(lambda images: D(images, labels).logits, real, fake, rng)
    if penalty is not None:
        total = total + penalty
    state.d_optimizer.zero_grad(set_to_none=True)
    total.backward()
    state.d_optimizer.step()
    loss.constrain(D)
    state.d_norms.iterate()
    return real_term.detach(), fake_term.detach()


def g_step(state: TrainState, real: Tensor, labels: Tensor | None, fake: Tensor) -> Tensor:
    """Makes one step of G.

    Args:
        state: The state of training; G and its optimiser change.
        real: Real images (N, C, H, W) for a loss with `pairs`; D does not see them for other losses.
        labels: The labels (N,) of `fake`, and for a loss with `pairs` of `real` too.
        fake: Images of G (N, C, H, W), generated with `for_g`.

    Returns:
        The loss of G, a detached scalar on the device.
    """
    loss = state.loss
    state.D.requires_grad_(False)  # gradients of D's weights would be computed and thrown away
    with state.d_norms.held(), state.autocast():
        output = state.d_forward(fake, labels)
        on_real = state.d_forward(real, labels).logits.float() if loss.pairs else None
        g_loss = loss.generator(output.logits.float(), on_real, state.rng)
        total = g_loss + loss.auxiliary(output.classes, labels)
    state.g_optimizer.zero_grad(set_to_none=True)
    total.backward()
    state.g_optimizer.step()
    state.g_norms.iterate()
    state.D.requires_grad_(True)
    return g_loss.detach()


def _adam(network: nn.Module, lr: float, config: OptimConfig) -> Adam:
    """Returns Adam for one network. G and D have learning rates of their own (Heusel et al. 2017)."""
    return Adam(network.parameters(), lr=lr, betas=(config.beta1, config.beta2), fused=True)
