"""An Optuna study that mirrors the trials of a run, for `optuna-dashboard` and other programs that read one."""

from datetime import datetime
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from gansearch.distributions import distribution
from gansearch.errors import one_line
from gansearch.logs import warn_once
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.rows import Decision, End, Eval, Row, Start, trial_id_of
from gansearch.run.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)

_FINAL = "final"  # user attribute of a trial that is no part of the search: in Optuna's study it fails


class Study:
    """Mirrors the rows of a run. A trial has the same number in Optuna; a step of Optuna is one image shown.

    Nothing of the search depends on it. The journal is only appended to, so that a program that has it open reads on
    after a `resume`. Optuna opens no trial again that it has pruned. So the trials that may yet go on run in Optuna's
    eyes until the search is complete, and are pruned then. Where the journal contradicts the rows, because some were
    lost or an `extend` lets a pruned trial go on, its study is deleted and written anew, in the same file.
    """

    def __init__(self, journal: Path, name: str, space: Space, ledger: Ledger) -> None:
        """Opens or makes the journal, and adds what it lacks."""
        self._journal, self._name, self._ledger = journal, name, ledger
        self._domains: dict[str, BaseDistribution] = {
            path: distribution(parameter.domain) for path, parameter in space.params.items()
        }
        for lock in journal.parent.glob(f"{journal.name}.*"):  # of a driver that was killed
            lock.unlink()
        try:
            self._open()
        except (ValueError, KeyError, AssertionError) as error:  # what a damaged line makes Optuna raise
            warn_once(f"{journal} is damaged ({one_line(error)}): it is written anew from the rows")
            journal.unlink()
            self._open()

    def _open(self) -> None:
        if self._journal.exists():
            content = self._journal.read_bytes()
            with self._journal.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
        self._storage = JournalStorage(JournalFileBackend(str(self._journal)))
        names = [study.study_name for study in self._storage.get_all_studies()]
        if names == [self._name]:
            self._study_id = self._storage.get_study_id_from_name(self._name)
            known = self._storage.get_all_trials(self._study_id, deepcopy=False)
            if len(known) <= self._ledger.next_number and all(map(self._agrees, known)):
                self._catch_up(known)
                return
        self._write_anew()

    def note(self, row: Row) -> None:
        """Mirrors a row that the ledger has."""
        trial = self._ledger[row.trial_id]
        match row:
            case Start():
                self._add(trial)
            case Eval():
                self._storage.set_trial_intermediate_value(self._ids[row.number], row.images, row.fid)
            case End() if not trial.may_go_on:
                self._finish(trial)
            case Decision(verdict="goes on"):
                if self._storage.get_trial(self._ids[row.number]).state.is_finished():
                    self._write_anew()

    def close(self) -> None:
        """Prunes the trials that have ended waiting: the search is complete."""
        for frozen in self._storage.get_all_trials(self._study_id, deepcopy=False):
            trial = self._ledger.get(trial_id_of(frozen.number))
            if trial is not None and trial.end is not None and not frozen.state.is_finished():
                self._finish(trial)

    def _finish(self, trial: TrialState) -> None:
        state, value = self._outcome(trial)
        self._storage.set_trial_state_values(self._ids[trial.number], state, None if value is None else [value])

    def _write_anew(self) -> None:
        for study in self._storage.get_all_studies():
            self._storage.delete_study(study._study_id)
        self._study_id = self._storage.create_new_study([StudyDirection.MINIMIZE], self._name)
        self._catch_up([])

    def _catch_up(self, known: list[FrozenTrial]) -> None:
        """Adds what the study lacks; it has the `known` trials, which agree with the rows."""
        self._ids = [trial._trial_id for trial in known]
        trials = {trial.number: trial for trial in self._ledger.values()}
        for frozen in known:
            trial = trials.get(frozen.number)
            if trial is not None and not frozen.state.is_finished():
                for row in trial.evals:
                    if row.images not in frozen.intermediate_values:
                        self.note(row)
                if trial.end is not None:
                    self.note(trial.end)
        for number in range(len(known), self._ledger.next_number):
            self._add(trials.get(number))

    def _add(self, trial: TrialState | None) -> None:
        """Adds the next trial as it is by now; None stands for a trial whose rows are lost."""
        frozen = create_trial(state=OptunaState.FAIL) if trial is None else self._frozen(trial)
        self._ids.append(self._storage.create_new_trial(self._study_id, frozen))

    def _frozen(self, trial: TrialState) -> FrozenTrial:
        state, value = (OptunaState.RUNNING, None) if trial.may_go_on else self._outcome(trial)
        frozen = create_trial(
            state=state,
            value=value,
            params=trial.start.params,
            distributions={path: self._domains[path] for path in trial.start.params},
            intermediate_values={row.images: row.fid for row in trial.evals},
            user_attrs={_FINAL: True} if trial.is_final else {},
        )
        frozen.datetime_start = _naive(trial.start.time)
        frozen.datetime_complete = _naive(trial.end.time) if trial.end and state.is_finished() else None
        return frozen

    def _outcome(self, trial: TrialState) -> tuple[OptunaState, float | None]:
        """Returns Optuna's state for a trial, and the lowest FID of a complete trial."""
        if trial.end is None:
            return OptunaState.RUNNING, None
        history = self._ledger.history(trial.trial_id)
        if trial.is_final or trial.status == "failed" or (trial.status == "completed" and not history):
            return OptunaState.FAIL, None
        if trial.status != "completed":
            return OptunaState.PRUNED, None
        return OptunaState.COMPLETE, min(row.fid for row in history)

    def _agrees(self, frozen: FrozenTrial) -> bool:
        """Returns whether the rows can follow what the study says of a trial; a lost one has to have ended."""
        trial = self._ledger.get(trial_id_of(frozen.number))
        if trial is None:
            return frozen.state.is_finished()
        told = {row.images: row.fid for row in trial.evals}
        state, value = self._outcome(trial)
        return (
            frozen.params == trial.start.params
            and frozen.intermediate_values.items() <= told.items()
            and (not frozen.state.is_finished() or (frozen.state, frozen.value) == (state, value))
        )


def _naive(time: str) -> datetime:
    """Returns a time in the form that Optuna stores: local, without a zone."""
    return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
