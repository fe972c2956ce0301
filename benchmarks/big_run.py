"""Writes a run of any size with invented FIDs, to see how commands cope with many trials: no network is trained.

    python -m benchmarks.big_run runs/big --trials 1000

The space is the default one, `digits`, with random proposals and its baselines. The search's own scheduler decides on a
virtual cluster, so rungs, decisions, waits and ends are those that a search writes. Of the eleven parameters two
matter, `optim.g_lr` and `loss.name`; the other nine change nothing. A FID falls with the length and is noisy, and with
the loss `wgan` and a high `optim.g_lr` some trials diverge.
"""

import argparse
import heapq
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gansearch.analysis.finals import finalists, judge
from gansearch.config import Component, TrainConfig
from gansearch.contracts.example import example_protocol
from gansearch.errors import UserError
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.loaded import Run
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir, new_run
from gansearch.run.protocol import Floor
from gansearch.run.rows import Eval, Noise, Row, Start, to_json, trial_id_of
from gansearch.search.decisions import Decisions
from gansearch.search.drawing import draw_at_random
from gansearch.search.find_space import find_space
from gansearch.search.queue import search_queue

MATTER = ("optim.g_lr", "loss.name")
"""The parameters that change the FID."""

PROTOCOL = replace(example_protocol(), extractor="digits-classifier", num_real=1437, num_fake=1024)
_FLOOR = Floor(split="test", images=360, fid=0.29)
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_SLOTS = 8
_GPUS_PER_TRIAL = 0.25
_SECONDS_PER_KIMG = 20.0
_BEST_RATE = 1.2e-3
_LOSSES = {"hinge": 1.0, "bce": 1.25, "wgan-gp": 1.7, "wgan": 2.6}  # factors of the FID
_NOISE = 0.12  # standard deviation of a log FID
_FINALISTS, _SEEDS = 4, 3


@dataclass(frozen=True)
class _Training:
    """The FIDs that a trial will have, one for each evaluation until it diverges, and the seconds between two."""

    fids: list[float]
    seconds: float


def _training(params: Mapping[str, Any], train: TrainConfig, seed: list[int]) -> _Training:
    """Invents a training of some parameters."""
    rng = np.random.default_rng(seed)
    distance = math.log(params["optim.g_lr"] / _BEST_RATE)
    worth = 9.0 * _LOSSES[params["loss.name"]] * math.exp(0.7 * distance**2)
    done = np.arange(1, train.evaluations + 1) / train.evaluations
    fids = worth * (1 + 8 * np.exp(-6 * done)) * np.exp(rng.normal(0, _NOISE, train.evaluations))
    risk = 0.5 if params["loss.name"] == "wgan" and distance > 0 else 0.02
    length = int(rng.exponential(1.5)) if rng.random() < risk else train.evaluations
    speed = math.exp(rng.normal(0, 0.1))
    return _Training(fids[:length].round(4).tolist(), _SECONDS_PER_KIMG * train.max_kimg / train.evaluations * speed)


