"""Artifacts of a trial to look at: curves, grids of samples, attention maps. Writing them does not change training.

The files of an evaluation are named by the images shown. Repeating the evaluation overwrites them, so a trial that was
killed and resumes from its last checkpoint neither loses nor repeats anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from gansearch.config import ArtifactsConfig
from gansearch.run.paths import GIF, SAMPLES, attention_file, curves_file, samples_file
from gansearch.run.rows import Evaluation
from gansearch.training import attention_maps, grids
from gansearch.training.curves import Point, events
from gansearch.training.storage import Storage

SHOWN_ATTENTION = 4  # images whose attention is shown


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A trial at one evaluation.

    Args:
        G: The averaged generator, in eval mode.
        D: The discriminator, in train mode.
        z_dim: The size of z.
        classes: The names of the classes; empty where the networks use no labels.
        real: Images (4, C, H, W) in [-1, 1], the same at every evaluation.
        real_labels: The labels (4,) of `real`.
        evaluation: The evaluation.
        curve: The losses since the previous evaluation.
    """

    G: nn.Module
    D: nn.Module
    z_dim: int
    classes: tuple[str, ...]
    real: Tensor
    real_labels: Tensor | None
    evaluation: Evaluation
    curve: list[Point]


class Artifacts:
    """Writes the artifacts of a trial below `root`, the path or URI of the trial's checkpoints.

    - `curves/events.out.tfevents.000057600`: scalars for TensorBoard since the previous evaluation
    - `samples/000057600.png`: a grid of samples, from the same z at every evaluation
    - `samples.gif`: all grids as an animation, written at the end
    - `attention/000057600_G.png`, `..._D.png`: attention maps of networks with self-attention
    """

    def __init__(self, root: str, config: ArtifactsConfig) -> None:
        """Does not touch the disk. Raises UserError where `root` is neither a path nor a known URI."""
        self._storage, self._config = Storage(root), config

    def record(self, snapshot: Snapshot) -> None:
        """Writes the artifacts of an evaluation; to be called before its checkpoint, which then implies the files."""
        images = snapshot.evaluation.images
        if self._config.curves:
            self._storage.write(curves_file(images), events(snapshot.curve, snapshot.evaluation))
        if self._config.samples:
            caption = f"{snapshot.evaluation.kimg:g} kimg, FID {snapshot.evaluation.fid:.2f}"
            picture = grids.sampled(snapshot.G, snapshot.z_dim, snapshot.classes, caption)
            self._storage.write(samples_file(images), grids.png(picture))
        if self._config.attention:
            for network, picture in _attention(snapshot):
                self._storage.write(attention_file(images, network), grids.png(picture))

    def finish(self) -> None:
        """Makes the GIF of all grids of the trial; to be called when the trial ends."""
        if self._config.gif and (names := self._storage.names(SAMPLES)):
            self._storage.write(GIF, grids.gif([self._storage.read(name) for name in names]))


@torch.no_grad()
def _attention(snapshot: Snapshot) -> Iterator[tuple[str, Image.Image]]:
    """Yields the name and the picture of each network that has self-attention."""
    if attention_maps.attends(snapshot.G):
        latents, device = grids.latents(snapshot.z_dim, snapshot.classes), snapshot.real.device
        shown = latents.diagonal(SHOWN_ATTENTION)
        labels = None if latents.labels is None else latents.labels[shown].to(device)
        with attention_maps.watching(snapshot.G) as maps:
            images = snapshot.G(latents.z[shown].to(device), labels)
        yield "G", attention_maps.picture(images, maps)
    if attention_maps.attends(snapshot.D):
        with attention_maps.evaluating(snapshot.D), attention_maps.watching(snapshot.D) as maps:
            snapshot.D(snapshot.real, snapshot.real_labels)
        yield "D", attention_maps.picture(snapshot.real, maps)
