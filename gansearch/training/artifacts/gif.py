"""All grids of samples as an animation: `samples.gif`, written at the end of a trial."""

from collections.abc import Iterator

from gansearch.registry import component
from gansearch.run.paths import GIF, SAMPLES
from gansearch.training import grids
from gansearch.training.artifacts.base import Artifact, File, Snapshot
from gansearch.training.storage import Storage


@component
class Animation(Artifact):
    """The grids of samples as an animation, written at the end; needs `artifacts.samples`."""

    def files(self, snapshot: Snapshot) -> Iterator[File]:
        yield from ()

    def last_files(self, written: Storage) -> Iterator[File]:
        names = written.names(SAMPLES)
        if names:
            yield GIF, grids.gif([written.read(name) for name in names])
