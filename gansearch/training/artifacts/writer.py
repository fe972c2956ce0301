"""Writes the artifacts of a trial that its configuration asks for."""

from collections.abc import Callable, Iterator

from gansearch import foreign, registry
from gansearch.config import ArtifactsConfig
from gansearch.errors import kind_and_message
from gansearch.logs import warn_once
from gansearch.training.artifacts.base import Artifact, File, Snapshot
from gansearch.training.storage import Storage


class Artifacts:
    """Writes the artifacts of a trial below `root`, the path or URI of the trial's checkpoints.

    An artifact from outside the package that fails is switched off with a warning: the training does not need it.
    """

    def __init__(self, root: str, config: ArtifactsConfig) -> None:
        """Does not touch the disk. Raises UserError where `root` is no path or known URI, or an artifact is unknown."""
        self._storage = Storage(root)
        names = [name for name, on in registry.chosen_artifacts(config).items() if on]
        self._artifacts: dict[str, Artifact] = {name: registry.find("artifact", name)() for name in names}

    def record(self, snapshot: Snapshot) -> None:
        """Writes the artifacts of an evaluation; to be called before its checkpoint, which then implies the files."""
        self._write(lambda artifact: artifact.files(snapshot))

    def finish(self) -> None:
        """Writes the artifacts that a trial has once; to be called when the trial ends."""
        self._write(lambda artifact: artifact.last_files(self._storage))

    def _write(self, files_of: Callable[[Artifact], Iterator[File]]) -> None:
        for name, artifact in list(self._artifacts.items()):
            try:
                files = list(files_of(artifact))
            except Exception as error:
                if not foreign.is_foreign(name):
                    raise
                warn_once(f"artifact {name} is switched off: {kind_and_message(error)}")
                del self._artifacts[name]
                continue
            for path, content in files:
                self._storage.write(path, content)
