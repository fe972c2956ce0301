"""Ray Tune at work on an agenda: what it is told, and how it ends."""

from ray import tune

from gansearch.errors import UserError, one_line
from gansearch.metrics.reference import Reference
from gansearch.search.agenda import Agenda
from gansearch.search.interrupt import Interruption
from gansearch.search.plan import Plan
from gansearch.search.ray.callbacks import Ending, TrialEvents
from gansearch.search.ray.scheduler import KimgASHA
from gansearch.search.ray.searcher import SpaceSearcher
from gansearch.search.ray.trainable import GANTrial
from gansearch.search.recorder import Recorder

_MOST_FAILURES = 2  # of one trial: a lost node is survived, a fault of the configuration soon given up


def tune_trials(
    plan: Plan,
    reference: Reference,
    slots: int,
    recorder: Recorder,
    scheduler: KimgASHA,
    agenda: Agenda,
    interruption: Interruption,
    again: str,
) -> None:
    """Lets Tune run an agenda, `slots` trials at once, in the Ray of this process.

    UserError where the disk refuses rows or checkpoints; what was running goes on, when that is mended, by `again`.
    """
    options, gpus = plan.options, plan.options.gpus_per_trial or 0.0
    searcher = SpaceSearcher(
        plan.space,
        recorder,
        agenda,
        constants={
            "checkpoints": plan.checkpoints,
            "max_images": plan.space.base.train.max_images,
            "cpus": options.cpus_per_trial,
            "gpus": gpus,
        },
    )
    ending = Ending(recorder, interruption, seconds=options.time_budget, gpu_hours=options.gpu_hours, gpus=gpus)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(GANTrial, reference=reference), {"cpu": options.cpus_per_trial, "gpu": gpus}
        ),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=len(agenda),
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
        raise UserError(f"can't write ({one_line(recorder.fault)}): mend that, then {again}")
    if ending.spent and not interruption.signal:  # Tune ends these trials without a word to its callbacks
        for trial in [trial for trial in recorder.ledger.values() if not (trial.end or trial.is_final)]:
            recorder.end(trial.trial_id, "stopped", ending.spent)
