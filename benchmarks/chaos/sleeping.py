"""A trial that sleeps in place of training: for tests and benchmarks of what surrounds a trial."""

import os
import random
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from gansearch.config import TrialConfig
from gansearch.run.rows import Evaluation
from gansearch.search.ray.trainable import GANTrial
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import About, CheckpointDir
from gansearch.training.loop import Trainer

SECONDS = "GANSEARCH_CHAOS_SECONDS"
"""The environment variable that has the seconds of one interval, 0.5 without it."""
INTERVALS = "intervals.txt"
"""A file of a trial: a line for each interval that is begun, with the process and the images shown before."""
SLOW = "slow"
"""A file beside the trials of a run: while it is there, an interval takes two seconds more."""


class SleepingTrainer(Trainer):
    """Its FID is a function of the learning rate, the seed and the images shown. Its checkpoints are real ones."""

    def __init__(self, config: TrialConfig, protocol: str) -> None:
        self.config, self._protocol = config, protocol
        self._seconds = float(os.environ.get(SECONDS, "0.5"))
        self.shown = 0
        self.evaluations: list[Evaluation] = []
        self._best: dict[str, torch.Tensor] = {}
        # A trial that continues another takes a copy of its average.
        self._ema = SimpleNamespace(model=torch.nn.Linear(1, 1))  # type: ignore[assignment]

    def train_until_evaluation(self) -> Evaluation:
        time.sleep(self._seconds)
        self.shown += self.config.train.eval_images
        lr = self.config.optim.g_lr
        noise = random.Random(f"{lr} {self.config.seed} {self.shown}").random()
        fid = 20 + 1e4 * abs(lr - 1e-3) + 1e4 / self.shown + noise
        evaluation = Evaluation(
            kimg=self.kimg,
            fid=fid,
            protocol=self._protocol,
            train_seconds=self._seconds,
            eval_seconds=0.0,
            d_loss_real=0.0,
            d_loss_fake=0.0,
            g_loss=0.0,
            images_per_second=1.0,
        )
        self.evaluations.append(evaluation)
        self._best = {"weight": torch.tensor([self.shown])}
        return evaluation

    def write_artifacts(self, artifacts: Artifacts) -> Evaluation:
        return self.evaluations[-1]

    def save(self, checkpoints: CheckpointDir) -> None:
        best = min(self.evaluations, key=lambda row: row.fid)
        last = {"shown": self.shown, "evaluations": [asdict(row) for row in self.evaluations]}
        about = About(
            config=self.config.model_dump(mode="json"),
            images=self.shown,
            channels=1,
            classes=(),
            best_fid=best.fid,
            best_kimg=best.kimg,
        )
        checkpoints.save(last, self._best, about)

    def restore(self, checkpoints: CheckpointDir) -> bool:
        found = checkpoints.last(torch.device("cpu"))
        if found is None:
            return False
        last, self._best = found
        self.shown = last["shown"]
        self.evaluations = [Evaluation(**row) for row in last["evaluations"]]
        return True


class SleepingTrial(GANTrial):
    def step(self) -> dict[str, Any]:
        if self._trainer is not None and not self._unreported and not self._trainer.done:
            Path(self._root).mkdir(parents=True, exist_ok=True)  # there is no checkpoint yet in the first interval
            with Path(self._root, INTERVALS).open("a") as file:
                file.write(f"{os.getpid()} {self._trainer.shown}\n")
            if Path(self._root).with_name(SLOW).exists():
                time.sleep(2)
        return super().step()

    def trainer_of(self, trial: TrialConfig, device: Any) -> Trainer:
        return SleepingTrainer(trial, self._reference.protocol.hash)
