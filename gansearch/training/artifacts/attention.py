"""Attention maps at each evaluation: `attention/000057600_G.png` and `..._D.png`."""

from collections.abc import Iterator

import torch
from PIL import Image

from gansearch.registry import component
from gansearch.run.paths import attention_file
from gansearch.training import attention_maps, grids
from gansearch.training.artifacts.base import NUM_REAL, Artifact, File, Snapshot


@component
class Attention(Artifact):
    """Attention maps of G and D, for models with self-attention."""

    def files(self, snapshot: Snapshot) -> Iterator[File]:
        for network, picture in _pictures(snapshot):
            yield attention_file(snapshot.evaluation.images, network), grids.png(picture)


@torch.no_grad()
def _pictures(snapshot: Snapshot) -> Iterator[tuple[str, Image.Image]]:
    """Yields the name and the picture of each network that has self-attention."""
    if attention_maps.attends(snapshot.G):
        latents, device = grids.latents(snapshot.z_dim, snapshot.classes), snapshot.real.device
        shown = latents.diagonal(NUM_REAL)
        labels = None if latents.labels is None else latents.labels[shown].to(device)
        with attention_maps.watching(snapshot.G) as maps:
            images = snapshot.G(latents.z[shown].to(device), labels)
        yield "G", attention_maps.picture(images, maps)
    if attention_maps.attends(snapshot.D):
        with attention_maps.evaluating(snapshot.D), attention_maps.watching(snapshot.D) as maps:
            snapshot.D(snapshot.real, snapshot.real_labels)
        yield "D", attention_maps.picture(snapshot.real, maps)