class _Cluster:
    """A virtual cluster that trains the trials of a plan, as far as `trials` of them have begun.

    `ledger` has the rows that this gives.
    """

    def __init__(self, plan: Plan) -> None:
        self.ledger = Ledger()
        self._plan, self._train = plan, plan.space.base.train
        self._decisions = Decisions(plan, self.ledger)
        self._queue = search_queue(plan, self.ledger)
        self._trainings: dict[str, _Training] = {}
        self._events: list[tuple[float, int, str]] = []
        self._order = count()  # decides between events of the same time
        self._now = 0.0  # seconds

    def run(self, most: int) -> None:
        """Runs the search until so many trials have begun, or to its end."""
        while len(self.ledger) < most or most == self._plan.options.trials:
            while len(self._events) < _SLOTS and (trial_id := self._next_trial()) is not None:
                self._train_on(trial_id)
            if not self._events:
                return self._end_all()
            self._now, _, trial_id = heapq.heappop(self._events)
            if self._evaluate(self.ledger[trial_id]):
                self._train_on(trial_id)
        return None

    def _end_all(self) -> None:
        for trial in self.ledger.values():
            if trial.end is None:
                self._add(trial.ended("stopped"))

    def _next_trial(self) -> str | None:
        decision = self._decisions.promote()
        if decision is None and self._queue.is_empty and not self._events:
            decision = self._decisions.release()
        if decision is not None:
            self._add(decision)
            return decision.trial_id
        proposal = self._queue.next_proposal()
        if proposal is None:
            return None
        seed = self._plan.options.seed
        params = proposal.params or draw_at_random(self._plan.space, seed * 1_000_003 + self.ledger.next_number)
        return self._start(params, origin=proposal.origin, seed=proposal.seed)

    def _start(self, params: dict[str, Any], **fields: Any) -> str:
        number = self.ledger.next_number
        trial_id = trial_id_of(number)
        self._trainings[trial_id] = _training(params, self._train, [self._plan.options.seed, number])
        self._add(Start(trial_id=trial_id, number=number, params=params, **fields))
        return trial_id

    def _train_on(self, trial_id: str) -> None:
        heapq.heappush(self._events, (self._now + self._trainings[trial_id].seconds, next(self._order), trial_id))

    def _evaluate(self, trial: TrialState) -> bool:
        """Adds the next evaluation of a trial and what follows from it; returns whether the trial goes on."""
        training, made = self._trainings[trial.trial_id], len(trial.evals)
        if made == len(training.fids):
            kimg = (made + 0.5) * self._train.eval_images / 1000
            self._add(trial.ended("diverged", "the generator's loss is not finite", kimg))
            return False
        self._add(self._evaluation(trial, training, made))
        if made + 1 == self._train.evaluations:
            self._add(trial.ended("completed"))
            return False
        if (decision := self._decisions.pending(trial)) is not None:
            self._add(decision)
        return not trial.is_held

    def _evaluation(self, trial: TrialState, training: _Training, made: int) -> Eval:
        done, jitter = (made + 1) / self._train.evaluations, training.fids[made] % 1 / 10
        return Eval(
            trial_id=trial.trial_id,
            number=trial.number,
            kimg=(made + 1) * self._train.eval_images / 1000,
            fid=training.fids[made],
            protocol=PROTOCOL.hash,
            train_seconds=training.seconds * 0.9,
            eval_seconds=training.seconds * 0.1,
            d_loss_real=0.7 - 0.3 * done + jitter,
            d_loss_fake=0.7 - 0.25 * done + 0.002 * training.fids[made],
            g_loss=0.8 + done - jitter,
            images_per_second=self._train.eval_images / training.seconds,
        )

    def train_finals(self, chosen: Sequence[TrialState]) -> None:
        """Trains trials again with several seeds, and adds a row for the noise of the FID of each."""
        for trial in chosen:
            for seed in range(self._plan.options.seed + 1, self._plan.options.seed + 1 + _SEEDS):
                fields = {"seed": seed, "parent": trial.trial_id, "relation": "final"}
                final = self.ledger[self._start(trial.start.params, origin="final", **fields)]
                while final.end is None:
                    self._evaluate(final)
            assert trial.best is not None  # it was chosen for its FID
            fids = tuple(trial.best.fid * factor for factor in (0.98, 1.0, 1.03))
            own: dict[str, Any] = {"trial_id": trial.trial_id, "number": trial.number, "kimg": trial.best.kimg}
            self._add(Noise(**own, protocol=PROTOCOL.hash, fids=fids))

    def _add(self, row: Row) -> None:
        time = (_BEGIN + timedelta(seconds=self._now)).isoformat(timespec="milliseconds")
        row = replace(row, time=time)
        self.ledger.add(row)
        self._decisions.note(row)


def big_run(path: Path, trials: int = 1000, seed: int = 0, *, most: int | None = None, finals: bool = False) -> RunDir:
    """Writes `search.json` and `results.jsonl` of a search.

    Args:
        path: The folder of the run, which does not exist yet.
        trials: The number of trials of the search.
        seed: The same seed gives the same run.
        most: The search is cut, as if it still ran, once so many trials have begun; None lets it end.
        finals: Whether the best trials are trained again, with `finals.json` and rows for the noise of their FIDs.
    """
    run = new_run(path.name, path.parent)
    run.path.mkdir(parents=True)
    plan = Plan(run, find_space("digits"), Options(trials=trials, seed=seed, sampler=Component(name="random")))
    cluster = _Cluster(plan)
    cluster.run(trials if most is None else most)
    manifest = plan.manifest(PROTOCOL, _FLOOR, _GPUS_PER_TRIAL, PROTOCOL.num_real)
    manifest.save(run)
    if finals:
        chosen = finalists(cluster.ledger, _FINALISTS)
        cluster.train_finals(chosen)
        judge(Run(run, manifest, cluster.ledger), chosen, _SEEDS).save(run)
    # In one piece: the search's own writer waits for the disk at each row.
    run.results.write_text("".join(f"{to_json(row)}\n" for row in cluster.ledger.rows))
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="DIR", help="the run to write")
    parser.add_argument("--trials", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--most", type=int, metavar="N", help="leave the search as it is when N trials have begun")
    parser.add_argument("--finals", action="store_true", help="also with finals")
    args = parser.parse_args()
    try:
        big_run(args.path, args.trials, args.seed, most=args.most, finals=args.finals)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(args.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
