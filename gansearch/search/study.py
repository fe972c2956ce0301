"""Proposals of a sampler, and an Optuna study of the trials that can always be rebuilt from the rows of a run."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution, json_to_distribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from gansearch.errors import UserError
from gansearch.run.domain import Domain
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.rows import End, Eval
from gansearch.run.space import Space
from gansearch.search.samplers.base import Sampler
from gansearch.search.samplers.tpe import TPE

optuna.logging.set_verbosity(optuna.logging.WARNING)

_DEFAULT = TPE()
_DRAWS = 32  # of the sampler, until one is not forbidden
_RANDOM_DRAWS = 2000
_FINAL = "final"  # user attribute of a trial that does not count: in Optuna's study it fails


class Study:
    """Proposes parameters. A trial has the same number in Optuna as in the run; a step of Optuna is one image shown."""

    def __init__(
        self, journal: Path, name: str, space: Space, ledger: Ledger, seed: int, sampler: Sampler = _DEFAULT
    ) -> None:
        """Writes `journal` anew from `ledger`: the rows are the truth, and an earlier journal may lack some of them."""
        for stale in journal.parent.glob(f"{journal.name}*"):  # also the lock file of a driver that was killed
            stale.unlink()
        self._space, self._seed, self._sampler = space, seed, sampler
        storage = JournalStorage(JournalFileBackend(str(journal)))
        # This study records. It never samples, as its trials are given their parameters.
        recording = RandomSampler(seed=seed)
        self._study = optuna.create_study(storage=storage, study_name=name, direction="minimize", sampler=recording)
        self._running: dict[int, optuna.Trial] = {}
        trials = {trial.number: trial for trial in ledger.values()}
        for number in range(ledger.next_number):
            trial = trials.get(number)
            if trial is None:  # the rows of this trial are lost, its number is not
                self._study.add_trial(create_trial(state=OptunaState.FAIL))
            elif trial.end is None:
                self.propose(number, trial.start.params, counts=not trial.is_final)
                for row in trial.evals:
                    self.observe(row)
            else:
                self._study.add_trial(_ended(trial, ledger.history(trial.trial_id), space))

    def propose(self, number: int, params: dict[str, Any] | None = None, *, counts: bool = True) -> dict[str, Any]:
        """Returns the parameters of trial `number`: `params` where they are given, else sampled ones.

        A trial that does not count is in the study for the sake of its number: the sampler learns nothing from it.
        The sampler is seeded for each trial, so a proposal depends on the seed, the number and the rows alone, and a
        resumed search does not draw its first random trials again.
        """
        if params is None:
            seed = (self._seed * 1_000_003 + number) % 2**32
            params = draw(self._space, self._study, self._sampler.build(seed), seed)
        self._study.enqueue_trial(params)
        trial = self._study.ask()
        if trial.number != number:
            raise RuntimeError(
                f"the study is at trial {trial.number}, the run at {number}: is a second driver writing?"
            )
        if not counts:
            trial.set_user_attr(_FINAL, True)
        self._running[number] = trial
        return suggest(trial, self._space)

    def observe(self, row: Eval) -> None:
        self._running[row.number].report(row.fid, row.images)

    def finish(self, row: End, history: Sequence[Eval]) -> None:
        """Reports the outcome of a trial to Optuna: for a completed trial the lowest FID of its `history`.

        A trial that was stopped or that diverged counts as pruned, so that TPE avoids similar parameters.
        """
        trial = self._running.pop(row.number)
        state, value = _outcome(row, history, self._space, counts=not trial.user_attrs)
        self._study.tell(trial, value, state=state)


def draw(space: Space, study: optuna.Study, sampler: BaseSampler, seed: int) -> dict[str, Any]:
    """Returns parameters for the next trial of a study, which stays as it is. They are never a forbidden combination.

    The sampler works on a copy of the study in memory. There a forbidden draw fails and the sampler draws again, so in
    the study itself a forbidden draw takes no number. It also leaves no trace of what a sampler notes about a trial:
    a study that was rebuilt from rows would lack that, so its proposals could differ.

    Raises:
        UserError: Neither the sampler nor random draws find parameters that are not forbidden.
    """
    copy = optuna.create_study(direction="minimize", sampler=sampler)
    copy.add_trials(study.get_trials(deepcopy=False))
    for _ in range(_DRAWS):
        trial = copy.ask()
        params = suggest(trial, space)
        if space.violated(params) is None:
            return params
        copy.tell(trial, state=OptunaState.FAIL)
    return draw_at_random(space, seed)


def draw_at_random(space: Space, seed: int) -> dict[str, Any]:
    """Returns parameters drawn uniformly from their domains, and drawn again while they are forbidden.

    Raises:
        UserError: A large number of draws in a row is forbidden.
    """
    sampler, study = RandomSampler(seed=seed), optuna.create_study()
    study.ask()
    (unused,) = study.get_trials()  # random draws do not look at the trial that Optuna passes on
    distributions = {path: distribution(space.params[path].domain) for path in space.ordered}
    for _ in range(_RANDOM_DRAWS):
        params: dict[str, Any] = {}
        for path, values in distributions.items():
            if space.applies(path, params):
                params[path] = sampler.sample_independent(study, unused, path, values)
        clause = space.violated(params)
        if clause is None:
            return params
    raise UserError(
        f"{_RANDOM_DRAWS} random trials of this space in a row are forbidden, for instance by {clause}: remove or "
        "narrow that"
    )


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Returns Optuna's values for all parameters that apply."""
    chosen: dict[str, Any] = {}
    for path in space.ordered:
        if space.applies(path, chosen):
            chosen[path] = _suggest(trial, path, space.params[path].domain)
    return chosen


def _suggest(trial: optuna.Trial, path: str, domain: Domain) -> Any:
    match distribution(domain):
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(path, low, high, step=step, log=log)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(path, low, high, step=step, log=log)
    return trial.suggest_categorical(path, domain.choices)


def distribution(domain: Domain) -> BaseDistribution:
    """Returns the Optuna distribution of a domain."""
    return json_to_distribution(domain.model_dump_json())


def _outcome(row: End, history: Sequence[Eval], space: Space, *, counts: bool) -> tuple[OptunaState, float | None]:
    """Returns Optuna's state for a trial that has ended, and the lowest FID of a complete trial."""
    if not counts or row.status == "failed":
        return OptunaState.FAIL, None
    if row.status != "completed" or row.images < space.base.train.max_images:  # or the search was extended since
        return OptunaState.PRUNED, None
    if not history:  # the rows of its evaluations are lost
        return OptunaState.FAIL, None
    return OptunaState.COMPLETE, min(row.fid for row in history)


def _ended(trial: TrialState, history: Sequence[Eval], space: Space) -> optuna.trial.FrozenTrial:
    assert trial.end is not None
    state, value = _outcome(trial.end, history, space, counts=not trial.is_final)
    frozen = create_trial(
        state=state,
        value=value,
        params=trial.start.params,
        distributions={path: distribution(space.params[path].domain) for path in trial.start.params},
        intermediate_values={row.images: row.fid for row in trial.evals},
        user_attrs={_FINAL: True} if trial.is_final else {},
    )
    frozen.datetime_start = _naive(trial.start.time)
    frozen.datetime_complete = _naive(trial.end.time)
    return frozen


def _naive(time: str) -> datetime:
    """Returns a time in the form that Optuna stores: local, without a zone."""
    return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
