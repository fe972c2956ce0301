"""What a trial leaves for the eye: curves, grids of samples, attention maps. None of it touches the training.

Everything of an evaluation lies in files named by the images shown, which are overwritten where the evaluation is made
again. So a trial that was killed and goes on from its last checkpoint neither loses nor doubles anything.
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

    `G` is the averaged generator, in eval mode; `D` is in train mode. `classes` are names, none where the nets see no
    labels. `real` are images (4, C, H, W) in [-1, 1] that stay the same from one evaluation to the next, `real_labels`
    (4,) theirs. `curve` are the losses since the evaluation before.
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
    """Writes them below `root`, a path or URI: where the trial's checkpoints lie.

    - `curves/events.out.tfevents.000057600`: TensorBoard's scalars since the evaluation before
    - `samples/000057600.png`: a grid from the same z at every evaluation; at the end `samples.gif`, all of them
    - `attention/000057600_G.png`, `..._D.png`: where they look, for networks with self-attention
    """

    def __init__(self, root: str, config: ArtifactsConfig) -> None:
        """Touches no disk; UserError where `root` is no storage."""
        self._storage, self._config = Storage(root), config

    def record(self, snapshot: Snapshot) -> None:
        """To be called after an evaluation, before its checkpoint is saved: that then implies these files."""
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
        """To be called when the trial ends: makes the GIF, of all grids that lie here."""
        if self._config.gif and (names := self._storage.names(SAMPLES)):
            self._storage.write(GIF, grids.gif([self._storage.read(name) for name in names]))


@torch.no_grad()
def _attention(snapshot: Snapshot) -> Iterator[tuple[str, Image.Image]]:
    """For each network that has self-attention its name and its picture."""
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
