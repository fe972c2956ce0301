"""Attention maps at each evaluation: `attention/000057600_G.png` and `..._D.png`."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gansearch.registry import component
from gansearch.run.paths import attention_file
from gansearch.text import result_text
from gansearch.training import attention_maps, grids
from gansearch.training.artifacts.base import NUM_REAL, Artifact, File, Snapshot


@component
class Attention(Artifact):
    """Attention maps of G and D, for models with self-attention."""

    def files(self, snapshot: Snapshot) -> Iterator[File]:
        evaluation = snapshot.evaluation
        for network, watched in (("G", _watched_generator), ("D", _watched_discriminator)):
            if attention_maps.attends(getattr(snapshot, network)):
                images, maps, names = watched(snapshot)
                title = f"self-attention of {network}, {result_text(evaluation.fid, evaluation.kimg)}"
                picture = attention_maps.picture(images, maps, title, names)
                yield attention_file(evaluation.images, network), grids.png(picture)


Watched = tuple[Tensor, list[Tensor], Sequence[str]]
"""Images, the maps of a network that saw them, and the names of their classes, none without labels."""


@torch.no_grad()
def _watched_generator(snapshot: Snapshot) -> Watched:
    latents, device = grids.latents(snapshot.z_dim, snapshot.classes), snapshot.real.device
    shown = latents.diagonal(NUM_REAL)
    labels = None if latents.labels is None else latents.labels[shown].to(device)
    with attention_maps.watching(snapshot.G) as maps:
        images = snapshot.G(latents.z[shown].to(device), labels)
    return images, maps, _names(snapshot, labels)


@torch.no_grad()
def _watched_discriminator(snapshot: Snapshot) -> Watched:
    with attention_maps.evaluating(snapshot.D), attention_maps.watching(snapshot.D) as maps:
        snapshot.D(snapshot.real, snapshot.real_labels)
    return snapshot.real, maps, _names(snapshot, snapshot.real_labels)


def _names(snapshot: Snapshot, labels: Tensor | None) -> Sequence[str]:
    return () if labels is None else [snapshot.classes[label] for label in labels.tolist()]
