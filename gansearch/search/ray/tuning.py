"""Sets up Ray Tune for the queue of a search, runs Tune, and handles the end."""

import logging
import os
from typing import TYPE_CHECKING, Any

from ray import tune

from gansearch import foreign
from gansearch.errors import UserError, one_line
from gansearch.search.ray.callbacks import BudgetStopper, TrialEvents
from gansearch.search.ray.scheduler import RecordingScheduler
from gansearch.search.ray.searcher import QueueSearcher
from gansearch.search.ray.trainable import GANTrial

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)

_MOST_FAILURES = 2  # of one trial: enough for a lost node, few for a faulty configuration


def tune_trials(search: "Search") -> None:
    """Lets Tune run the queue of a search, in the Ray of this process.

    Raises:
        UserError: Rows or checkpoints can't be written. Trials that were running stay unfinished.
    """
    options, cluster, recorder = search.plan.options, search.cluster, search.recorder
    stopper = BudgetStopper(
        recorder, search.shutdown, seconds=options.time_budget, gpu_hours=options.gpu_hours, gpus=cluster.gpus
    )
    tuner = _tuner(search, stopper)
    # All slots fill at once. Tune asks for a trial only where a slot is free, so no proposal is made early.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(cluster.slots)
    try:
        if not stopper.stop_all():
            tuner.fit()
    except Exception:
        if recorder.fault is None:
            raise
    if recorder.fault is not None:
        raise UserError(f"can't write ({one_line(recorder.fault)}): fix that, then {search.how_to_continue}")
    if search.queue.promotes and not search.shutdown.signal:
        spent = stopper.spent
        recorder.end_all(spent)
        if spent is not None:
            logger.info("%s; to go on, %s with another budget", spent, search.how_to_continue)


class _NoReport(tune.ProgressReporter):
    """Reports nothing. Tune's own reporter clears the output of a notebook's cell, however quiet it is to be."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        pass


def _tuner(search: "Search", stopper: BudgetStopper) -> tune.Tuner:
    plan, cluster = search.plan, search.cluster
    constants = {
        "checkpoints": plan.checkpoints,
        "cpus": cluster.cpus,
        "gpus": cluster.gpus,
        "objects": foreign.objects(plan.component_names),
    }
    trainable = tune.with_parameters(GANTrial, reference=search.reference)
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": cluster.cpus, "gpu": cluster.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=QueueSearcher(search.queue, search.recorder, constants),
            scheduler=RecordingScheduler(search.recorder),
            num_samples=-1,  # the searcher says when there are no more
            max_concurrent_trials=cluster.slots,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["trial_id"],
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(plan.run.ray.absolute()),
            stop=stopper,
            callbacks=[TrialEvents(search.recorder)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trial saves by itself
            failure_config=tune.FailureConfig(max_failures=_MOST_FAILURES),
            progress_reporter=_NoReport(),
            verbose=0,
        ),
    )
