"""Starts a search, or continues one: from a plan to a finished run."""

from collections.abc import Callable, Sequence
from contextlib import closing

from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import unload
from gansearch.metrics.floor import floor_of
from gansearch.metrics.reference import Reference, protocol_of, reference_of
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.paths import RunDir
from gansearch.run.protocol import Protocol
from gansearch.run.rows import Writer, read
from gansearch.search.agenda import Agenda, finals_agenda, search_agenda
from gansearch.search.claim import check_room, claimed
from gansearch.search.interrupt import Interruption, interruptible
from gansearch.search.plan import Plan, load_plan
from gansearch.search.ray.callbacks import hours
from gansearch.search.ray.cluster import check_shared, fit_to_cluster, ray_session
from gansearch.search.ray.scheduler import KimgASHA
from gansearch.search.ray.tuning import tune_trials
from gansearch.search.recorder import Listener, Recorder
from gansearch.search.study import Study
from gansearch.training.build import best_device
from gansearch.training.checkpoint import CheckpointDir


def start(plan: Plan, listener: Listener, say: Callable[[str], None]) -> tuple[Ledger, Interruption]:
    """Runs a new search. Raises UserError, with nothing left behind, before the first trial."""
    interruption = Interruption()
    with interruptible(interruption), claimed(plan) as claim:
        reference = prepare(plan)
        floor = floor_of(plan.space.base, reference, best_device())
        unload()  # what it holds of a GPU is the trials'
        with ray_session(plan.options.address):
            interruption.install()
            plan, slots = fit_to_cluster(plan)
            check_shared(plan)
            plan.save(reference.protocol, floor)
            length = plan.space.base.train.max_kimg
            say(f"{plan.run.path}: {plan.options.trials} trials of {length:g} kimg, {slots} at once")
            with closing(Writer(plan.run.results)) as writer:
                claim.keep = True
                recorder = _recorder(plan, writer, Ledger(), listener)
                scheduler, agenda = KimgASHA(plan.rungs, plan.options.eta), search_agenda(plan, recorder.ledger)
                tune_trials(plan, reference, slots, recorder, scheduler, agenda, interruption, _resume(plan))
    return _ledger(plan.run), interruption


def resume(
    plan: Plan, before: Protocol, listener: Listener, say: Callable[[str], None], *, retry_failed: bool
) -> tuple[Ledger, Interruption]:
    """Continues a run that was interrupted or killed; UserError where its FIDs would not be comparable.

    `plan` and `before` are what `load_plan` gives; the plan may name another cluster or other resources.
    """
    return _continue(plan, before, listener, say, lambda ledger: search_agenda(plan, ledger, retry_failed=retry_failed))


def extend(plan: Plan, before: Protocol, listener: Listener, say: Callable[[str], None]) -> tuple[Ledger, Interruption]:
    """Continues a run by a `plan` of more trials or greater length, which becomes the run's; UserError as `resume`.

    Of the trials that were completed at the former length the best go on, as many as ASHA lets pass a rung.
    """

    def left(ledger: Ledger) -> Agenda:
        used, budget = hours(ledger, plan.options.gpus_per_trial or 0.0), plan.options.gpu_hours
        if budget is not None and used >= budget:
            raise UserError(f"--gpu-hours {budget:g}: the search has used {used:.3g} already; give more")
        agenda = search_agenda(plan, ledger)
        if not agenda:
            raise UserError(f"{plan.run.path}: no trial was completed that could go on: extend with --trials +N too")
        return agenda

    return _continue(plan, before, listener, say, left, amend=True)


def finals(
    plan: Plan,
    before: Protocol,
    finalists: Sequence[TrialState],
    seeds: int,
    listener: Listener,
    say: Callable[[str], None],
) -> tuple[Ledger, Interruption]:
    """Trains the parameters of `finalists`, trials of the run, with `seeds` other seeds each; UserError as `resume`."""

    def left(ledger: Ledger) -> Agenda:
        return finals_agenda(plan, ledger, finalists, seeds)

    return _continue(plan, before, listener, say, left, again="the same once more")


def _continue(
    plan: Plan,
    before: Protocol,
    listener: Listener,
    say: Callable[[str], None],
    left: Callable[[Ledger], Agenda],
    *,
    amend: bool = False,
    again: str | None = None,
) -> tuple[Ledger, Interruption]:
    """Does what is `left` to do of a run, given its rows; `amend`: the plan becomes the run's.

    `again` is what to do where the disk refused (default: `resume`).
    """
    run = plan.run
    interruption = Interruption()
    # The writer first of all: it refuses while another driver is at work.
    with interruptible(interruption), closing(Writer(run.results)) as writer:
        reference = prepare(plan, before)
        unload()
        ledger = Ledger(read(run.results))
        ledger.require(before.hash, run.path)
        scheduler = KimgASHA(plan.rungs, plan.options.eta)
        recorder = _recorder(plan, writer, ledger, listener)
        if amend:
            _complete(recorder, load_plan(run)[0].space.base.train.max_images)
        for trial_id in scheduler.replay(ledger):
            recorder.end(trial_id, "stopped", f"ASHA: not among the best at {ledger[trial_id].kimg:g} kimg")
        agenda = left(ledger)
        if agenda:
            check_room(plan, len(agenda.proposals))
            with ray_session(plan.options.address):
                interruption.install()
                plan, slots = fit_to_cluster(plan)
                check_shared(plan)
                if amend:
                    plan.amend()
                length = plan.space.base.train.max_kimg
                say(f"{run.path}: {len(ledger)} trials known, {len(agenda)} to go to {length:g} kimg, {slots} at once")
                tune_trials(plan, reference, slots, recorder, scheduler, agenda, interruption, again or _resume(plan))
    return _ledger(run), interruption


def _resume(plan: Plan) -> str:
    return f"`resume {plan.run.path}`"


def _complete(recorder: Recorder, images: int) -> None:
    """Ends what has come to `images`, the length so far, where a driver was killed before it wrote that."""
    for trial in [trial for trial in recorder.ledger.values() if trial.end is None and trial.images >= images]:
        recorder.end(trial.trial_id, "completed", None)


def _recorder(plan: Plan, writer: Writer, ledger: Ledger, listener: Listener) -> Recorder:
    study = Study(plan.run.study_journal, plan.run.name, plan.space, ledger, plan.options.seed)
    return Recorder(plan.run, writer, ledger, study, listener)


def prepare(plan: Plan, before: Protocol | None = None) -> Reference:
    """Checks space, data, weights and storage; returns what the search's FIDs are measured against.

    That is measured here, once: trials get it from the driver, on whatever node they run. UserError, before anything
    is measured, where the run's earlier FIDs were measured otherwise than now, by the protocol `before`.
    """
    CheckpointDir(plan.checkpoints)  # refuses what is no storage
    plan.space.check()
    base = plan.space.base
    plan.space.check_data(load_images(base.data, "train"))
    images = load_images(base.data, base.metrics.split)
    if before is not None:
        before.require(protocol_of(base.metrics, images), f"{plan.run.path} measured FID otherwise", "start a new run")
    return reference_of(base.metrics, images, best_device())


def _ledger(run: RunDir) -> Ledger:
    return Ledger(read(run.results)) if run.results.exists() else Ledger()
