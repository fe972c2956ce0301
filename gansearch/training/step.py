"""One D step and one G step. What differs between variants lives in the loss, the model and the replay buffer."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam

from gansearch.losses.base import Loss
from gansearch.training.replay import Replay


@dataclass(frozen=True)
class Players:
    """The two networks, their optimisers, and the loss that they play for."""

    G: nn.Module
    D: nn.Module
    g_optimizer: Adam
    d_optimizer: Adam
    loss: Loss
    replay: Replay
    rng: Generator
    bfloat16: bool

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.rng.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)


def d_step(players: Players, real: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """One step of D on real images (N, C, H, W) and as many fakes from z (N, z_dim).

    Returns the loss on real and on fake images, detached scalars on the device (no synchronisation).
    """
    loss, D = players.loss, players.D
    with players.autocast():
        with torch.no_grad():
            fake = players.replay.mix(players.G(z))
        real_term = loss.real(D(real).float())
        fake_term = loss.fake(D(fake).float())
    penalty = loss.penalty(D, real, fake, players.rng)
    total = real_term + fake_term if penalty is None else real_term + fake_term + penalty
    players.d_optimizer.zero_grad(set_to_none=True)
    total.backward()
    players.d_optimizer.step()
    loss.constrain(D)
    return real_term.detach(), fake_term.detach()


def g_step(players: Players, z: Tensor) -> Tensor:
    """One step of G on z (N, z_dim); returns its loss as `d_step` does."""
    players.D.requires_grad_(False)  # its weight gradients would be computed and thrown away
    with players.autocast():
        g_loss = players.loss.generator(players.D(players.G(z)).float())
    players.g_optimizer.zero_grad(set_to_none=True)
    g_loss.backward()
    players.g_optimizer.step()
    players.D.requires_grad_(True)
    return g_loss.detach()
