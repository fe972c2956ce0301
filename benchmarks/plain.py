"""A loop of the kind that people run today, as a baseline: same networks, same batch, same losses.

`PlainLoop` is written in the manner of PyTorch's own DCGAN example: a DataLoader with two workers over torchvision's
transforms, float32, Adam with default options, `.item()` at every step.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gansearch.config import TrialConfig
from gansearch.models.attention import SelfAttention
from gansearch.models.blocks import FromMaps, ToMaps
from gansearch.models.leaky import LeakyReLU

WORKERS = 2


class Pictures(Dataset[Tensor]):
    """Images as torchvision's CIFAR10 stores them: an array in memory, each made a PIL image and transformed."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels: np.ndarray = pixels.permute(0, 2, 3, 1).numpy()
        size = pixels.shape[-1]
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.fromarray(self.pixels[index]))


def endless(loader: DataLoader[Tensor]) -> Iterator[Tensor]:
    while True:
        yield from loader


class PlainAttention(SelfAttention):
    """Self-attention as common implementations write it: two products with a softmax between."""

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (project(x).flatten(2) for project in (self.f, self.g, self.h))
        attention = torch.softmax(torch.bmm(query.transpose(1, 2), key), dim=-1)
        return x + self.gamma * self.out(torch.bmm(value, attention.transpose(1, 2)).view_as(x))


class PlainLeakyReLU(LeakyReLU):
    """Leaky ReLU by torch's own function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(x, self.negative_slope)


class PlainToMaps(ToMaps):
    """A dense layer's output viewed as maps."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1, self.size, self.size)


class PlainFromMaps(FromMaps):
    """Maps flattened to a row of features."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    SelfAttention: PlainAttention,
    LeakyReLU: PlainLeakyReLU,
    ToMaps: PlainToMaps,
    FromMaps: PlainFromMaps,
}


def plainly(net: nn.Module) -> nn.Module:
    """Returns the same net with layers as people write them, in the usual memory layout. The net is changed."""
    for module in net.modules():
        module.__class__ = PLAIN.get(type(module), type(module))
    return net.to(memory_format=torch.contiguous_format)


class PlainLoop:
    """Trains a GAN in the manner of the example. The networks given are changed."""

    def __init__(self, config: TrialConfig, G: nn.Module, D: nn.Module, pixels: Tensor, device: torch.device) -> None:
        """`pixels`: uint8 (N, 3, H, W); the loss is one of bce, hinge and wgan-gp."""
        self.G, self.D, self.z_dim = plainly(G).to(device), plainly(D).to(device), config.model.options["z_dim"]
        optimizers = [
            optim.Adam(net.parameters(), lr=lr, betas=(config.optim.beta1, config.optim.beta2))
            for net, lr in ((G, config.optim.g_lr), (D, config.optim.d_lr))
        ]
        self.g_optimizer, self.d_optimizer = optimizers
        self.loss, self.d_steps = LOSSES[config.loss.name], config.optim.d_steps
        loader = DataLoader(Pictures(pixels), config.train.batch, shuffle=True, num_workers=WORKERS, drop_last=True)
        self.batches = endless(loader)
        self.made, self.device = 0, device

    def train(self, d_steps: int) -> dict[str, float]:
        losses: dict[str, float] = {}
        for _ in range(d_steps):
            real = next(self.batches).to(self.device)
            fake = self.G(torch.randn(len(real), self.z_dim, device=self.device))
            self.D.zero_grad()
            of_real, of_fake = self.D(real).logits, self.D(fake.detach()).logits
            d_loss = self.loss.discriminator(of_real, of_fake) + self.loss.penalty(self.D, real, fake.detach())
            d_loss.backward()
            self.d_optimizer.step()
            losses["d_loss"] = d_loss.item()
            self.made += 1
            if self.made % self.d_steps == 0:
                self.G.zero_grad()
                g_loss = self.loss.generator(self.D(fake).logits)
                g_loss.backward()
                self.g_optimizer.step()
                losses["g_loss"] = g_loss.item()
        return losses


class PlainBCE:
    criterion = nn.BCEWithLogitsLoss()

    def discriminator(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        return self.criterion(of_real, torch.ones_like(of_real)) + self.criterion(of_fake, torch.zeros_like(of_fake))

    def generator(self, of_fake: Tensor) -> Tensor:
        return self.criterion(of_fake, torch.ones_like(of_fake))

    def penalty(self, D: nn.Module, real: Tensor, fake: Tensor) -> Tensor | float:
        return 0.0


class PlainHinge(PlainBCE):
    def discriminator(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        return torch.relu(1 - of_real).mean() + torch.relu(1 + of_fake).mean()

    def generator(self, of_fake: Tensor) -> Tensor:
        return -of_fake.mean()


class PlainWGANGP(PlainHinge):
    def discriminator(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        return of_fake.mean() - of_real.mean()

    def penalty(self, D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        logits = D(between).logits
        (slope,) = torch.autograd.grad(
            logits, between, grad_outputs=torch.ones_like(logits), create_graph=True, retain_graph=True
        )
        return 10.0 * ((slope.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()


LOSSES: dict[str, Any] = {"bce": PlainBCE(), "hinge": PlainHinge(), "wgan-gp": PlainWGANGP()}
