"""A grid of samples at each evaluation: `samples/000057600.png`."""

from collections.abc import Iterator

from gansearch.registry import component
from gansearch.run.paths import samples_file
from gansearch.text import fid_text, kimg_text
from gansearch.training import grids
from gansearch.training.artifacts.base import Artifact, File, Snapshot


@component
class Samples(Artifact):
    """A grid of images from fixed z; with classes, each row shows one class."""

    def files(self, snapshot: Snapshot) -> Iterator[File]:
        evaluation = snapshot.evaluation
        caption = f"{kimg_text(evaluation.kimg)} kimg, FID {fid_text(evaluation.fid)}"
        picture = grids.sampled(snapshot.G, snapshot.z_dim, snapshot.classes, caption)
        yield samples_file(evaluation.images), grids.png(picture)
