"""A trial as a Ray actor. The actor outlives its trial: process, CUDA context, data and extractor serve the next."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import ray
import torch
from ray import tune

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import one_line
from gansearch.metrics.reference import Reference, protocol_of
from gansearch.metrics.scorer import Scorer
from gansearch.run.paths import join
from gansearch.run.rows import Evaluation
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.loop import Diverged, Trainer, evaluate_next
from gansearch.training.storage import DISK_FULL

logger = logging.getLogger(__name__)


class GANTrial(tune.Trainable):
    """One step trains until the next evaluation. A checkpoint is saved before its evaluation is reported.

    So every evaluation that the driver has written has a checkpoint. A trial that is started again, by Tune after a
    lost node or by `resume`, restores the newest one. Artifacts are written before the checkpoint that implies them.
    """

    _unfinished: Artifacts | None = None
    _disk_full: str | None = None

    def setup(self, config: dict[str, Any], reference: Reference) -> None:  # type: ignore[override]
        _take_code(config)
        self._device = device_of(config["cpus"], config["gpus"])
        self._scorer = local_scorer(config["config"], reference, self._device)  # one for all trials of a search
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        _take_code(new_config)
        del self._trainer  # frees the memory for the next trainer
        self.cleanup()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Finishes the artifacts of a trial that was stopped. An error must not fail the actor's next trial."""
        try:
            self._finish()
        except OSError as error:
            logger.warning("%s: the animation of its samples is missing (%s)", self._root, one_line(error))

    def _begin(self, config: dict[str, Any]) -> None:
        trial: TrialConfig = config["config"]
        self._trainer = Trainer(trial, self._device, self._scorer)
        self._root = join(config["checkpoints"], config["trial_id"])
        self._checkpoints = CheckpointDir(self._root)
        self._artifacts = self._unfinished = Artifacts(self._root, trial.artifacts)
        if not self._trainer.restore(self._checkpoints) and config["continues"]:
            self._trainer.continue_from(CheckpointDir(join(config["checkpoints"], config["continues"])))
        known = config["reported_images"] / 1000
        self._unreported = [row for row in self._trainer.evaluations if row.kimg > known]

    def step(self) -> dict[str, Any]:
        """Returns the next evaluation, or `diverged` or `disk_full` in place of one; `done` is set with the last."""
        if self._disk_full is None:
            with self._noting_full_disk():
                result = self._next()
                if result["done"]:
                    self._finish()
                return result
        return {"disk_full": self._disk_full, "done": True}

    def _next(self) -> dict[str, Any]:
        if self._unreported:
            return self._report(self._unreported.pop(0))
        if self._trainer.done:  # the driver was killed between the last evaluation's row and the end row
            return {"images": self._trainer.shown, "done": True}
        try:
            evaluation = evaluate_next(self._trainer, self._checkpoints, self._artifacts)
        except Diverged as divergence:
            return {"diverged": str(divergence), "kimg": divergence.kimg, "done": True}
        return self._report(evaluation)

    def _report(self, evaluation: Evaluation) -> dict[str, Any]:
        done = self._trainer.done and not self._unreported
        node = ray.get_runtime_context().get_node_id()
        return {**asdict(evaluation), "images": evaluation.images, "node": node, "done": done}

    def _finish(self) -> None:
        """Finishes the trial's artifacts, once: at its end, or when the scheduler has stopped it."""
        artifacts, self._unfinished = self._unfinished, None
        if artifacts is not None:
            artifacts.finish()

    @contextmanager
    def _noting_full_disk(self) -> Iterator[None]:
        """Records a full disk in place of raising: the trial has no fault, and the search has to end."""
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            self._unfinished = None
            self._disk_full = f"{self._root}: {one_line(error)}"


def _take_code(config: dict[str, Any]) -> None:
    """Permits the code that a trial names, as the driver has, and takes over what the driver's script has defined."""
    foreign.permit(config["config"].component_names)
    foreign.receive(config["objects"])


def device_of(cpus: float, gpus: float) -> torch.device:
    """Returns the device of a process that has this share of its node, and lets torch use as many threads."""
    torch.set_num_threads(max(1, int(cpus)))
    return torch.device("cuda" if gpus and torch.cuda.is_available() else "cpu")


def local_scorer(trial: TrialConfig, reference: Reference, device: torch.device) -> Scorer:
    """Returns a scorer with the driver's reference; raises UserError where this node has other images or weights."""
    here = protocol_of(trial.metrics, load_images(trial.data, trial.metrics.split))
    reference.protocol.require(here, "this node measures otherwise than the driver", "copy data and weights anew")
    return Scorer(trial.metrics, device, reference)
