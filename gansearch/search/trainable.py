"""A trial as a Ray actor. The actor outlives its trial: process, CUDA context, data and extractor serve the next."""

import errno
from dataclasses import asdict
from typing import Any

import ray
import torch
from ray import tune

from gansearch.config import from_json
from gansearch.errors import one_line
from gansearch.results import Evaluation
from gansearch.run_dir import join
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.loop import Diverged, Trainer

# What no retry mends, and what would fail every trial after this one: the search has to end.
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class GANTrial(tune.Trainable):
    """One step is the way to one evaluation. Every checkpoint is saved before its evaluation is reported.

    So whatever the driver has written has its checkpoint, and a trial that is started again, by Tune after a lost
    node or by `resume`, finds its last one by itself.
    """

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(max(1, int(config["cpus"])))
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        del self._trainer  # its memory is the next one's
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        device = torch.device("cuda" if config["gpus"] and torch.cuda.is_available() else "cpu")
        self._trainer = Trainer(from_json(config["config"]), device)
        self._checkpoints = CheckpointDir(join(config["checkpoints"], config["trial_id"]))
        if self._checkpoints.newest():
            self._trainer.restore(self._checkpoints)
        known = config["reported_images"] / 1000
        self._unreported = [row for row in self._trainer.evaluations if row.kimg > known]

    def step(self) -> dict[str, Any]:
        """Reports the next evaluation; `done` with the last, or with `diverged` or `disk_full` in place of one."""
        if self._unreported:
            return self._report(self._unreported.pop(0))
        if self._trainer.done:  # it ended in the moment between its last row and its end
            return {"images": self._trainer.shown, "done": True}
        try:
            evaluation = self._trainer.advance()
        except Diverged as divergence:
            return {"diverged": str(divergence), "kimg": divergence.kimg, "done": True}
        try:
            self._trainer.save(self._checkpoints)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            return {"disk_full": f"{self._checkpoints.root}: {one_line(error)}", "done": True}
        return self._report(evaluation)

    def _report(self, evaluation: Evaluation) -> dict[str, Any]:
        done = self._trainer.done and not self._unreported
        node = ray.get_runtime_context().get_node_id()
        return {**asdict(evaluation), "images": evaluation.images, "node": node, "done": done}
