"""Starts a search, or continues one: from a plan to a finished run."""

from collections.abc import Callable
from contextlib import closing

from ray import tune

from gansearch.data.loading import load_images
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import unload
from gansearch.metrics.floor import floor_of
from gansearch.metrics.protocol import Protocol
from gansearch.metrics.reference import Reference, protocol_of, reference_of
from gansearch.results import Ledger, Writer, read
from gansearch.run_dir import RunDir
from gansearch.search.callbacks import Ending, TrialEvents
from gansearch.search.claim import claimed
from gansearch.search.cluster import check_shared, fit_to_cluster, ray_session
from gansearch.search.interrupt import Interruption, interruptible
from gansearch.search.plan import Plan
from gansearch.search.recorder import Listener, Recorder
from gansearch.search.scheduler import KimgASHA
from gansearch.search.searcher import SpaceSearcher
from gansearch.search.study import Study
from gansearch.search.trainable import GANTrial
from gansearch.training.build import best_device
from gansearch.training.checkpoint import CheckpointDir

_MOST_FAILURES = 2  # of one trial: a lost node is survived, a fault of the configuration soon given up


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
                _tune(plan, reference, slots, writer, Ledger(), listener, interruption, retry_failed=False)
    return _ledger(plan.run), interruption


def resume(
    plan: Plan, before: Protocol, listener: Listener, say: Callable[[str], None], *, retry_failed: bool
) -> tuple[Ledger, Interruption]:
    """Continues a run that was interrupted or killed; UserError where its FIDs would not be comparable.

    `plan` and `before` are what `load_plan` gives; the plan may name another cluster or other resources.
    """
    run = plan.run
    interruption = Interruption()
    # The writer first of all: it refuses while another driver is at work.
    with interruptible(interruption), closing(Writer(run.results)) as writer:
        reference = prepare(plan, before)
        unload()
        ledger = Ledger(read(run.results))
        ledger.require(before.hash, run.path)
        with ray_session(plan.options.address):
            interruption.install()
            plan, slots = fit_to_cluster(plan)
            check_shared(plan)
            say(f"{run.path}: {len(ledger)} of {plan.options.trials} trials known, {slots} at once")
            _tune(plan, reference, slots, writer, ledger, listener, interruption, retry_failed=retry_failed)
    return _ledger(run), interruption


def _tune(
    plan: Plan,
    reference: Reference,
    slots: int,
    writer: Writer,
    ledger: Ledger,
    listener: Listener,
    interruption: Interruption,
    *,
    retry_failed: bool,
) -> None:
    """Builds searcher and scheduler from the rows so far, and lets Tune run what is left."""
    options, train = plan.options, plan.space.base.train
    study = Study(plan.run.study_journal, plan.run.name, plan.space, ledger, options.seed)
    recorder = Recorder(plan.run, writer, ledger, study, listener)
    scheduler = KimgASHA(train, options.eta)
    for trial_id in scheduler.replay(ledger):
        recorder.end(trial_id, "stopped", f"ASHA: not among the best at {ledger[trial_id].kimg:g} kimg")
    gpus = options.gpus_per_trial or 0.0
    searcher = SpaceSearcher(
        plan.space,
        recorder,
        trials=options.trials,
        seed=options.seed,
        retry=[trial for trial in ledger.values() if retry_failed and trial.status == "failed"],
        constants={
            "checkpoints": plan.checkpoints,
            "max_images": train.max_images,
            "cpus": options.cpus_per_trial,
            "gpus": gpus,
        },
    )
    if not searcher.remaining:
        return
    ending = Ending(recorder, interruption, seconds=options.time_budget, gpu_hours=options.gpu_hours, gpus=gpus)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(GANTrial, reference=reference), {"cpu": options.cpus_per_trial, "gpu": gpus}
        ),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=searcher.remaining,
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["trial_id"],
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(plan.run.ray.absolute()),
            stop=ending,
            callbacks=[TrialEvents(recorder)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trial saves by itself
            failure_config=tune.FailureConfig(max_failures=_MOST_FAILURES),
            verbose=0,
        ),
    )
    interruption.tuning = True
    try:
        if not ending.stop_all():
            tuner.fit()
    except Exception:
        if recorder.fault is None:
            raise
    finally:
        interruption.tuning = False
    if recorder.fault is not None:
        raise UserError(f"can't write ({one_line(recorder.fault)}): mend that, then `resume {plan.run.path}`")
    if ending.spent and not interruption.signal:  # Tune ends these trials without a word to its callbacks
        for trial in [trial for trial in ledger.values() if trial.end is None]:
            recorder.end(trial.trial_id, "stopped", ending.spent)


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
