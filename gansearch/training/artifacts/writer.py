"""Writes the artifacts of a trial that its configuration asks for."""

from gansearch import registry
from gansearch.config import ArtifactsConfig
from gansearch.training.artifacts.base import Artifact, Snapshot
from gansearch.training.storage import Storage


class Artifacts:
    """Writes the artifacts of a trial below `root`, the path or URI of the trial's checkpoints."""

    def __init__(self, root: str, config: ArtifactsConfig) -> None:
        """Does not touch the disk. Raises UserError where `root` is no path or known URI, or an artifact is unknown."""
        self._storage = Storage(root)
        chosen = registry.chosen_artifacts(config)
        self._artifacts: list[Artifact] = [registry.find("artifact", name)() for name, on in chosen.items() if on]

    def record(self, snapshot: Snapshot) -> None:
        """Writes the artifacts of an evaluation; to be called before its checkpoint, which then implies the files."""
        for artifact in self._artifacts:
            for name, content in artifact.files(snapshot):
                self._storage.write(name, content)

    def finish(self) -> None:
        """Writes the artifacts that a trial has once; to be called when the trial ends."""
        for artifact in self._artifacts:
            for name, content in artifact.last_files(self._storage):
                self._storage.write(name, content)
