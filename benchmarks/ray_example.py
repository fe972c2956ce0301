"""The training function of Ray Tune's own GAN example, as installed, on networks of gansearch.

The function makes five steps per call. At every step it computes an inception score by a small classifier, which has
random weights here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import ray
import torch
from ray.tune.examples.pbt_dcgan_mnist.common import Net, beta1, train_func, train_iterations_per_step, workers
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from benchmarks.plain import Pictures, plainly
from gansearch.config import TrialConfig
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks


class FromColumns(nn.Module):
    """G as the example calls it: z (N, z_dim, 1, 1)."""

    def __init__(self, G: nn.Module) -> None:
        super().__init__()
        self.G = G

    def forward(self, z: Tensor) -> Tensor:
        return self.G(z.flatten(1))


class Probability(nn.Module):
    """D as the example calls it: images to probabilities."""

    def __init__(self, D: nn.Module) -> None:
        super().__init__()
        self.D = D

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.D(images).logits)


class Grey(nn.Module):
    """The example's classifier, of images with three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images.mean(1, keepdim=True))


class Labelled(Pictures):
    """Pairs of an image and a label, of which the example uses the image."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:  # type: ignore[override]
        return super().__getitem__(index), 0


@contextmanager
def ray_example(config: TrialConfig, pixels: Tensor) -> Iterator[Callable[[int], object]]:
    """Yields a function that trains a number of steps, a multiple of the example's five, in a Ray for this block."""
    G, D = build_networks(config, ImageShape(3, pixels.shape[-1]), torch.device("cpu"))
    nets = FromColumns(plainly(G)), Probability(plainly(D))
    optimizers = [optim.Adam(net.parameters(), lr=2e-4, betas=(beta1, 0.999)) for net in nets]
    loader = DataLoader(Labelled(pixels), config.train.batch, shuffle=True, num_workers=workers)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        classifier = ray.put(Grey().eval())

        def train(steps: int) -> None:
            with redirect_stdout(StringIO()):
                for iteration in range(steps // train_iterations_per_step):
                    train_func(
                        nets[1],
                        nets[0],
                        optimizers[0],
                        optimizers[1],
                        nn.BCELoss(),
                        loader,
                        iteration,
                        torch.device("cpu"),
                        classifier,
                    )

        yield train
    finally:
        ray.shutdown()
