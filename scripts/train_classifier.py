"""Trains a small classifier whose features measure FID, and writes its weights.

    python scripts/train_classifier.py
    python scripts/train_classifier.py --data image_folder --set dir=DIR --set test_share=0.2 --flip --out FILE

The first command trains the shipped weights, on the embedded digits: half a minute on one core. The second command
trains on a folder of photographs with one folder per class. Every run on one machine gives the same weights. Prints the
accuracy on the test images, the file's SHA-256, and the options that make a search use the file.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from gansearch import registry
from gansearch.cache import atomic_write, sha256
from gansearch.cli.parser import OK, Parser, call, non_negative_int, positive_int
from gansearch.config import TrialConfig
from gansearch.data.base import Dataset, Images, NoSplit, to_float
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.digits_classifier import WEIGHTS
from gansearch.metrics.networks.classifier import Classifier
from gansearch.search.find_space import parse_settings

BATCH = 64


def augment(images: Tensor, flip: bool) -> Tensor:
    """Shifts each image by up to 2 pixels, turns it by up to 0.15 rad, scales it by up to 10 %, may mirror it."""
    n = len(images)
    angle = (torch.rand(n) - 0.5) * 0.3
    scale = 1 + (torch.rand(n) - 0.5) * 0.2
    shift = (torch.rand(n, 2) - 0.5) * (8 / images.shape[-1])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    if flip:
        theta[torch.rand(n) < 0.5, :, 0] *= -1
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def labelled(images: Images) -> tuple[Tensor, Tensor]:
    """Returns images in [-1, 1] and their labels; raises UserError where there are fewer than two classes."""
    if images.labels is None or len(images.classes) < 2:
        raise UserError("this data set has fewer than two classes: choose another --data")
    return to_float(images.pixels), images.labels


def train(images: Images, *, width: int, epochs: int, flip: bool, seed: int) -> Classifier:
    """Trains a classifier of `images` by AdamW with a one-cycle learning rate and label smoothing."""
    torch.manual_seed(seed)
    x, y = labelled(images)
    if len(x) < BATCH:
        raise UserError(f"{len(x)} images are too few to train on: a batch has {BATCH}")
    model = Classifier(channels=x.shape[1], classes=len(images.classes), width=width)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for chosen in order[: len(x) // BATCH * BATCH].split(BATCH):
            _, logits = model(augment(x[chosen], flip))
            loss = F.cross_entropy(logits, y[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", file=sys.stderr)
    return model.eval()


@torch.inference_mode()
def accuracy(model: Classifier, images: Images) -> float:
    """Returns the share of images that the classifier assigns to the right class."""
    x, y = labelled(images)
    found = torch.cat([model(batch)[1].argmax(1) for batch in x.split(256)])
    return (found == y).double().mean().item()


def accuracy_text(model: Classifier, data: Dataset) -> str:
    try:
        images = data.load("test")
    except NoSplit as error:
        return f"test accuracy not measured: {one_line(error)}"
    return f"test accuracy {accuracy(model, images):.4f} ({len(images)} images)"


def dataset(name: str, settings: Sequence[str]) -> Dataset:
    """Builds the data set of that name with options such as `dir=photos`. Raises UserError for a wrong option."""
    options = parse_settings([f"data.{setting}" for setting in settings], None)
    fixed = {"data.name": name, "data.resolution": Classifier.resolution}
    data: Dataset = registry.build("data", TrialConfig().override({**options, **fixed}).data)
    return data


def check_writable(out: Path) -> None:
    """Raises UserError, before minutes of training, where `out` cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out.parent} cannot be made ({error.strerror}): choose another --out") from None
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise UserError(f"{out} cannot be written: choose another --out")


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="a labelled data set (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the data set")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the file to write (default: the shipped weights of the digits)"
    )
    parser.add_argument("--width", type=positive_int, default=16, help="maps of the first layer (default: %(default)s)")
    parser.add_argument("--flip", action="store_true", help="also mirror images: for photographs, not for characters")
    parser.add_argument("--epochs", type=positive_int, default=40, help="default: %(default)s")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="default: %(default)s")
    args = parser.parse_args(argv)
    out = args.out or (WEIGHTS if args.data == "digits" else None)
    if out is None:
        raise UserError("give --out FILE for the weights: the default file is for the weights of the digits")
    check_writable(out)

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = dataset(args.data, args.set)
    model = train(data.load("train"), width=args.width, epochs=args.epochs, flip=args.flip, seed=args.seed)
    atomic_write(out, lambda path: save_file(model.state_dict(), path))
    print(accuracy_text(model, data))
    print(f"{out} ({out.stat().st_size:,} bytes) SHA-256 {sha256(out)}")
    print(f"--set metrics.weights={out} --set metrics.weights_sha256={sha256(out)}")
    return OK


if __name__ == "__main__":
    sys.exit(call(Path(__file__).name, main))
