"""Trains the small classifier whose features measure FID on the embedded digits, and writes its weights.

    python scripts/train_classifier.py

Half a minute on one core, the same weights on every run on one machine. Prints the accuracy on the test part and the
SHA-256 that belongs into `gansearch/metrics/extractors/digits_classifier.py`.
"""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from gansearch import registry
from gansearch.cache import atomic_write, sha256
from gansearch.cli.parser import OK, call
from gansearch.config import DataConfig
from gansearch.data.base import Images, to_float
from gansearch.errors import UserError
from gansearch.metrics.extractors.digits_classifier import WEIGHTS, Classifier

BATCH = 64


def augment(images: Tensor) -> Tensor:
    """Each image shifted by up to 2 pixels, turned by up to 0.15 rad and scaled by up to 10 %."""
    n = len(images)
    angle = (torch.rand(n) - 0.5) * 0.3
    scale = 1 + (torch.rand(n) - 0.5) * 0.2
    shift = (torch.rand(n, 2) - 0.5) * (8 / images.shape[-1])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def labelled(images: Images) -> tuple[Tensor, Tensor]:
    """Grey images in [-1, 1] and their labels; UserError where there are none."""
    if images.labels is None:
        raise UserError("this data set has no labels: choose another --data")
    return to_float(images.pixels).mean(1, keepdim=True), images.labels


def train(images: Images, epochs: int, seed: int) -> Classifier:
    """A classifier of `images`, trained by AdamW under a one-cycle learning rate with label smoothing."""
    torch.manual_seed(seed)
    x, y = labelled(images)
    model = Classifier(classes=len(images.classes))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for chosen in order[: len(x) // BATCH * BATCH].split(BATCH):
            _, logits = model(augment(x[chosen]))
            loss = F.cross_entropy(logits, y[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", file=sys.stderr)
    return model.eval()


@torch.inference_mode()
def accuracy(model: Classifier, images: Images) -> float:
    x, y = labelled(images)
    return (model(x)[1].argmax(1) == y).double().mean().item()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="a labelled data set (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the data set")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    options = dict(item.partition("=")[::2] for item in args.set)
    section = DataConfig.model_validate({"name": args.data, "resolution": Classifier.resolution, **options})
    data = registry.build("data", section)
    model = train(data.load("train"), args.epochs, args.seed)
    print(f"test accuracy {accuracy(model, data.load('test')):.4f}")
    atomic_write(args.out, lambda path: save_file(model.state_dict(), path))
    print(f"{args.out} ({args.out.stat().st_size:,} bytes) SHA-256 {sha256(args.out)}")
    return OK


if __name__ == "__main__":
    sys.exit(call(Path(__file__).name, main))
