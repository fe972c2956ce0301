"""A trial as a Ray actor. The actor outlives its trial: process, CUDA context, data and extractor serve the next."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import ray
import torch
from ray import tune

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.data.loader import device_images, load_images
from gansearch.device import gpu, is_out_of_memory, require_precision
from gansearch.errors import UserError, kind_and_message, one_line
from gansearch.metrics.reference import Reference, protocol_of
from gansearch.metrics.scorer import Scorer
from gansearch.run.paths import join
from gansearch.run.protocol import Protocol
from gansearch.run.rows import Cause, Evaluation
from gansearch.search.ray.token import sees
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.loop import Diverged, Trainer, evaluate_next
from gansearch.training.storage import DISK_FULL, FORBIDDEN, StorageError

logger = logging.getLogger(__name__)


class TrialFailure(Exception):  # noqa: N818 - an outcome of a trial, which travels to the driver
    """A trial can't go on here. It has plain data only, so every driver can read it.

    Args:
        cause: What failed.
        reason: What happened, on one line.
        node: The id of the node.
        text: The traceback.
    """

    def __init__(self, cause: Cause, reason: str, node: str, text: str) -> None:
        super().__init__(cause, reason, node, text)
        self.cause, self.reason, self.node, self.text = cause, reason, node, text


class _Warnings(logging.Handler):
    """Keeps the package's warnings until the next result takes them to the driver: nobody reads a worker's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._texts: list[str] = []
        logging.getLogger("gansearch").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())

    def taken(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts


class _RefusedError(UserError):
    """This node lacks what any trial of the search needs."""


class GANTrial(tune.Trainable):
    """The first step of a trial begins it; every other one trains until the next evaluation.

    A checkpoint is saved before its evaluation is reported. So every evaluation that the driver has written has a
    checkpoint. A trial that is started again, after a failure or by `resume`, restores the newest one. Artifacts are
    written before the checkpoint that implies them.
    """

    _trainer: Trainer | None = None
    _has_common = False  # what all trials share: the data set on the device, and the extractor
    _unfinished: Artifacts | None = None

    def setup(self, config: dict[str, Any], reference: Reference) -> None:  # type: ignore[override]
        self._reference = reference
        self._scorer: Scorer | None = None
        self._next_config = config
        self._warnings = _Warnings()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._trainer = None  # frees the memory for the next trainer
        torch.cuda.empty_cache()
        self.cleanup()
        self._next_config = new_config
        return True

    def cleanup(self) -> None:
        """Finishes the artifacts of a trial that was stopped. An error must not fail the actor's next trial."""
        try:
            self._finish()
        except OSError as error:
            logger.warning("%s: the animation of its samples is missing (%s)", self._root, one_line(error))

    def step(self) -> dict[str, Any]:
        """Returns nothing but that the trial has begun; after that the next evaluation, or `diverged` in its place.

        `infeasible` comes in place of the first one where the trial does not fit its GPU. `done` is set with the last.
        `warnings` are what the package has warned of meanwhile.

        Raises:
            TrialFailure: The trial can't go on here.
        """
        with _explained():
            try:
                result = self._stepped()
            except RuntimeError as error:
                # Where it has fitted, others on the card take more than they did; what all trials need is no fault of
                # this one.
                if not is_out_of_memory(error) or self._has_fitted or not self._has_common:
                    raise
                result = {"infeasible": _too_large(error, self._next_config["gpus"]), "node": _node(), "done": True}
            if result["done"]:
                self._finish()
            return {**result, "warnings": self._warnings.taken()}

    def _stepped(self) -> dict[str, Any]:
        if self._trainer is None:
            self._trainer = self._begun(self._next_config)
            return {"done": False}
        return self._next(self._trainer)

    @property
    def _has_fitted(self) -> bool:
        """Whether this trial has come to an evaluation, here or elsewhere."""
        is_known = self._next_config["reported_images"] or self._next_config["continues"]
        return bool(is_known or (self._trainer is not None and self._trainer.evaluations))

    def _begun(self, config: dict[str, Any]) -> Trainer:
        foreign.permit(config["config"].component_names)  # as the driver has
        foreign.receive(config["objects"])  # what the driver's script has defined
        if not sees(config["checkpoints"], config["token"]):
            raise _RefusedError(f"this node does not see the files of the run in {config['checkpoints']}")
        try:
            device = device_of(config["cpus"], config["gpus"])
        except UserError as error:
            raise _RefusedError(str(error)) from None
        trial: TrialConfig = config["config"]
        trainer = self.trainer_of(trial, device)
        self._root = join(config["checkpoints"], config["trial_id"])
        self._checkpoints = CheckpointDir(self._root)
        self._artifacts = self._unfinished = Artifacts(self._root, trial.artifacts)
        if not trainer.restore(self._checkpoints) and config["continues"]:
            earlier, images = config["continues"]
            trainer.continue_from(CheckpointDir(join(config["checkpoints"], earlier)), images)
        known = config["reported_images"] / 1000
        self._unreported = [row for row in trainer.evaluations if row.kimg > known]
        return trainer

    def trainer_of(self, trial: TrialConfig, device: torch.device) -> Trainer:
        """Returns the trainer of a trial that begins."""
        try:
            if self._scorer is None:  # one for all trials of a search
                self._scorer = local_scorer(trial, self._reference, device)
            require_precision(trial.train.precision, device)
        except UserError as error:
            raise _RefusedError(str(error)) from None
        device_images(trial.data, device)
        self._has_common = True
        return Trainer(trial, device, self._scorer)

    def _next(self, trainer: Trainer) -> dict[str, Any]:
        if self._unreported:
            return self._report(trainer, self._unreported.pop(0))
        if trainer.done:  # the driver was killed between the last evaluation's row and the end row
            return {"images": trainer.shown, "done": True}
        try:
            evaluation = evaluate_next(trainer, self._checkpoints, self._artifacts)
        except Diverged as divergence:
            return {"diverged": str(divergence), "kimg": divergence.kimg, "done": True}
        return self._report(trainer, evaluation)

    def _report(self, trainer: Trainer, evaluation: Evaluation) -> dict[str, Any]:
        done = trainer.done and not self._unreported
        return {**asdict(evaluation), "images": evaluation.images, "node": _node(), "done": done}

    def _finish(self) -> None:
        """Finishes the trial's artifacts, once: at its end, or when the scheduler has stopped it."""
        artifacts, self._unfinished = self._unfinished, None
        if artifacts is not None:
            artifacts.finish()


def _too_large(error: RuntimeError, gpus: float) -> str:
    """Returns why a trial does not fit its share of a GPU."""
    said = ". ".join(one_line(error).split(". ")[:3])
    return f"out of memory with {gpus:g} of a GPU ({said})"


def _node() -> str:
    return ray.get_runtime_context().get_node_id()


@contextmanager
def _explained() -> Iterator[None]:
    """Turns whatever a trial raises into a TrialFailure: the process ends, and what failed is known to the driver."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised again, as what the driver can read
        reason = one_line(error) if isinstance(error, UserError) else kind_and_message(error)
        raise TrialFailure(_cause_of(error), reason, _node(), traceback.format_exc()) from None


def _cause_of(error: Exception) -> Cause:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk full"
    if isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in FORBIDDEN):
        return "storage"
    return "refused" if isinstance(error, _RefusedError) else "error"


def device_of(cpus: float, gpus: float) -> torch.device:
    """Returns the device of a process that has this share of its node, and lets torch use as many threads.

    A process with a part of a GPU gets that part of its memory, so that what fits does not depend on the others there.
    Raises UserError where it has a GPU that torch can't use: on a CPU it would train for days.
    """
    torch.set_num_threads(max(1, int(cpus)))
    if not gpus:
        return torch.device("cpu")
    device = gpu()
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return device


def local_scorer(trial: TrialConfig, reference: Reference, device: torch.device) -> Scorer:
    """Returns a scorer with the driver's reference; raises UserError where this node has other images or weights."""
    require_same_measure(trial, reference.protocol)
    return Scorer(trial.metrics, device, reference)


def require_same_measure(trial: TrialConfig, protocol: Protocol) -> None:
    """Raises UserError where this node has other images or weights than the driver; of a file only that one has to."""
    here = protocol_of(
        trial.metrics.model_copy(update={"statistics": None}), load_images(trial.data, trial.metrics.split)
    )
    if trial.metrics.statistics is not None:
        here = replace(here, data=protocol.data, split=protocol.split, num_real=protocol.num_real)
    protocol.require(here, "this node measures otherwise than the driver", "copy data and weights anew")
