"""One D step and one G step. What differs between variants lives in the loss, the model and the replay buffer."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam

from gansearch.losses.base import Loss
from gansearch.training.compiled import Pass
from gansearch.training.replay import Replay


@dataclass(frozen=True)
class Players:
    """The two networks, their optimisers, and the loss that they play for.

    `g_pass` and `d_pass` are what is called in their place where one derivative is enough.
    """

    G: nn.Module
    D: nn.Module
    g_pass: Pass
    d_pass: Pass
    g_optimizer: Adam
    d_optimizer: Adam
    loss: Loss
    replay: Replay
    rng: Generator
    bfloat16: bool

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.rng.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def generate(self, z: Tensor, labels: Tensor | None, *, for_g: bool) -> Tensor:
        """Images (N, C, H, W) of z (N, z_dim) and labels (N,); with `for_g` they carry G's gradients for `g_step`."""
        with self.autocast(), torch.set_grad_enabled(for_g):
            return self.g_pass(z, labels)


def d_step(players: Players, real: Tensor, labels: Tensor | None, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """One step of D on real images (N, C, H, W) and as many that G has drawn for the same labels (N,).

    A gradient penalty looks between real images and these fakes, so between images of one class, whatever the replay
    buffer mixes in. Returns the loss on real and on fake images, detached scalars on the device (no synchronisation).
    """
    loss, D, rng = players.loss, players.D, players.rng
    drawn = drawn.detach()
    with players.autocast():
        fake, fake_labels = players.replay.mix(drawn, labels)
        of_real, of_fake = players.d_pass(real, labels), players.d_pass(fake, fake_labels)
        real_term = loss.real(of_real.logits.float(), rng)
        fake_term = loss.fake(of_fake.logits.float(), rng)
        total = real_term + fake_term
        total = total + loss.auxiliary(of_real.classes, labels) + loss.auxiliary(of_fake.classes, fake_labels)
        penalty = loss.penalty(lambda images: D(images, labels).logits, real, drawn, rng)
    if penalty is not None:
        total = total + penalty
    players.d_optimizer.zero_grad(set_to_none=True)
    total.backward()
    players.d_optimizer.step()
    loss.constrain(D)
    return real_term.detach(), fake_term.detach()


def g_step(players: Players, drawn: Tensor, labels: Tensor | None) -> Tensor:
    """One step of G on images that it has drawn `for_g` and for labels (N,); returns its loss as `d_step` does."""
    loss = players.loss
    players.D.requires_grad_(False)  # its weight gradients would be computed and thrown away
    with players.autocast():
        verdict = players.d_pass(drawn, labels)
        g_loss = loss.generator(verdict.logits.float())
        total = g_loss + loss.auxiliary(verdict.classes, labels)
    players.g_optimizer.zero_grad(set_to_none=True)
    total.backward()
    players.g_optimizer.step()
    players.D.requires_grad_(True)
    return g_loss.detach()
